"""A Nash equilibrium of any number of players as the limit of the logit correspondence.

The branch of `psro.exact.logit` is followed until its supports are clear. Then the indifference
equations on the supports are solved by Newton's method, and the result must pass a certificate. In
trees, actions off the equilibrium path are best responses to the beliefs that the branch has in the
limit (Turocy 2010, "Computing sequential equilibria using agent quantal response equilibria").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from games.tree import GameTree
from psro.exact.logit import Agents, LogitError, branch
from psro.exact.plans import exploitability, realization_plan

TOLERANCE = 1e-10
"""No player may gain more than this share of the payoffs' span by deviating."""

FALLBACK_TOLERANCE = 1e-5
"""The limit where no supports gave an equilibrium: of a degenerate game the branch itself, far
out."""

_FIRST, _LAST = 30.0, 1e7
"""Supports are tried where lambda, times the span, is between these."""

_CUTS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-6)
"""Actions with a smaller probability are off the support."""

_TREMBLE = 400.0
"""What is taken from the logarithm of the probability of an action off the support, so that only
the order of such actions matters."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limit:
    """An equilibrium at the end of the branch.

    Attributes:
        behaviours: each player's action probabilities, `[S_p]`, 0 off the support.
        logs: log-probabilities `[n]` with trembles, for beliefs.
        regret: the largest gain of a player by deviating, in payoff.
    """

    behaviours: list[np.ndarray]
    logs: np.ndarray
    regret: float


def logit_limit(tree: GameTree) -> Limit:
    """The equilibrium to which the principal branch of the logit correspondence converges.

    Raises:
        LogitError: the game is too large, or the branch could not be followed to an equilibrium.
    """
    agents, due, closest = Agents(tree), _FIRST, None
    for point in branch(agents, tree.span):
        if point.precision * tree.span < due and tree.span > 0:
            continue
        for cut in _CUTS:
            limit = _polished(tree, agents, point.logs, cut)
            if limit is not None and limit.regret <= TOLERANCE * tree.span:
                return limit
            if limit is not None and (closest is None or limit.regret < closest.regret):
                closest = limit
        due *= 2.0
        if due > _LAST or tree.span == 0:
            break
    if closest is not None and closest.regret <= FALLBACK_TOLERANCE * tree.span:
        return closest
    raise LogitError(f"the logit branch of {tree.name} led to no equilibrium")


def _polished(tree: GameTree, agents: Agents, logs: np.ndarray, cut: float) -> Limit | None:
    """The equilibrium on the supports above `cut`; None if Newton's method finds none."""
    support = logs > np.log(cut)
    likeliest = np.maximum.reduceat(logs, agents.starts)[agents.owner]
    support |= logs == likeliest
    trembling = np.where(support, logs, logs - _TREMBLE)
    chosen = np.flatnonzero(support)
    owners = agents.owner[chosen]
    sums = (owners[None, :] == np.arange(len(agents.starts))[:, None]).astype(float)
    first = np.searchsorted(owners, np.arange(len(agents.starts)))
    others = np.setdiff1d(np.arange(len(chosen)), first)
    probabilities = np.exp(logs[chosen])
    probabilities /= (sums @ probabilities)[owners]
    for _ in range(30):
        trembling[chosen] = np.log(np.maximum(probabilities, 1e-300))
        values, slopes = agents.values(trembling)
        slopes = slopes[np.ix_(chosen, chosen)] / probabilities
        reference = first[owners[others]]
        residual = np.append(
            values[chosen[others]] - values[chosen[reference]], sums @ probabilities - 1
        )
        if not np.isfinite(residual).all() or not np.isfinite(slopes).all():
            return None
        system = np.vstack([slopes[others] - slopes[reference], sums])
        step = np.linalg.lstsq(system, -residual, rcond=None)[0]
        probabilities = probabilities + step
        if (probabilities <= 0).any():
            return None
        if np.abs(step).max() <= 1e-15:
            break
    trembling[chosen] = np.log(probabilities)
    full = np.zeros(agents.size)
    full[chosen] = probabilities
    full /= np.add.reduceat(full, agents.starts)[agents.owner]
    return _measured(tree, agents, full, trembling)


def _measured(tree: GameTree, agents: Agents, probabilities: np.ndarray, logs: np.ndarray) -> Limit:
    behaviours = [
        np.append(1.0, probabilities[first:end])
        for first, end in zip(agents.offsets[:-1], agents.offsets[1:], strict=True)
    ]
    return Limit(behaviours=behaviours, logs=logs, regret=largest_gain(tree, behaviours))


def largest_gain(tree: GameTree, behaviours: Sequence[np.ndarray]) -> float:
    """The largest gain of a player by deviating from behaviours `[S_p]`, in payoff."""
    plans = [realization_plan(own, b) for own, b in zip(tree.players, behaviours, strict=True)]
    measured = exploitability(tree, plans)
    return float((measured.best_response_value - measured.value).max())
