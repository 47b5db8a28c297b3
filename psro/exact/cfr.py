"""Counterfactual regret minimisation plus (CFR+) on the arrays of a `Form`: a solver that uses
neither linear programs nor populations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from games.form import Form
from games.info_states import InfoStates
from psro import exact

_ROWS = 1 << 13
"""Info states at once: their sequences' numbers fit into a processor's cache."""


def cfr_plus(form: Form, masks: Sequence[np.ndarray] | None = None) -> Iterator[list[np.ndarray]]:
    """CFR+ (Tammelin 2014, arXiv:1407.5042): yields each player's average plan `[S_p]` after each
    iteration, without end.

    Players update in turn, each against the latest plans of the others. Regrets never fall below
    zero. Iteration t has weight t in the average. In two-player zero-sum games the averages
    converge to an equilibrium, and `exact.exploitability(form, plans)` says how close they are. In
    other games there is no guarantee.

    With `masks`, bool `[S_p]`, players use only these of their sequences: the game is restricted.
    Every info state must have one.

    It holds four numbers for each sequence, and makes two more.
    """
    regret = [np.zeros(player.num_sequences) for player in form.players]
    if masks is None:
        masks = [np.ones(player.num_sequences, bool) for player in form.players]
    strategy = list(map(exact.uniform_behaviour, form.players, masks))
    current = list(map(exact.realization_plan, form.players, strategy))
    total = [np.zeros_like(plan) for plan in current]
    iteration = 0
    while True:
        iteration += 1
        for p, player in enumerate(form.players):
            total[p] += iteration * current[p]
            values = exact.gains(form, p, current)
            _add_regrets(player, strategy[p], values, regret[p], masks[p])
            _match(player, regret[p], strategy[p], current[p], masks[p])
        weight = iteration * (iteration + 1) / 2
        yield [plan / weight for plan in total]


def _add_regrets(
    player: InfoStates,
    strategy: np.ndarray,
    values: np.ndarray,
    regret: np.ndarray,
    mask: np.ndarray,
) -> None:
    """Adds to the `regret [S]`, in place, the counterfactual value of each sequence minus its info
    state's, and keeps what is above zero, of the sequences of the `mask [S]`.

    `strategy [S]` is the player's own behaviour. `values [S]` are the counterfactual returns that
    end with each sequence; those that come after it are added to them.
    """
    for level in reversed(range(player.num_levels)):
        first, last = player.level_start[level], player.level_start[level + 1]
        below = np.empty(last - first)  # values of the level's info states
        for rows, some, owner in _pieces(player, first, last):
            value = np.bincount(owner, weights=strategy[some] * values[some])
            below[rows.start - first : rows.stop - first] = value
            regret[some] = np.maximum(regret[some] + (values[some] - value[owner]), 0.0)
            regret[some] *= mask[some]
        start, stop = 0, 1  # the sequences that lead here
        if level:
            start, stop = player.first_sequence[[player.level_start[level - 1], first]]
        parent = player.parent[first:last] - start
        values[start:stop] += np.bincount(parent, weights=below, minlength=stop - start)


def _match(
    player: InfoStates,
    regret: np.ndarray,
    strategy: np.ndarray,
    plan: np.ndarray,
    mask: np.ndarray,
) -> None:
    """Regret matching, into `strategy [S]`, and its realization plan, into `plan [S]`:
    probabilities in proportion to regrets; uniform over the `mask [S]` where all are 0."""
    for first, last in zip(player.level_start[:-1], player.level_start[1:], strict=True):
        for rows, some, owner in _pieces(player, first, last):
            sums = np.bincount(owner, weights=regret[some])
            is_zero = sums <= 0
            divisor = np.where(is_zero, np.bincount(owner, weights=mask[some]), sums)
            strategy[some] = (regret[some] + is_zero[owner] * mask[some]) / divisor[owner]
            plan[some] = plan[player.parent[rows]][owner] * strategy[some]


def _pieces(player: InfoStates, first: int, last: int) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Info states `first` to `last`, some at a time: these, their sequences, and the place among
    these of each sequence's."""
    for start in range(first, last, _ROWS):
        rows = slice(start, min(start + _ROWS, last))
        bounds = player.first_sequence[rows.start : rows.stop + 1]
        owner = np.repeat(np.arange(rows.stop - rows.start), np.diff(bounds))
        yield rows, slice(bounds[0], bounds[-1]), owner
