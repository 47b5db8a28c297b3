"""Regret minimisers keep their bounds: against any sequence, and against best responses."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from probes import random_populations

import games
from psro import exact
from psro.exact.sequence_form import population_exploitability
from psro.metagame.solvers import hedge as solve_by_hedge
from psro.metagame.solvers import nash, regrets
from psro.metagame.solvers.payoffs import unit
from psro.metagame.solvers.regret_minimisers import REGRET_MINIMISERS, average, hedge_step, init

load = cache(games.load)
BOUND = {
    "hedge": lambda size, rounds: (
        np.sqrt(2 * np.log(size) / rounds) + np.sqrt(np.log(size) / 8) / rounds
    ),
    "regret_matching_plus": lambda size, rounds: np.sqrt(size / rounds),
}
"""The average regret that is left, for payoffs within 1 of each other, from the literature."""

EACH = pytest.mark.parametrize("name", REGRET_MINIMISERS)


def play(name: str, size: int, rounds: int, answer):
    """The state after the rounds, and the average regret, written out here. `answer`: round number
    and strategy to payoffs."""
    state, strategy = init(size), np.full(size, 1 / size)
    earned, fixed = 0.0, np.zeros(size)
    for number in range(rounds):
        payoffs = answer(number, strategy)
        earned, fixed = earned + payoffs @ strategy, fixed + payoffs
        state, strategy = REGRET_MINIMISERS[name](state, payoffs)
        assert strategy.min() >= 0 and strategy.sum() == pytest.approx(1)
    return state, (fixed.max() - earned) / rounds


def random_payoffs(size: int):
    generator = np.random.default_rng(0)
    return lambda number, strategy: generator.random(size)


def spiteful(size: int):
    """The likeliest policy earns nothing, every other 1."""
    return lambda number, strategy: (np.arange(size) != np.argmax(strategy)).astype(float)


def drifting(size: int):
    """Policies take turns at being good, for ever longer."""
    return lambda number, strategy: np.eye(size)[int(np.log2(number + 1)) % size]


@EACH
@pytest.mark.parametrize("adversary", [random_payoffs, spiteful, drifting])
@pytest.mark.parametrize("size", [1, 2, 10])
def test_no_policy_would_have_earned_much_more(name, adversary, size):
    for rounds in (1, 10, 1000):
        state, regret = play(name, size, rounds, adversary(size))
        assert regret <= BOUND[name](size, rounds) + 1e-12
        assert state.rounds == rounds


@EACH
def test_updates_are_pure_and_averages_are_of_what_was_played(name):
    generator = np.random.default_rng(1)
    state, played = init(4), []
    for _ in range(20):
        played.append(state.strategy)
        before, payoffs = [state.strategy.copy(), state.score.copy(), state.total.copy()], None
        payoffs = generator.random(4)
        once, twice = (REGRET_MINIMISERS[name](state, payoffs) for _ in range(2))
        np.testing.assert_array_equal(once[1], twice[1])
        for kept, now in zip(before, (state.strategy, state.score, state.total), strict=True):
            np.testing.assert_array_equal(kept, now)
        state = once[0]
        np.testing.assert_array_equal(once[1], state.strategy)
    np.testing.assert_allclose(average(state), np.mean(played, axis=0))
    np.testing.assert_array_equal(average(init(4)), np.full(4, 0.25))


def test_hedge_s_weights_by_hand():
    """Two rounds: step sqrt(8 log 2 / 3) for the third one."""
    state = init(2)
    for payoffs in ([1.0, 0.0], [1.0, 0.5]):
        state, strategy = hedge_step(state, np.array(payoffs))
    step = np.sqrt(8 * np.log(2) / 3)
    assert strategy[0] / strategy[1] == pytest.approx(np.exp(step * 1.5))


@EACH
@pytest.mark.parametrize("game", ["kuhn_poker", "leduc_poker"])
@pytest.mark.parametrize("player", [0, 1])
def test_against_best_responses_the_average_is_nearly_the_least_exploitable(name, game, player):
    """What the opponent's best response gets, less the linear program's least, is at most the
    average regret, and that is within its bound. Forty times the rounds leave a quarter at most."""
    tree, opponent = load(game), 1 - player
    plans = random_populations(tree, (6, 6), seed=2)
    least = population_exploitability(tree, plans).measured.best_response_value[opponent]

    def gains(mine, plan):
        return exact.gains(tree, mine, [plan, plan])  # its own is ignored

    def response_to(strategy):
        left_to_opponent = gains(opponent, exact.mix(plans[player], strategy))
        return exact.best_response_to(tree.players[opponent], left_to_opponent)

    # The most and the least that any opponent can leave a policy
    worst, best = (
        [
            exact.best_response_to(tree.players[opponent], sign * gains(opponent, plan)).value
            for plan in plans[player]
        ]
        for sign in (1, -1)
    )
    span = max(best) + max(worst)

    def answer(number, strategy):
        return plans[player] @ gains(player, response_to(strategy).plan) / span

    excess = []
    for rounds in (50, 2000):
        state, regret = play(name, 6, rounds, answer)
        excess.append(response_to(average(state)).value - least)
        assert -1e-9 <= excess[-1] <= span * regret + 1e-9
        assert regret <= BOUND[name](6, rounds)
    assert excess[1] < excess[0] / 4  # the bound is a sixth


@pytest.mark.parametrize("shape", [(2, 2), (5, 3), (20, 20)])
@pytest.mark.parametrize("rounds", [10, 1000])
def test_the_solver_s_averages_keep_the_bound(shape, rounds):
    """In zero-sum games: both players' gains together are at most both their regrets."""
    row = np.random.default_rng(sum(shape)).normal(size=shape)
    payoffs = unit(np.stack([row, -row]))
    left = regrets(payoffs, solve_by_hedge(payoffs, iterations=rounds)).sum()
    assert left <= sum(BOUND["hedge"](size, rounds) for size in shape)
    assert left >= regrets(payoffs, nash(payoffs)).sum() - 1e-9
