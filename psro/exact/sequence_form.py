"""Two-player constant-sum games as linear programs over realization plans, solved by HiGHS.

A player's plans are `{x >= 0 : E x = e}`. E has one row for the empty sequence, and one for each
info state: its sequences add up to its parent sequence. The best-response value to a plan is itself
a linear program. The dual of that program bounds the opponent's value from above. So minimising the
opponent's value is a program of linear size (Koller, Megiddo and von Stengel 1996, "Efficient
computation of equilibria for extensive two-person games").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy
import scipy.sparse

from games import units
from games.tree import GameTree, PlayerTree
from psro import exact
from psro.errors import PsroError


class SequenceFormError(PsroError):
    """The game has no such linear program, or it was not solved; one sentence says why."""


def check_zero_sum(tree: GameTree) -> None:
    """Raises `SequenceFormError` if a game does not have two players, or is not constant-sum."""
    if tree.num_players != 2 or not tree.is_constant_sum:
        raise SequenceFormError(
            f"linear programs over the sequence form are for two-player zero-sum games; {tree.name}"
            + (
                f" has {tree.num_players} players"
                if tree.num_players != 2
                else " is not constant-sum"
            )
        )


def payoff_matrix(tree: GameTree) -> scipy.sparse.csr_array:
    """What player 0 wins from player 1, by their last sequences, `[S_0, S_1]`.

    The probabilities of chance are included: the expected return of plans x and y is `x @ matrix @
    y`. The returns are half the difference of the two players', shifted and scaled to [-1, 1]
    (`units.centred`). So the game is zero-sum, and its programs are the same in any unit of payoff.

    Raises:
        SequenceFormError: not two players, or not constant-sum.
    """
    check_zero_sum(tree)
    own, others = tree.terminal_returns.T
    weight = tree.chance * units.centred(own / 2 - others / 2)
    shape = tuple(player.num_sequences for player in tree.players)
    return scipy.sparse.csr_array((weight, (tree.sequence[:, 0], tree.sequence[:, 1])), shape)


def plan_constraints(player: PlayerTree) -> scipy.sparse.csr_array:
    """The matrix E, `[I + 1, S]`: x is a plan if x >= 0 and `E @ x = (1, 0, ..., 0)`."""
    num_sequences, num_info_states = player.num_sequences, player.num_info_states
    rows = np.concatenate([[0], player.info_state[1:] + 1, np.arange(1, num_info_states + 1)])
    columns = np.concatenate([np.arange(num_sequences), player.parent])
    entries = np.concatenate([np.ones(num_sequences), -np.ones(num_info_states)])
    return scipy.sparse.csr_array((entries, (rows, columns)), (num_info_states + 1, num_sequences))


TOLERANCE = 1e-6
"""The largest accepted error of a program's solution, by exact best responses, as a share of half
the returns' span. HiGHS stops at 1e-7 for each constraint; its solutions are vertices, and were
exact to 1e-9 in all games tried."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Equilibrium:
    """A Nash equilibrium of the whole game.

    Attributes:
        plans: each player's realization plan, `[S_p]`.
        value: each player's game value, `[2]`, in units of the game's payoff.
        nash_conv: NashConv of `plans` by exact best responses: the certificate. It also bounds the
            error of `value`.
    """

    plans: tuple[np.ndarray, np.ndarray]
    value: np.ndarray
    nash_conv: float


def equilibrium(tree: GameTree) -> Equilibrium:
    """An equilibrium of a two-player zero-sum (constant-sum) game, by one linear program.

    Maximise q_0 over player 0's plans x and the values q of the opponent's info states, where `E x
    = e` and `F' q <= A' x`; q_0 is the value at the root if the opponent plays its best response to
    x (Koller, Megiddo and von Stengel 1996). The opponent's plan is the dual solution.

    Raises:
        SequenceFormError: another kind of game, or the program was not solved within `TOLERANCE`.
    """
    matrix = payoff_matrix(tree)
    own, opponent = (plan_constraints(player) for player in tree.players)
    solution = _solve(
        cost=_unit(matrix.shape[0] + opponent.shape[0], matrix.shape[0], -1.0),
        at_most_zero=scipy.sparse.hstack([-matrix.T, opponent.T]),
        equal=scipy.sparse.hstack([own, scipy.sparse.csr_array((own.shape[0], opponent.shape[0]))]),
        target=_unit(own.shape[0], 0),
        num_nonnegative=matrix.shape[0],
        method="highs-ds",
    )
    plans = (
        _plan(tree.players[0], solution.x[: matrix.shape[0]]),
        _plan(tree.players[1], -solution.ineqlin.marginals),
    )
    measured = exact.exploitability(tree, plans)
    if not measured.nash_conv <= TOLERANCE * tree.span / 2 + tree.rounding:
        raise SequenceFormError(
            f"the linear program of {tree.name} left a NashConv of {measured.nash_conv:.3g}, more "
            f"than {TOLERANCE:g} of half the span of its returns"
        )
    return Equilibrium(plans=plans, value=measured.value, nash_conv=measured.nash_conv)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PopulationExploitability:
    """The least exploitable mixture of each player's population.

    Attributes:
        mixtures: each player's distribution over its policies, `[K_p]`.
        measured: values and NashConv of the two mixtures, by exact best responses;
            `measured.exploitability` is the population exploitability.
    """

    mixtures: tuple[np.ndarray, np.ndarray]
    measured: exact.Exploitability


def population_exploitability(
    tree: GameTree, plans: Sequence[np.ndarray]
) -> PopulationExploitability:
    """The least exploitability of any mixture of the populations `plans`, each `[K_p, S_p]`, in a
    two-player zero-sum (constant-sum) game.

    A player chooses weights w; its opponent may play any plan of the game. One linear program for
    each player minimises the value q_0 of the opponent's best response, where `F' q` is at least
    what the opponent's sequences earn against w. The result is at most the exploitability of any
    meta-strategy, and does not rise when a population grows (Yao et al. 2023, arXiv:2306.16884).

    Raises:
        SequenceFormError: another kind of game, no policies, or a program was not solved within
            `TOLERANCE`.
    """
    matrix = payoff_matrix(tree)
    if min(map(len, plans)) == 0:
        raise SequenceFormError("population exploitability needs a policy of each player")
    mixtures = (
        _least_exploitable(tree.players[1], -(plans[0] @ matrix)),
        _least_exploitable(tree.players[0], plans[1] @ matrix.T),
    )
    measured = exact.exploitability(
        tree, [exact.mix(own, weights) for own, weights in zip(plans, mixtures, strict=True)]
    )
    return PopulationExploitability(mixtures=mixtures, measured=measured)


def _least_exploitable(opponent: PlayerTree, gains: np.ndarray) -> np.ndarray:
    """The weights `[K]` against which the opponent's best response is worth least. `gains [K, S]`
    are the returns of the opponent's sequences against policy k, within [-1, 1]."""
    size, constraints = len(gains), plan_constraints(opponent)
    solution = _solve(
        cost=_unit(size + constraints.shape[0], size),
        at_most_zero=scipy.sparse.hstack([scipy.sparse.csr_array(gains.T), -constraints.T]),
        equal=scipy.sparse.csr_array(
            np.concatenate([np.ones(size), np.zeros(constraints.shape[0])])[None]
        ),
        target=np.ones(1),
        num_nonnegative=size,
        method="highs-ipm",  # the simplex method is up to four times slower on dense columns
    )
    weights = np.maximum(solution.x[:size], 0.0)
    weights /= weights.sum()
    reached, least = exact.best_response_value(opponent, weights @ gains), solution.fun
    if not reached - least <= TOLERANCE:
        raise SequenceFormError(
            f"the linear program of a population of {size} gave its mixture a best response of "
            f"{least:.9g}, but exactly it is {reached:.9g}, in returns from -1 to 1"
        )
    return weights


def _solve(
    *,
    cost: np.ndarray,
    at_most_zero: scipy.sparse.sparray,
    equal: scipy.sparse.sparray,
    target: np.ndarray,
    num_nonnegative: int,
    method: str,
) -> scipy.optimize.OptimizeResult:
    """Minimise `cost @ z` where `at_most_zero @ z <= 0`, `equal @ z = target` and the first
    `num_nonnegative` of z are at least 0."""
    lower = np.full(len(cost), -np.inf)
    lower[:num_nonnegative] = 0.0
    result = scipy.optimize.linprog(
        cost,
        A_ub=at_most_zero.tocsr(),
        b_ub=np.zeros(at_most_zero.shape[0]),
        A_eq=equal.tocsr(),
        b_eq=target,
        bounds=np.column_stack([lower, np.full(len(cost), np.inf)]),
        method=method,
    )
    if result.status != 0:
        raise SequenceFormError(f"the linear program was not solved: {result.message}")
    return result


def _plan(player: PlayerTree, solution: np.ndarray) -> np.ndarray:
    """A solver's vector as a plan, with rounding errors removed."""
    return exact.realization_plan(player, exact.behaviour(player, np.maximum(solution, 0.0)))


def _unit(length: int, where: int, entry: float = 1.0) -> np.ndarray:
    vector = np.zeros(length)
    vector[where] = entry
    return vector
