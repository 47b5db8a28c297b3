"""Gymnasium environments that say which actions are legal, in `info["action_mask"]`."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from games.errors import GameError
from games.hosted.gymnasium import GymnasiumSimulator
from games.hosted.solo_host import HostedSolo
from games.spaces import Discrete


class Turns:
    """Counts from 0 to 4. Only the action that is the count's remainder by three is legal, and any
    other is an error."""

    def __init__(self, none_at=9):
        self.none_at = none_at

    def reset(self, seed):
        self.count = 0
        return 0, self._info()

    def step(self, action):
        assert action == self.count % 3
        self.count += 1
        return self.count, 1.0, self.count == 4, False, self._info()

    def _info(self):
        mask = np.zeros(3, np.int8)
        mask[self.count % 3] = self.count < min(self.none_at, 4)
        return {"action_mask": mask}


class Simulator(GymnasiumSimulator):
    """The same without Gymnasium."""

    def __init__(self, env):
        self.name, self.idle = "turns", [env]
        self.observation_space, self.action_space, self.max_length = Discrete(5), Discrete(3), 4
        self.actions = type("Actions", (), {"theirs": staticmethod(int)})
        self.max_return = self._try_out()

    def _make(self):
        return Turns()


def test_a_mask_says_what_is_legal():
    """In random play, at every decision, after an action that is not legal, and after the end."""
    simulator = Simulator(Turns())
    assert simulator.max_return == 4.0
    game = HostedSolo(simulator)
    step = jax.jit(jax.vmap(game.step))
    keys = jax.random.split(jax.random.key(0), 2)
    state = jax.jit(jax.vmap(game.init))(keys)
    for count in range(4):
        legal = np.asarray(state.legal)
        assert (legal[0] == (np.arange(3) == count % 3)).all() and (legal[1] == [1, 0, 0]).all()
        state = step(state, jnp.array([count % 3, 2]), keys)  # the second plays what is not legal
        assert state.rewards[:, 0].tolist() == [1.0, 0.0]
        if count == 2:
            game.forget()  # what is played again is what it was
    assert state.terminal.tolist() == [True, False] and not state.legal[0].any()
    again = jax.jit(jax.vmap(game.renew))(state, jnp.array([True, False]), keys)
    assert again.legal.tolist() == [[True, False, False]] * 2


def test_an_environment_that_allows_nothing_is_refused():
    with pytest.raises(GameError, match="action_mask allows no action"):
        Simulator(Turns(none_at=2))


def test_taxi_has_walls():
    if importlib.util.find_spec("gymnasium") is None:
        pytest.skip("Gymnasium is not installed")
    import games

    game = games.load("gymnasium::Taxi")
    state = jax.jit(jax.vmap(game.init))(jax.random.split(jax.random.key(0), 16))
    legal = np.asarray(state.legal)
    assert legal.any(axis=1).all() and not legal.all(axis=1).any()
