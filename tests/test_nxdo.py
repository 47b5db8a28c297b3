"""Networks that imitate restricted equilibria: exact NashConv, masks, double oracle with them."""

from functools import cache

import jax
import numpy as np
import pytest
from probes import policy_for, random_behaviours

import games
from psro import exact
from psro.nxdo import Imitator, NXDOConfig, NXDOError, keep_to
from psro.policy import Tabulator
from psro.restricted_game import allowed, solve

load = cache(games.load)


def fresh(policy, seed=0):
    return policy.init_many(jax.random.split(jax.random.key(seed), 2))


def restricted(tree, iterations):
    """Masks of that many exact best responses to each other's restricted equilibria, and the last
    equilibrium."""
    plans = [exact.realization_plan(q, exact.uniform_behaviour(q)) for q in tree.players]
    masks = [np.zeros(player.num_sequences, bool) for player in tree.players]
    for _ in range(iterations):
        masks = [
            mask | allowed(player, exact.best_response(tree, p, plans).plan[None])
            for p, (player, mask) in enumerate(zip(tree.players, masks, strict=True))
        ]
        solution = solve(tree, masks)
        plans = solution.plans
    return masks, solution


@cache
def imitator(name, cell="lstm", steps=400):
    tree = load(name)
    policy = policy_for(tree, cell=cell, hidden_size=32)
    return tree, policy, Imitator(tree, policy, NXDOConfig(steps=steps))


@pytest.mark.parametrize(
    ("name", "cell", "iterations", "steps", "reached"),
    [
        ("kuhn_poker", "lstm", 2, 400, 0.02),
        ("kuhn_poker", "lstm", 3, 400, 0.02),
        ("kuhn_poker", "gru", 3, 400, 0.02),
        ("leduc_poker", "lstm", 8, 1000, 0.1),
    ],
)
def test_networks_play_the_restricted_equilibrium(name, cell, iterations, steps, reached):
    tree, policy, imitate = imitator(name, cell, steps)
    masks, solution = restricted(tree, iterations)
    imitation = imitate(solution, masks, fresh(policy))
    assert imitation.measured.nash_conv == imitation.curve[-1] < reached
    assert imitation.curve[0] > 2 * reached  # it was not so from the start
    assert 0 <= imitation.leak < 0.02

    # The same numbers from the parameters alone, in the whole game.
    behaviours = Tabulator(policy, tree)(imitation.params)
    for player, mask, behaviour, plan in zip(
        tree.players, masks, behaviours, imitation.plans, strict=True
    ):
        kept = keep_to(player, mask, behaviour)
        np.testing.assert_allclose(exact.realization_plan(player, kept), plan, atol=1e-12)
        assert not plan[~mask].any()
    np.testing.assert_allclose(
        exact.returns(tree, imitation.plans), imitation.measured.value, atol=1e-9
    )


def test_networks_hardly_play_what_is_not_allowed():
    """Without the mask too, for they act in rollouts; also where there is nothing to choose."""
    tree, policy, imitate = imitator("kuhn_poker")
    masks, solution = restricted(tree, 1)
    imitation = imitate(solution, masks, fresh(policy))
    assert abs(imitation.measured.nash_conv) < 1e-12
    raw = [
        exact.realization_plan(*each)
        for each in zip(tree.players, Tabulator(policy, tree)(imitation.params), strict=True)
    ]
    stays = tree.chance.copy()
    for p in range(2):
        stays *= (raw[p] * masks[p])[tree.sequence[:, p]]
    assert stays.sum() > 0.98
    assert imitation.leak == pytest.approx(1 - stays.sum(), abs=1e-12)


def test_training_is_reproducible():
    tree, policy, imitate = imitator("kuhn_poker")
    masks, solution = restricted(tree, 2)
    first, second = (imitate(solution, masks, fresh(policy)) for _ in range(2))
    assert first.curve == second.curve
    assert len(first.curve) == 5
    for mine, theirs in zip(
        jax.tree.leaves(first.params), jax.tree.leaves(second.params), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_double_oracle_with_imitating_networks():
    """NXDO on Kuhn poker with exact best responses: the networks end near equilibrium."""
    tree, policy, imitate = imitator("kuhn_poker")
    plans = [exact.realization_plan(q, exact.uniform_behaviour(q)) for q in tree.players]
    masks = [np.zeros(player.num_sequences, bool) for player in tree.players]
    for iteration in range(5):
        masks = [
            mask | allowed(player, exact.best_response(tree, p, plans).plan[None])
            for p, (player, mask) in enumerate(zip(tree.players, masks, strict=True))
        ]
        plans = imitate(solve(tree, masks), masks, fresh(policy, iteration)).plans
    assert exact.exploitability(tree, plans).exploitability < 0.01


def test_keeping_to_a_mask():
    tree = load("leduc_poker")
    for player, behaviour in zip(tree.players, random_behaviours(tree, 0), strict=True):
        np.testing.assert_allclose(
            keep_to(player, np.ones_like(behaviour, bool), behaviour), behaviour
        )
        np.testing.assert_array_equal(
            keep_to(player, np.zeros_like(behaviour, bool), behaviour), behaviour
        )
        first = np.zeros_like(behaviour, bool)
        first[player.first_sequence[:-1]] = True
        np.testing.assert_allclose(keep_to(player, first, behaviour)[1:], first[1:])


@pytest.mark.parametrize(
    "setting",
    [{"steps": 0}, {"steps_per_round": 0}, {"learning_rate": -1.0}, {"max_gradient_norm": 0}],
)
def test_bad_settings_are_refused(setting):
    with pytest.raises(NXDOError, match=rf"nxdo\.{next(iter(setting))} = .* must be above 0"):
        NXDOConfig(**setting)
