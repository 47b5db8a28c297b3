"""One-player games of known value that localise a learner's bug (the idea is rejax's)."""

import copy
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from games.game import Game, State
from games.spaces import Box, Discrete

LENGTHS = {
    "constant": 1,
    "observation": 1,
    "delay": 2,
    "choice": 1,
    "memory": 3,
    "truncation": 4,
    "termination": 4,
}
"""The most decisions of an episode of each kind."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeState(State):
    bit: jax.Array
    time: jax.Array


class ProbeGame(Game):
    """A bit is drawn at the start and shown at time 0. Kinds, and what a decision earns:

        constant: 1.
        observation: 1 if the bit is 1, else -1.
        delay: 1 at the second, and last, decision.
        choice: 1 for playing the bit, else -1.
        memory: the same at time 2, where the bit is no longer shown.
        truncation: 1 at every second decision, for ever; but episodes are cut off after two or
            four, before a decision that earns nothing and has a value.
        termination: 1 at every decision of four.

    The kind is in the game's constants, so that all kinds share a learner's compiled code.
    """

    num_players = 1
    num_actions = 2
    observation_size = 4
    max_return = 1.0
    max_length = 4
    may_truncate = True

    def __init__(self, kind: str):
        self.kind = kind
        self.constants = {"kind": np.int32(list(LENGTHS).index(kind))}

    def with_constants(self, constants):
        game = copy.copy(self)
        game.constants = constants
        return game

    def init(self, key):
        bit = jax.random.bernoulli(key).astype(jnp.int32)
        return self._state(bit, jnp.int32(0), jnp.float32(0), self._is())

    def step(self, state, action, key):
        kind = self._is()
        time = state.time + 1
        ends = time == self._length(state.bit, kind)
        right = jnp.where(action == state.bit, 1.0, -1.0)
        paid = jnp.select(
            [kind[name] for name in ("observation", "delay", "choice", "memory", "truncation")],
            [2.0 * state.bit - 1, ends * 1.0, right, right * ends, 1.0 - time % 2],
            1.0,
        )
        after = self._state(state.bit, time, paid, kind)
        still = dataclasses.replace(state, rewards=jnp.zeros_like(state.rewards))
        return jax.tree.map(lambda new, old: jnp.where(state.ended, old, new), after, still)

    def observe(self, state):
        first = state.time == 0
        shown = jnp.stack(
            [first & (state.bit == 0), first & (state.bit == 1), state.time == 2, jnp.bool_(True)]
        )
        second = jnp.stack([False, False, state.time % 2 == 1, True])
        shown = jnp.where(self._is()["truncation"], second, shown)
        return jnp.where(state.terminal, 0.0, shown.astype(jnp.float32))

    def values(self, decisions, gamma):
        """The best expected return of valid decisions, from their inputs, `[T, E]`."""
        time = steps_since_reset(np.asarray(decisions.reset))
        bit = np.asarray(decisions.observation)[..., 1]
        return {
            "constant": lambda: np.ones(time.shape),
            "observation": lambda: 2 * bit - 1,
            "delay": lambda: gamma ** (1.0 - time),
            "choice": lambda: np.ones(time.shape),
            "memory": lambda: gamma ** (2.0 - time),
            "truncation": lambda: gamma ** (1.0 - time % 2) / (1 - gamma**2),
            "termination": lambda: (1 - gamma ** (4.0 - time)) / (1 - gamma),
        }[self.kind]()

    def _is(self):
        kind = jnp.asarray(self.constants["kind"])
        return {name: kind == number for number, name in enumerate(LENGTHS)}

    def _length(self, bit, kind):
        longest = jnp.array(list(LENGTHS.values()))[jnp.asarray(self.constants["kind"])]
        return jnp.where(kind["truncation"] & (bit == 0), 2, longest)

    def _state(self, bit, time, paid, kind):
        ended = time >= self._length(bit, kind)
        return ProbeState(
            player=jnp.int32(0),
            legal=jnp.broadcast_to(~ended, (2,)),
            terminal=ended & ~kind["truncation"],
            truncated=ended & kind["truncation"],
            rewards=jnp.broadcast_to(paid, (1,)),
            bit=bit,
            time=time,
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class AimState(State):
    target: jax.Array
    time: jax.Array


class Aim(Game):
    """Three times in an episode, a picture shows how far to aim, and a number whether to turn the
    sign. An action, two numbers between -2 and 4, earns 1 for hitting (target, -target), and less
    the farther it is off: 1 - the mean distance. Then the episode is cut off.
    """

    num_players = 1
    num_actions = 2
    observation_size = 18
    observation_space = {"picture": Box((4, 4, 1)), "turned": Discrete(2)}
    action_space = Box((2,), -2.0, 4.0)
    max_return = 1.0
    max_length = 3
    may_truncate = True

    def init(self, key):
        return self._state(jax.random.randint(key, (), 0, 4), jnp.int32(0), jnp.zeros(1))

    def step(self, state, action, key):
        size = jnp.where(state.target % 2 == 0, 1.0, 0.5)
        wanted = jnp.where(state.target // 2 == 0, size, -size) * jnp.array([1.0, -1.0])
        paid = 1 - jnp.abs(action - wanted).mean()
        after = self._state(
            jax.random.randint(key, (), 0, 4), state.time + 1, jnp.broadcast_to(paid, (1,))
        )
        still = dataclasses.replace(state, rewards=jnp.zeros(1))
        return jax.tree.map(lambda new, old: jnp.where(state.ended, old, new), after, still)

    def observe(self, state):
        rows = jnp.arange(4)[:, None, None] < 2
        lit = jnp.where(state.target % 2 == 0, rows, ~rows)
        return {
            "picture": jnp.broadcast_to(lit, (4, 4, 1)).astype(jnp.float32),
            "turned": state.target // 2,
        }

    def _state(self, target, time, paid):
        return AimState(
            player=jnp.int32(0),
            legal=None,
            terminal=jnp.bool_(False),
            truncated=time >= 3,
            rewards=paid,
            target=target,
            time=time,
        )


def steps_since_reset(reset):
    """The time of each step in its episode, int `[T, E]`, where all episodes begin at step 0."""
    time = np.zeros(reset.shape, int)
    for t in range(1, len(reset)):
        time[t] = np.where(reset[t], 0, time[t - 1] + 1)
    return time
