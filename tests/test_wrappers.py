"""Wrappers of environments: what is seen and what is played, one step at a time."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from games import GameError
from games.game import Game, State
from games.hosted import environment
from games.spaces import Box, Discrete
from games.wrappers import Wrapped, Wrapping, wrapped, wrapping_of


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class CountState(State):
    time: jax.Array
    last: jax.Array


class Count(Game):
    """Shows the time, ten times and a hundred times the time, and whether a decision has been made.
    A decision earns its own number, which may not be 0 at odd times; the fifth is cut off."""

    num_players, num_actions, max_length, max_return, may_truncate = 1, 3, 5, 10.0, True
    observation_size = 5
    observation_space = {"time": Box((3,), 0.0, 500.0), "begun": Discrete(2)}

    def init(self, key):
        return self._state(jnp.int32(0), jnp.int32(-1))

    def step(self, state, action, key):
        follows = (state.legal & (jnp.arange(3) == action)).any()
        after = self._state(state.time + 1, jnp.int32(action))
        still = dataclasses.replace(state, rewards=jnp.zeros(1))
        return jax.tree.map(lambda new, old: jnp.where(follows, new, old), after, still)

    def observe(self, state):
        time = state.time * jnp.array([1.0, 10.0, 100.0])
        return {"time": time, "begun": (state.time > 0).astype(jnp.int32)}

    def _state(self, time, last):
        over = time >= 5
        return CountState(
            player=jnp.int32(0),
            legal=~over & ((jnp.arange(3) > 0) | (time % 2 == 0)),
            terminal=jnp.bool_(False),
            truncated=over,
            rewards=jnp.maximum(last, 0).astype(jnp.float32).reshape(1),
            time=time,
            last=last,
        )


class Vector(Count):
    """The same, without the part that is no vector."""

    observation_size = 3
    observation_space = Box((3,), 0.0, 500.0)

    def observe(self, state):
        return super().observe(state)["time"]


def played(game, actions, seed=0, episodes=1):
    """States of episodes with these actions, `[E]` each, and what is seen in them."""
    keys = jax.random.split(jax.random.key(seed), len(actions) + 1)
    step = jax.jit(jax.vmap(game.step, in_axes=(0, None, 0)))
    states = [jax.jit(jax.vmap(game.init))(jax.random.split(keys[0], episodes))]
    for action, key in zip(actions, keys[1:], strict=True):
        states.append(step(states[-1], jnp.asarray(action), jax.random.split(key, episodes)))
    return states, [jax.vmap(game.observe)(state) for state in states]


def test_masks_and_delays_show_less_and_later():
    """An action that is none changes nothing, and the last observation of an episode that was cut
    off is as old as the others."""
    game = Wrapped(Vector(), Wrapping(mask=(0, 2), delay=2))
    assert game.observation_space == Box((2,), 0.0, 500.0) and game.observation_size == 2
    states, seen = played(game, [2, -1, 1, 2, 1, 1, 1])
    np.testing.assert_array_equal(
        [vector[0] for vector in seen],
        [[t, 100 * t] for t in (0, 0, 0, 0, 1, 2, 3, 3)],
    )
    assert [float(state.rewards[0, 0]) for state in states] == [0, 2, 0, 1, 2, 1, 1, 0]
    assert states[-1].truncated.all() and not states[-1].legal.any()
    # rewards that a caller has counted do not come back where no episode begins
    counted = dataclasses.replace(states[3], rewards=jnp.zeros((1, 1)))
    renew = jax.jit(jax.vmap(game.renew))
    same, begun = (
        renew(counted, jnp.full(1, where), jax.random.split(jax.random.key(1), 1))
        for where in (False, True)
    )
    jax.tree.map(np.testing.assert_array_equal, same, counted)
    _, after = played(game, [])
    np.testing.assert_array_equal(jax.vmap(game.observe)(begun), after[0])
    assert (begun.earlier == 0).all() and (begun.last_action == -1).all()


def test_noise_and_flicker_disturb_what_is_seen_and_not_what_happens():
    game = Wrapped(Count(), Wrapping(noise=3.0, flicker=0.25))
    assert game.observation_space == {"time": Box((3,)), "begun": Discrete(3)}
    states, seen = played(game, [2, 2, 2], episodes=4_000)
    for time, (state, shown) in enumerate(zip(states, seen, strict=True)):
        lost = np.asarray(shown["begun"]) == 2
        assert abs(lost.mean() - 0.25) < 0.03  # four standard errors
        assert (np.asarray(shown["time"])[lost] == 0).all()
        assert (np.asarray(shown["begun"])[~lost] == (time > 0)).all()
        error = np.asarray(shown["time"])[~lost] - time * np.array([1, 10, 100])
        np.testing.assert_allclose(error.std(axis=0), 3, rtol=0.06)
        np.testing.assert_allclose(error.mean(axis=0), 0, atol=0.25)
        np.testing.assert_array_equal(state.inner.time, time)
    again = jax.vmap(game.observe)(states[1])
    jax.tree.map(np.testing.assert_array_equal, again, seen[1])  # looked at twice, the same


def test_sticky_actions_repeat_what_was_played():
    """Except at the start, and where the last action is not legal any more."""
    game = Wrapped(Count(), Wrapping(sticky=0.25))
    states, _ = played(game, [0, 1, 2, 1], episodes=4_000)
    earned = [np.asarray(state.inner.last) for state in states[1:]]
    assert (earned[0] == 0).all()
    assert (earned[1] == 1).all()  # 0 is not legal at time 1
    assert abs((earned[2] == 1).mean() - 0.25) < 0.03
    share = (earned[3] == 2).mean()  # 2 was played in three of four, and repeated in one of four
    assert abs(share - 0.75 * 0.25) < 0.03


def test_boxes_stick_too_and_no_wrapper_is_no_change():
    game = environment("popjaxrl::PositionOnlyPendulumEasy(sticky=1.0)")
    states, _ = played(game, [[0.5], [-2.0]])
    assert [float(state.last_action[0, 0]) for state in states[1:]] == [0.5, 0.5]
    plain = Count()
    assert wrapped(plain, Wrapping()) is plain
    wrapping, others = wrapping_of("x", {"mask": "0-2+5", "decks": 2, "delay": 3})
    assert wrapping == Wrapping(mask=(0, 1, 2, 5), delay=3) and others == {"decks": 2}


@pytest.mark.parametrize(
    "parameters, words",
    [
        ("mask=0+2", "mask in .* must name entries of its observations, 0 to 1; 2 is none"),
        ("mask=2-0", "mask=2-0 in .* must be the entries that are seen"),
        ("mask=0+", "as in mask=0\\+2"),
        ("noise=-1", "noise=-1 in .* must be a number of at least 0"),
        ("flicker=2", "flicker=2 in .* must be a probability, from 0 to 1"),
        ("sticky=much", "sticky=much in .* must be a probability"),
        ("delay=0.5", "delay=0.5 in .* must be a whole number from 0 to 1,000"),
        ("delay=True", "must be a whole number"),
        ("nose=1", "have levels and no parameters"),
    ],
)
def test_wrong_parameters_are_refused(parameters, words):
    with pytest.raises(GameError, match=words):
        environment(f"popjaxrl::PositionOnlyCartPoleEasy({parameters})")


def test_parts_have_names_and_kinds_have_no_noise():
    game = Wrapped(Count(), Wrapping(mask=("begun",)))
    assert game.observation_space == {"begun": Discrete(2)}
    with pytest.raises(GameError, match="parts of its observations, time, begun; speed is none"):
        Wrapped(Count(), Wrapping(mask=("begun", "speed")))
    with pytest.raises(GameError, match="noise is for real numbers, and .* shows none"):
        environment("popjaxrl::RepeatFirstEasy(noise=0.1)")
    with pytest.raises(GameError, match="mask is for vectors, and .* shows"):
        environment("popjaxrl::RepeatFirstEasy(mask=0)")
