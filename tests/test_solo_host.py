"""Environments that are stepped on the host, by a small program of Python."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probes import begin, policy_for

from games.hosted.host import CUT, ENDED
from games.hosted.solo_host import HostedSolo
from games.spaces import Box, Discrete
from psro.oracles.rollout import Rollout


class Walk:
    """Shows a position, the last step and how many steps have been made, up to 9. It begins at a
    random place from 0 to 1, and every step has random noise. Beyond 2 the rules end it; the sixth
    decision is cut off here, or an earlier one by `max_length`. A step earns its own first number.
    """

    name = "walk"
    observation_space = {"moved": Box((1, 2)), "steps": Discrete(10)}
    max_return = 3.0

    def __init__(self, action_space=Box((2,), -1.0, 1.0), max_length=10):  # noqa: B008
        self.action_space, self.max_length, self.begun = action_space, max_length, 0

    def begin(self, digest):
        self.begun += 1
        return Walker(digest)


class Walker:
    def __init__(self, digest):
        self._random = np.random.default_rng(digest)
        self._place, self._steps, self.reward, self._last = self._random.random(), 0, 0.0, 0.0
        self.player, self.legal = 0, None

    def play(self, action, digest):
        self._last = float(np.reshape(action, -1)[0])
        self._place += self._last + 0.01 * self._random.normal()
        self._steps, self.reward = self._steps + 1, self._last
        if self._place > 2:
            self.player = ENDED
        elif self._steps == 6:
            self.player = CUT

    def observe(self, vector):
        vector[:] = self._place, self._last, self._steps


@functools.cache
def setting(is_box=True, max_length=10):
    game = HostedSolo(Walk(Box((2,), -1.0, 1.0) if is_box else Discrete(3), max_length))
    return game, jax.jit(jax.vmap(game.step)), jax.jit(jax.vmap(game.renew))


def keys(seed, number=3):
    return jax.random.split(jax.random.key(seed), number)


def test_real_actions_and_both_ends():
    """The first episode leaves by the rules, the second is cut off, the third does nothing."""
    game, step, renew = setting()
    state = jax.jit(jax.vmap(game.init))(keys(0))
    action = np.array([[0.5, 0], [-0.25, 0], [np.nan, 0]], np.float32)
    seen, states = [jax.vmap(game.observe)(state)], [state]
    for number in range(7):
        state = step(state, action, keys(number))
        states.append(state)
        seen.append(jax.vmap(game.observe)(state))
        if number == 2:
            game.forget()  # what is played again is what it was
    ends = int(np.argmax([bool(state.terminal[0]) for state in states]))
    assert 2 <= ends <= 5 and not any(state.truncated[0] for state in states)
    moved = np.array([view["moved"] for view in seen])[:, :, 0]  # [T, E, 2]
    assert (moved[ends:, 0] == 0).all()  # nothing is shown after the rules' end
    np.testing.assert_allclose(np.diff(moved[:ends, 0, 0]), 0.5, atol=0.05)
    np.testing.assert_allclose(np.diff(moved[:7, 1, 0]), -0.25, atol=0.05)
    assert states[6].truncated[1] and not states[5].truncated[1]
    assert (np.array(seen[7]["moved"])[1] == np.array(seen[6]["moved"])[1]).all()  # it stays shown
    assert seen[7]["steps"].tolist() == [0, 6, 0] and seen[0]["steps"].dtype == np.int32
    assert (moved[:, 2] == moved[0, 2]).all() and not states[7].ended[2]
    paid = np.array([state.rewards[:, 0] for state in states])
    assert paid[:, 0].tolist() == [0] + [0.5] * ends + [0] * (7 - ends)
    assert paid[:, 1].tolist() == [0] + [-0.25] * 6 + [0] and not paid[:, 2].any()
    again = renew(state, jnp.array([True, False, False]), keys(9))
    assert not again.ended[0] and again.ended[1] and again.count.tolist() == [0, 6, 0]
    assert jax.vmap(game.observe)(again)["steps"].tolist() == [0, 6, 0]


def test_numbers_and_a_limit_from_outside():
    game, step, _ = setting(False, 3)
    state = jax.jit(jax.vmap(game.init))(keys(0))
    for _ in range(4):
        state = step(state, jnp.array([0, 2, 3]), keys(1))
    assert state.truncated.tolist() == [True, False, False]
    assert state.terminal.tolist() == [False, True, False]  # 3 is no action
    assert state.legal.tolist() == [[False] * 3, [False] * 3, [True] * 3]
    assert state.count[0] == 3 and state.player.tolist() == [0, 0, 0]
    with pytest.raises(TypeError, match="not copied"):
        game.__getstate__()


def test_a_learner_plays_every_decision_once_and_continues_elsewhere():
    """Nothing is played again, although the last step of a rollout decides without acting. A
    process without a memory continues with the same bits."""
    simulator = Walk()
    game = HostedSolo(simulator)
    policy = policy_for(game, cell="none", hidden_size=2)
    rollout = Rollout(game, policy, num_envs=4, num_strata=1, length=8, sequence_length=8)
    params = jax.jit(policy.init)(jax.random.key(0))
    play = jax.jit(lambda actors, key: rollout(params, (), jnp.int32(0), actors, key))
    actors, *_ = play(begin(rollout, jax.random.key(1)), jax.random.key(2))
    actors, before = jax.device_get(actors), simulator.begun
    first = jax.device_get(play(actors, jax.random.key(3)))
    ended = int(first[2].count.sum())
    assert ended >= 4 and simulator.begun - before == ended
    assert first[1].truncated.any() and (first[1].valid | first[1].truncated).all()
    game.forget()
    jax.tree.map(
        np.testing.assert_array_equal, first, jax.device_get(play(actors, jax.random.key(3)))
    )
    assert simulator.begun - before > 2 * ended
