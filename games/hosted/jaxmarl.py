"""JaxMARL's environments (Rutherford et al. 2023, arXiv:2311.10090).

All agents act at once there. Here they choose one after another, in JaxMARL's order, and none sees
what another has chosen; after the last choice the environment makes its step and pays. So seats
have their own returns whether the agents are rivals or partners.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from games.errors import GameError, sentence
from games.game import Game, State
from games.hosted.keys import raw
from games.hosted.names import imported, unknown
from games.random_play import largest_return
from games.spaces import Box


def jaxmarl_game(name: str, environment: str, parameters: dict[str, Any], horizon: int) -> Game:
    """See `games.hosted.environment`."""
    imported(name, "jaxmarl.environments")
    jaxmarl = imported(name, "jaxmarl")
    if environment not in jaxmarl.registered_envs:
        unknown(name, environment, jaxmarl.registered_envs)
    try:
        env = jaxmarl.make(environment, **parameters)
    except Exception as error:  # of several kinds, depending on the environment
        raise GameError(f"JaxMARL cannot make {name!r}: {sentence(error)}") from None
    if env.num_agents < 2:
        raise GameError(f"{name!r} has {env.num_agents} player; a population needs opponents")
    for agent in env.agents:
        if not hasattr(env.action_space(agent), "n"):
            raise GameError(f"the actions of {agent!r} in {name!r} are no finite set")
    return JaxMarlGame(name, env, horizon)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class JaxMarlState(State):
    """JaxMARL's own state and what was chosen since.

    Attributes:
        inner: JaxMARL's.
        observations: of all agents, float32 `[P, O]`; zeros follow the shorter ones.
        available: their legal actions, bool `[P, A]`.
        chosen: their choices so far, int32 `[P]`.
        count: decisions so far, int32 `[]`.
    """

    inner: Any
    observations: jax.Array
    available: jax.Array
    chosen: jax.Array
    count: jax.Array


class JaxMarlGame(Game[JaxMarlState]):
    """Plays a `jaxmarl` environment by turns, for at most `horizon` decisions."""

    def __init__(self, name: str, env: Any, horizon: int):
        self.name = name
        self.num_players = env.num_agents
        self._env = env
        self._sizes = [int(env.action_space(agent).n) for agent in env.agents]
        self.num_actions = max(self._sizes)
        shown, _ = jax.eval_shape(lambda: env.reset(jax.random.key_data(jax.random.key(0))))
        leaves = [jax.tree.leaves(shown[agent]) for agent in env.agents]
        self.observation_size = max(sum(leaf.size for leaf in seen) for seen in leaves)
        shapes = {tuple(leaf.shape for leaf in seen) for seen in leaves}
        only = next(iter(shapes)) if len(shapes) == 1 else ()
        # One array of the same shape for all stays as it is; others are flattened.
        self.observation_space = Box(only[0] if len(only) == 1 else (self.observation_size,))
        rounds = max(1, horizon // self.num_players)
        self.max_length = self.num_players * min(rounds, getattr(env, "max_steps", None) or rounds)

    @functools.cached_property
    def max_return(self) -> float:
        """JaxMARL does not say; the largest in random play."""
        return largest_return(self)

    def init(self, key: jax.Array) -> JaxMarlState:
        observations, inner = self._env.reset(raw(key))
        return self._state(
            inner=inner,
            observations=self._padded(observations),
            available=self._available(inner),
            terminal=jnp.bool_(False),
            rewards=jnp.zeros(self.num_players),
            chosen=jnp.zeros(self.num_players, jnp.int32),
            count=jnp.int32(0),
        )

    def step(self, state: JaxMarlState, action: jax.Array, key: jax.Array) -> JaxMarlState:
        follows = (state.legal & (jnp.arange(self.num_actions) == action)).any()
        chosen = state.chosen.at[state.player].set(jnp.where(follows, action, 0))
        acts = follows & (state.player == self.num_players - 1)
        observations, inner, rewards, done, _ = self._env.step_env(
            raw(key), state.inner, dict(zip(self._env.agents, chosen, strict=True))
        )
        paid = jnp.stack([rewards[agent] for agent in self._env.agents])
        new = inner, self._padded(observations), self._available(inner), done["__all__"]
        old = state.inner, state.observations, state.available, state.terminal
        inner, observations, available, terminal = jax.tree.map(
            lambda new, old: jnp.where(acts, new, old).astype(old.dtype), new, old
        )
        return self._state(
            inner=inner,
            observations=observations,
            available=available,
            terminal=terminal,
            rewards=jnp.where(acts, paid, 0.0),
            chosen=jnp.where(follows, chosen, state.chosen),
            count=state.count + follows,
        )

    def observe(self, state: JaxMarlState) -> jax.Array:
        seen = jnp.where(state.ended, 0.0, state.observations[state.player])
        return seen.reshape(self.observation_space.shape)

    def _state(self, *, terminal, rewards, available, count, **fields) -> JaxMarlState:
        ended = terminal | (count >= self.max_length)
        player = jnp.where(ended, 0, count % self.num_players)
        return JaxMarlState(
            player=player,
            legal=available[player] & ~ended,
            terminal=terminal,
            truncated=ended & ~terminal,
            rewards=rewards.astype(jnp.float32),
            available=available,
            count=count,
            **fields,
        )

    def _padded(self, observations: dict[str, jax.Array]) -> jax.Array:
        vectors = [
            jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(observations[agent])])
            for agent in self._env.agents
        ]
        return jnp.stack(
            [
                jnp.pad(vector.astype(jnp.float32), (0, self.observation_size - len(vector)))
                for vector in vectors
            ]
        )

    def _available(self, inner: Any) -> jax.Array:
        """What each agent may do. An environment that does not say allows all of its actions."""
        numbers = jnp.arange(self.num_actions)
        all_actions = jnp.stack([numbers < size for size in self._sizes])
        try:
            masks = self._env.get_avail_actions(inner)
        except (AttributeError, NotImplementedError):
            return all_actions
        padded = [
            jnp.pad(masks[agent].astype(bool), (0, self.num_actions - len(masks[agent])))
            for agent in self._env.agents
        ]
        return jnp.stack(padded) & all_actions
