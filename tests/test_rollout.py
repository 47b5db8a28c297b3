"""Sampled episodes against exact values; memories kept apart."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probes import Lengths, Probe, begin, constant_policy, opinionated, policy_for

import games
from games.tree_game import TreeGame
from psro import exact
from psro.oracles.decisions import Episodes, returns_of_strata
from psro.oracles.rollout import Memory, Rollout
from psro.policies.policy import Tabulator, stack


def compiled(rollout):
    """The rollout, compiled once for all seats."""
    play = jax.jit(rollout.__call__)
    return lambda params, opponents, seat, actors, key: play(
        params, opponents, jnp.int32(seat), actors, key
    )


def take(params, index):
    return jax.tree.map(lambda leaf: leaf[index], params)


@pytest.mark.parametrize(
    "name", ["kuhn_poker(players=3)", pytest.param("leduc_poker", marks=pytest.mark.slow)]
)
def test_mean_sampled_return_is_the_exact_value(name):
    """Within three standard errors, for every seat, against opponents drawn per episode."""
    tree = games.load(name)
    policy = policy_for(tree, hidden_size=8)
    candidates = opinionated(policy, 5, 3)
    tabulate = Tabulator(policy, tree)
    plans = [  # [candidate][player]
        [
            exact.realization_plan(player, behaviour)
            for player, behaviour in zip(
                tree.players, tabulate(stack([take(candidates, k)] * tree.num_players)), strict=True
            )
        ]
        for k in range(3)
    ]
    strata, envs, length = 4, 128, 128
    rollout = Rollout(
        TreeGame(tree), policy, num_envs=envs, num_strata=strata, length=length, sequence_length=8
    )
    play = compiled(rollout)
    drawn = np.array([1, 1, 2, 1])  # the profile of each stratum: candidate 1 three times in four
    opponents = take(candidates, np.broadcast_to(drawn, (tree.num_players - 1, strata)))
    for seat in range(tree.num_players):
        _, _, episodes = play(
            take(candidates, 0),
            opponents,
            seat,
            begin(rollout, jax.random.key(seat)),
            jax.random.key(10 + seat),
        )
        count = np.asarray(episodes.count).reshape(strata, -1)
        total = np.asarray(episodes.total_return).reshape(strata, -1)
        mean = (total.sum(axis=1) / count.sum(axis=1)).mean()
        per_env = (total / count).mean(axis=0)  # equal strata, independent environments
        error = per_env.std(ddof=1) / np.sqrt(len(per_env))
        value = np.mean(
            [
                exact.returns(
                    tree, [plans[0 if p == seat else k][p] for p in range(tree.num_players)]
                )[seat]
                for k in drawn
            ]
        )
        assert abs(mean - value) < 3 * error
        assert error < 0.05 * max(1.0, tree.max_return)


def test_short_episodes_do_not_count_for_more():
    """Against one opponent that stops at once and one that goes on for long, playing A is worth
    (-0.6 + 1) / 2 = 0.2 an episode. Pooling the episodes of a rollout would say about -0.5."""
    game = Lengths()
    policy = policy_for(game)
    stops, goes_on = constant_policy(policy, 0), constant_policy(policy, 1)
    opponents = jax.tree.map(lambda leaf: leaf[None], stack([stops, goes_on]))
    rollout = Rollout(game, policy, num_envs=32, num_strata=2, length=64, sequence_length=8)
    play = compiled(rollout)
    start = begin(rollout, jax.random.key(0))
    _, seen, episodes = play(stops, opponents, 0, start, jax.random.key(1))
    count = episodes.count.reshape(2, -1).sum(axis=1)
    total = episodes.total_return.reshape(2, -1).sum(axis=1)
    assert count[0] == 64 * 16 and count[1] == (64 // 16) * 16
    np.testing.assert_allclose((total / count).mean(), 0.2, atol=1e-6)
    assert total.sum() / count.sum() < -0.4
    # every reward stands where its episode ended, and nowhere else
    np.testing.assert_array_equal(np.asarray(seen.reward) != 0, np.asarray(seen.done))
    np.testing.assert_array_equal(np.asarray(seen.reset)[1:], np.asarray(seen.done)[:-1])


def test_strata_that_finished_no_episode_have_no_return():
    """In two rollouts of two strata: means of 2 and 5, and of 8 where two episodes ended."""
    strata = [
        returns_of_strata(
            Episodes(count=jnp.array(count), total_return=jnp.array(total)), num_strata=2
        )
        for count, total in (
            ([0.0, 2.0, 1.0, 0.0], [0.0, 4.0, 5.0, 0.0]),
            ([0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 6.0, 10.0]),
            ([0.0] * 4, [0.0] * 4),
        )
    ]
    total, number = jnp.array(strata).sum(axis=0)
    assert total / number == 5.0 and number == 3


def test_one_seats_carry_never_touches_anothers():
    """Three players whose moves do not depend on their memories: scrambling one's carry leaves
    everything else as it was, and its own comes back when the episode ends."""
    tree = games.load("kuhn_poker(players=3)")
    policy = policy_for(tree)
    params = policy.init_many(jax.random.split(jax.random.key(0), 3))
    head = params["policy_head"]
    blind = params | {"policy_head": head | {"kernel": jnp.zeros_like(head["kernel"])}}
    opponents = jax.tree.map(lambda leaf: leaf[1:, None], blind)  # [Q = 2, S = 1]
    rollout = Rollout(
        TreeGame(tree), policy, num_envs=64, num_strata=1, length=1, sequence_length=1
    )
    play = compiled(rollout)
    actors = begin(rollout, jax.random.key(1))
    actors, _, _ = play(take(blind, 0), opponents, 0, actors, jax.random.key(2))

    def scramble(memory, q):
        noise = jax.tree.map(lambda leaf: leaf.at[q].add(1.0), memory.carry)
        return Memory(carry=noise, last_action=memory.last_action)

    for q in range(2):
        other = dataclasses.replace(actors, opponents=scramble(actors.opponents, q))
        after, seen, _ = play(take(blind, 0), opponents, 0, actors, jax.random.key(3))
        after_other, seen_other, _ = play(take(blind, 0), opponents, 0, other, jax.random.key(3))
        for a, b in zip(
            jax.tree.leaves((seen, after.learner, after.state)),
            jax.tree.leaves((seen_other, after_other.learner, after_other.state)),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
        for leaf, leaf_other in zip(
            jax.tree.leaves(after.opponents.carry),
            jax.tree.leaves(after_other.opponents.carry),
            strict=True,
        ):
            np.testing.assert_array_equal(leaf[1 - q], leaf_other[1 - q])
            changed = (np.asarray(leaf[q]) != np.asarray(leaf_other[q])).any(axis=-1)
            assert changed.any()  # the scramble did something,
            begun = np.asarray(after.opponents.last_action[q]) == -1
            assert not changed[begun].any()  # and ended with the episode


def test_restart_begins_episodes_in_the_named_strata_only():
    tree = games.load("leduc_poker")
    policy = policy_for(tree)
    params = opinionated(policy, 1, 2)
    opponents = jax.tree.map(lambda leaf: jnp.repeat(leaf[1:, None], 4, 1), params)
    rollout = Rollout(
        TreeGame(tree), policy, num_envs=32, num_strata=4, length=3, sequence_length=3
    )
    play = compiled(rollout)
    actors = begin(rollout, jax.random.key(0))
    actors, _, _ = play(take(params, 0), opponents, 0, actors, jax.random.key(1))
    where = jnp.array([True, False, False, True])
    restarted = rollout.restart(actors, where, jax.random.key(2))
    kept = ~np.repeat(where, 8)
    assert restarted.fresh[~kept].all()
    assert (restarted.opponents.last_action[:, ~kept] == -1).all()
    for new, old in zip(jax.tree.leaves(restarted), jax.tree.leaves(actors), strict=True):
        axis = 1 if new.shape[0] == 1 else 0  # opponents lead with [Q]
        np.testing.assert_array_equal(np.compress(kept, new, axis), np.compress(kept, old, axis))
    for leaf in jax.tree.leaves(restarted.learner.carry):
        assert (np.asarray(leaf)[~kept] == 0).all()


def test_an_opponent_that_never_lets_the_learner_move_does_not_hang():
    """Player 1 of the probe moves once, last; as a learner against a game that ends before its
    turn it would wait for ever."""

    class Never(Probe):
        def _state(self, bit, time, first, last):
            state = super()._state(bit, time, first, last)
            return type(state)(**{**vars(state), "player": jnp.zeros_like(state.player)})

    game = Never("delay")
    policy = policy_for(game)
    params = constant_policy(policy, 0)
    opponents = jax.tree.map(lambda leaf: leaf[None, None], params)
    rollout = Rollout(game, policy, num_envs=4, num_strata=1, length=2, sequence_length=2)
    play = compiled(rollout)
    _, seen, episodes = play(
        params, opponents, 1, begin(rollout, jax.random.key(0)), jax.random.key(1)
    )
    assert not seen.valid.any()
    assert episodes.count.sum() > 0  # they are played all the same, and counted
