"""Logit quantal response equilibrium, traced from uniform play.

McKelvey and Palfrey 1995, "Quantal Response Equilibria for Normal Form Games". The branch is
followed by its arc length, as in Turocy 2005, "A Dynamic Homotopy Interpretation of the Logistic
Quantal Response Equilibrium Correspondence".
"""

from __future__ import annotations

import numpy as np

from psro.metagame.solvers.payoffs import checked, unit
from psro.metagame.solvers.regret import MetaSolverError, pure_payoffs
from psro.metagame.solvers.replicator import softmax
from psro.metagame.solvers.settings import Finite

PRECISION = 20.0
"""lambda, per payoff span: a policy that earns a tenth of its player's span more than another is
e^2 times as likely."""

RESIDUAL = 1e-10
"""Largest distance of log-probabilities from the logit response."""

_MAX_STEPS = 2_000


def qre(payoffs: np.ndarray, *, precision: Finite = PRECISION) -> list[np.ndarray]:
    """The logit equilibrium at `precision` on the branch that starts at uniform play, `[K_p]` per
    player.

    x_pk is in proportion to exp(precision * u_pk). Here u_pk is the payoff of policy k against the
    others' strategies, with each player's payoffs scaled to [0, 1].

    Args:
        payoffs: `[P, K_0, ..., K_{P-1}]`.
        precision: lambda. 0 is uniform play. As lambda grows, the branch converges to one Nash
            equilibrium in almost all games.

    Raises:
        MetaSolverError: payoffs of a wrong shape, or the branch could not be followed to
            `precision`.
    """
    payoffs = unit(checked(payoffs, "qre"))
    sizes = payoffs.shape[1:]
    # a point of the branch: all players' log-probabilities, then lambda
    point = np.append(np.concatenate([np.full(size, -np.log(size)) for size in sizes]), 0.0)
    tangent = np.zeros(len(point))
    tangent[-1] = 1.0
    step = 0.1
    for _ in range(_MAX_STEPS):
        tangent = _tangent(payoffs, point, tangent)
        ahead = _corrected(payoffs, point + step * tangent, tangent)
        # A step that is too long could reach another branch, so the correction must be small.
        if ahead is None or np.linalg.norm(ahead - point - step * tangent) > 0.2 * step:
            step /= 2
            continue
        if ahead[-1] >= precision:
            share = (precision - point[-1]) / (ahead[-1] - point[-1])
            solution = _corrected(
                payoffs, point + share * (ahead - point), np.eye(len(point))[-1], at=precision
            )
            if solution is not None:
                return [softmax(logs) for logs in _split(solution[:-1], sizes)]
            step /= 2
            continue
        point, step = ahead, 1.5 * step
    raise MetaSolverError(
        f"meta-solver qre reached precision {point[-1]:.3g} in {_MAX_STEPS} steps, and not "
        f"{precision:.3g}"
    )


def _split(stacked: np.ndarray, sizes: tuple[int, ...]) -> list[np.ndarray]:
    return np.split(stacked, np.cumsum(sizes)[:-1])


def _equations(payoffs: np.ndarray, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differences of the log-probabilities from the logit response's, `[n]`, and their derivatives
    `[n, n + 1]`."""
    sizes, precision = payoffs.shape[1:], point[-1]
    strategies = [np.exp(logs) for logs in _split(point[:-1], sizes)]
    earned = pure_payoffs(payoffs, strategies)
    responses = [softmax(precision * payoff) for payoff in earned]
    scaled = [precision * payoff - (precision * payoff).max() for payoff in earned]
    values = point[:-1] - np.concatenate([s - np.log(np.exp(s).sum()) for s in scaled])
    derivatives = np.hstack([np.eye(len(values)), np.zeros((len(values), 1))])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    for p, response in enumerate(responses):
        rows = slice(starts[p], starts[p + 1])
        derivatives[rows, -1] = -(earned[p] - response @ earned[p])
        for q in range(len(sizes)):
            if q != p:
                pairs = _pair_payoffs(payoffs[p], strategies, p, q) * strategies[q]
                derivatives[rows, starts[q] : starts[q + 1]] = -precision * (
                    pairs - response @ pairs
                )
    return values, derivatives


def _pair_payoffs(table: np.ndarray, strategies: list[np.ndarray], p: int, q: int) -> np.ndarray:
    """A table `[K_0, ..., K_{P-1}]` averaged over all players but p and q, `[K_p, K_q]`."""
    for other in reversed(range(len(strategies))):
        if other not in (p, q):
            table = np.tensordot(table, strategies[other], axes=(other, 0))
    return table if p < q else table.T


def _tangent(payoffs: np.ndarray, point: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The branch's unit direction. `before` is the direction at the previous point."""
    _, derivatives = _equations(payoffs, point)
    direction = np.linalg.solve(np.vstack([derivatives, before]), np.eye(len(point))[-1])
    return direction / np.linalg.norm(direction)


def _corrected(
    payoffs: np.ndarray, point: np.ndarray, normal: np.ndarray, at: float | None = None
) -> np.ndarray | None:
    """The branch's point in the plane through `point` with this normal, by Newton's method. If `at`
    is given, it is the branch's point where lambda is `at`."""
    level = normal @ point if at is None else at
    for _ in range(10):
        values, derivatives = _equations(payoffs, point)
        residual = np.append(values, normal @ point - level)
        if not np.isfinite(residual).all():
            return None
        if np.abs(residual).max() <= RESIDUAL:
            return point
        point = point - np.linalg.solve(np.vstack([derivatives, normal]), residual)
        if point[:-1].max() > 1:  # a probability above e: the iteration diverges
            return None
    return None
