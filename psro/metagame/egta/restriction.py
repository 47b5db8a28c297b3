"""The part of an empirical game whose cells all have matches, and its equilibria.

As long as cells have no match, the strategy in most of them is left out. Ties are broken in several
ways, and the part is taken whose equilibria the known payoffs of left-out strategies refute least.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from games.readers import frames
from psro.errors import PsroError
from psro.metagame.egta.empirical import Cells, Empirical, RoleGame, SymmetricGame
from psro.metagame.egta.log import EgtaError, MatchLog
from psro.metagame.egta.suggestions import deviations
from psro.metagame.egta.supports import Mixed, symmetric_equilibria
from psro.metagame.solve.nash import nash

ENUMERATED = 6
"""All equilibria of two players are listed if neither has more strategies."""
_TRIES = 8
"""Ways to break ties."""

Kept = tuple[tuple[int, ...], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """A part of an empirical game.

    Attributes:
        kept: the strategies of each population.
        chosen: the numbers of the cells.
        game: its mean payoffs.
        span: between its largest and least mean payoff, or 1.
        mixtures: its equilibria.
        method: how they were found.
        notes: a sentence each.
        refuted: the most that a strategy that is left out is known to gain against the equilibrium
            for which that is least; 0 if none gains.
    """

    kept: Kept
    chosen: np.ndarray
    game: Empirical
    span: float
    mixtures: list[Mixed]
    method: str
    notes: tuple[str, ...]
    refuted: float


def restricted(log: MatchLog, cells: Cells) -> Part:
    """The part of a log's game that is solved. Raises EgtaError if there is none."""
    rng = np.random.default_rng(0)
    choices = dict.fromkeys(_complete(log, cells, rng) for _ in range(_TRIES))
    parts = [_part(log, cells, kept) for kept in choices]
    return min(parts, key=lambda part: (part.refuted, -sum(map(len, part.kept))))


def _part(log: MatchLog, cells: Cells, kept: Kept) -> Part:
    chosen = _cells_within(log, cells, kept)
    means = cells.mean[chosen]
    game = game_of(log, kept, chosen, means, cells)
    span = float(np.ptp(means[np.isfinite(means)])) or 1.0
    mixtures, method, notes = _equilibria(log, game, kept, span)
    left_out = [
        (p, k) for p, names in enumerate(log.strategies) for k in range(len(names))
        if k not in kept[p]
    ]  # fmt: skip
    refuted = 0.0
    if left_out:
        gains = []
        for mixed in mixtures:
            known = deviations(
                cells, in_all(log, mixed, kept), symmetric=log.symmetric,
                num_players=log.num_players,
            )  # fmt: skip
            gains.append(
                max(
                    (float(known[p].gain[k]) for p, k in left_out if not known[p].unknown[k]),
                    default=0.0,
                )
            )
        refuted = max(min(gains), 0.0)
        notes = [*notes, _left_out(log, left_out)]
        if refuted > 1e-9 * span:
            notes.append(
                "the payoffs of strategies that are left out refute the equilibria: one gains "
                f"{refuted:.3g} or more against each of them"
            )
    return Part(
        kept=kept, chosen=chosen, game=game, span=span, mixtures=mixtures, method=method,
        notes=tuple(notes), refuted=refuted,
    )  # fmt: skip


def _left_out(log: MatchLog, left_out: Sequence[tuple[int, int]]) -> str:
    names = [
        log.strategies[p][k] + ("" if log.symmetric else f" of {log.players[p]}")
        for p, k in left_out
    ]
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return (
        f"some cells have no match, so equilibria are without {shown}; they are confirmed against "
        "these only as soon as the missing cells are sampled"
    )


def _complete(log: MatchLog, cells: Cells, rng: np.random.Generator) -> Kept:
    """Strategies of each population for which all cells have matches."""
    kept = [list(range(len(own))) for own in log.strategies]
    while True:
        chosen = _cells_within(log, cells, kept)
        missing = cells.key[chosen][cells.count[chosen] == 0]
        if not len(missing):
            return tuple(map(tuple, kept))
        worst = []
        for p, own in enumerate(kept):
            for k in own if len(own) > 1 else ():
                with_it = missing[:, k] > 0 if log.symmetric else missing[:, p] == k
                worst.append((int(with_it.sum()), float(rng.random()), p, k))
        if not worst:
            raise EgtaError(f"{log.source}: no strategies have met each other in all seats")
        _, _, p, k = max(worst)
        kept[p].remove(k)


def _cells_within(log: MatchLog, cells: Cells, kept: Sequence[Sequence[int]]) -> np.ndarray:
    """The numbers of the cells of some strategies."""
    if log.symmetric:
        others = np.delete(cells.key, list(kept[0]), axis=1)
        return np.flatnonzero(others.sum(axis=1) == 0)
    inside = [np.isin(cells.key[:, p], own) for p, own in enumerate(kept)]
    return np.flatnonzero(np.all(inside, axis=0))


def game_of(
    log: MatchLog,
    kept: Sequence[Sequence[int]],
    chosen: np.ndarray,
    table: np.ndarray,
    cells: Cells,
) -> Empirical:
    """The game of some strategies with the payoffs `table [X, N]` of their cells."""
    if log.symmetric:
        own = list(kept[0])
        return SymmetricGame(
            keys=cells.key[chosen][:, own],
            table=np.nan_to_num(table[:, own]),
            num_players=log.num_players,
        )
    shape = [len(own) for own in kept]
    return RoleGame(payoffs=table.T.reshape(log.num_players, *shape))


def _equilibria(
    log: MatchLog, game: Empirical, kept: Sequence[Sequence[int]], span: float
) -> tuple[list[Mixed], str, list[str]]:
    """Equilibria of the mean payoffs, how they were found, and notes."""
    if isinstance(game, SymmetricGame):
        found, complete = symmetric_equilibria(game, span)
        if not found:
            raise EgtaError(f"no symmetric equilibrium of {log.source} was found")
        how = "on every support" if complete else "from many starts"
        notes = [] if complete else ["there may be other symmetric equilibria"]
        return found, f"symmetric equilibria, {how}", notes
    if max(game.sizes) == 1:
        return [tuple(np.ones(1) for _ in kept)], "the only profile", []
    names = tuple(tuple(log.strategies[p][k] for k in own) for p, own in enumerate(kept))
    tree = frames.named(game.payoffs, "matches", log.players, names)
    every = log.num_players == 2 and max(game.sizes) <= ENUMERATED
    try:
        solved = nash(tree, every, None, "auto")
    except PsroError as error:
        raise EgtaError(
            f"the mean payoffs of {log.source} have no known equilibrium: {error}"
        ) from None
    mixtures = [tuple(own[1:].copy() for own in one.behaviours) for one in solved.equilibria]
    return mixtures, solved.method, list(solved.notes)


def in_all(
    log: MatchLog, parts: Sequence[np.ndarray], kept: Sequence[Sequence[int]]
) -> tuple[np.ndarray, ...]:
    """Numbers of the kept strategies, `[..., K]` each, with zeros for the others."""
    result = []
    for own, chosen, names in zip(parts, kept, log.strategies, strict=True):
        whole = np.zeros((*own.shape[:-1], len(names)))
        whole[..., list(chosen)] = own
        result.append(whole)
    return tuple(result)
