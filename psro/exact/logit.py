"""The logit correspondence: quantal response equilibria from uniform play on, as Gambit has them.

McKelvey and Palfrey 1995 (strategic form) and 1998, "Quantal response equilibria for extensive form
games" (the agents of a player at its info states respond one by one). The principal branch is
followed by its arc length, in log-probabilities (Turocy 2005 and 2010, "Computing sequential
equilibria using agent quantal response equilibria"). As lambda grows it converges to a sequential
equilibrium in almost all games. A strategic form is a tree in which everybody decides once, and
agents are players there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from games.tree import GameTree
from psro.errors import PsroError

MAX_ACTIONS = 300
"""The most actions of all agents: every step solves systems of this size, some hundred times."""

MAX_ENTRIES = 3_000_000
"""The most entries of the matrix of actions by terminals."""

RESIDUAL = 1e-12
"""Largest distance of log-probabilities from the logit response, relative to 1 + lambda."""

_MAX_STEPS = 20_000
_FIRST_STEP = 0.03


class LogitError(PsroError):
    """A branch that cannot be followed; one sentence says why."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """A point of the branch.

    Attributes:
        precision: lambda, per unit of the game's payoff.
        logs: log-probabilities of all players' actions, `[n]`; n is the number of sequences of all
            players but the empty ones, player by player.
        orientation: a sign, which is the same along a branch. Where it changes, the branch has
            crossed another one between this point and that before (a bifurcation).
    """

    precision: float
    logs: np.ndarray
    orientation: float = 1.0


class Agents:
    """The agents of a game: every info state of every player, with the derivatives of what its
    actions earn. T terminals, n actions of all agents.

    Attributes:
        starts: the first action of each agent, `[agents]`.
        paid: each action's owner's return at each terminal after the action, else 0, `[n, T]`.
    """

    def __init__(self, tree: GameTree):
        counts = [player.num_sequences - 1 for player in tree.players]
        self.size = sum(counts)
        if self.size > MAX_ACTIONS or self.size * tree.num_terminals > MAX_ENTRIES:
            raise LogitError(
                f"{tree.name} is too large for the logit correspondence: {self.size:,} actions by "
                f"{tree.num_terminals:,} terminals"
            )
        self.offsets = np.concatenate([[0], np.cumsum(counts)])
        self.starts = np.concatenate(
            [
                player.first_sequence[:-1] - 1 + offset
                for player, offset in zip(tree.players, self.offsets, strict=False)
            ]
        ).astype(np.int64)
        self.owner = np.repeat(
            np.arange(len(self.starts)), np.diff(np.append(self.starts, self.size))
        )
        self._after = self._passes(tree)
        self._log_chance = np.log(tree.chance)
        self.paid = np.concatenate(
            [
                self._after[first:end] * tree.terminal_returns[:, p]
                for p, (first, end) in enumerate(
                    zip(self.offsets[:-1], self.offsets[1:], strict=True)
                )
            ]
        )

    def _passes(self, tree: GameTree) -> np.ndarray:
        """Whether each action is on the path to each terminal, float64 `[n, T]`."""
        passes = np.zeros((self.size, tree.num_terminals))
        for p, player in enumerate(tree.players):
            sequence, above = tree.sequence[:, p].copy(), player.parent_sequence
            while (on_path := np.flatnonzero(sequence)).size:
                passes[self.offsets[p] + sequence[on_path] - 1, on_path] = 1.0
                sequence = above[sequence]
        return passes

    def weights(self, logs: np.ndarray) -> np.ndarray:
        """The probability of each terminal if each action is taken and its info state is reached,
        `[n, T]`. Of actions at info states that play avoids, the weights are the limits."""
        reach = self._log_chance + logs @ self._after
        shifted = np.where(self._after > 0, reach, -np.inf)
        shifted -= shifted.max(axis=1, keepdims=True)
        weights = np.exp(shifted)
        return weights / weights.sum(axis=1, keepdims=True)

    def values(self, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What each action earns its owner from its info state on, `[n]`, and the derivatives by
        the log-probabilities of all actions, `[n, n]`."""
        weights = self.weights(logs)
        earned = weights * self.paid
        values = earned.sum(axis=1)
        return values, earned @ self._after.T - values[:, None] * (weights @ self._after.T)

    def softmax(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The logarithms of each agent's logit response `[n]`, and its probabilities."""
        scores = scores - np.maximum.reduceat(scores, self.starts)[self.owner]
        logs = scores - np.log(np.add.reduceat(np.exp(scores), self.starts))[self.owner]
        return logs, np.exp(logs)

    def mean(self, probabilities: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The agents' means of `values [n, ...]`, repeated for each action."""
        shape = (-1,) + (1,) * (values.ndim - 1)
        return np.add.reduceat(probabilities.reshape(shape) * values, self.starts)[self.owner]

    def uniform(self) -> np.ndarray:
        """Log-probabilities of uniform play, `[n]`."""
        return self.softmax(np.zeros(self.size))[0]

    def behaviours(self, logs: np.ndarray) -> list[np.ndarray]:
        """Every player's behaviour, `[S_p]`."""
        return [
            np.append(1.0, np.exp(logs[first:end]))
            for first, end in zip(self.offsets[:-1], self.offsets[1:], strict=True)
        ]


def branch(agents: Agents, scale: float) -> Iterator[Point]:
    """Points of the principal branch, beginning with uniform play. Where the branch turns, lambda
    falls for a while. `scale` is the span of payoffs: steps are in lambda times it.

    Raises:
        LogitError: after `_MAX_STEPS` steps, or where a step becomes too small.
    """
    scale = scale if scale > 0 else 1.0
    point = np.append(agents.uniform(), 0.0)
    tangent, step = np.eye(len(point))[-1], _FIRST_STEP
    yield Point(precision=0.0, logs=point[:-1])
    for _ in range(_MAX_STEPS):
        tangent, _ = _tangent(agents, point, tangent, scale)
        ahead = _corrected(agents, point + step * tangent, tangent, scale)
        # A step that is too long could reach another branch, so the correction must be small.
        if ahead is None or np.linalg.norm(ahead - point - step * tangent) > 0.1 * step:
            step /= 2
            if step < 1e-12:
                break
            continue
        point, step = ahead, 1.3 * step
        _, orientation = _tangent(agents, point, tangent, scale)
        yield Point(precision=point[-1] / scale, logs=point[:-1], orientation=orientation)
    raise LogitError(
        f"the logit branch was followed up to lambda = {point[-1] / scale:.4g} and no further"
    )


def at_precision(agents: Agents, scale: float, precision: float) -> Point:
    """The first point of the branch where lambda is `precision`. Raises `LogitError`."""
    scale = scale if scale > 0 else 1.0
    before = None
    for point in branch(agents, scale):
        if point.precision >= precision:
            if before is None:
                return point
            share = (precision - before.precision) / (point.precision - before.precision)
            guess = np.append(before.logs + share * (point.logs - before.logs), precision * scale)
            normal = np.eye(len(guess))[-1]
            solved = _corrected(agents, guess, normal, scale)
            if solved is None:
                raise LogitError(f"the logit branch was lost at lambda = {precision:.4g}")
            return Point(precision=precision, logs=solved[:-1])
        before = point
    raise AssertionError("the branch does not end")


def _equations(agents: Agents, point: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Differences of the log-probabilities from the logit response's, `[n]`, and their derivatives
    `[n, n + 1]`. The last entry of `point [n + 1]` is lambda times `scale`."""
    precision = point[-1] / scale
    values, slopes = agents.values(point[:-1])
    logs, response = agents.softmax(precision * values)
    derivatives = np.empty((agents.size, agents.size + 1))
    derivatives[:, :-1] = -precision * (slopes - agents.mean(response, slopes))
    derivatives[:, :-1] += np.eye(agents.size)
    derivatives[:, -1] = -(values - agents.mean(response, values)) / scale
    return point[:-1] - logs, derivatives


def _tangent(
    agents: Agents, point: np.ndarray, before: np.ndarray, scale: float
) -> tuple[np.ndarray, float]:
    """The branch's unit direction, and its orientation. `before` is the direction at the previous
    point."""
    _, derivatives = _equations(agents, point, scale)
    system = np.vstack([derivatives, before])
    direction = np.linalg.solve(system, np.eye(len(point))[-1])
    return direction / np.linalg.norm(direction), float(np.linalg.slogdet(system)[0])


def _corrected(
    agents: Agents, point: np.ndarray, normal: np.ndarray, scale: float
) -> np.ndarray | None:
    """The branch's point in the plane through `point` with this normal, by Newton's method."""
    level = normal @ point
    for _ in range(8):
        differences, derivatives = _equations(agents, point, scale)
        residual = np.append(differences, normal @ point - level)
        if not np.isfinite(residual).all():
            return None
        if np.abs(residual).max() <= RESIDUAL * (1 + abs(point[-1])):
            return point
        try:
            point = point - np.linalg.solve(np.vstack([derivatives, normal]), residual)
        except np.linalg.LinAlgError:
            return None
        if point[:-1].max() > 1:  # a probability above e: the iteration diverges
            return None
    return None
