"""Environments for one player of libraries in JAX, each with an interface of its own: Brax (Freeman
et al. 2021, arXiv:2106.13281), Jumanji (Bonnet et al. 2023, arXiv:2306.09884), NAVIX (Pignatelli et
al. 2024, arXiv:2407.19396) and XLand-MiniGrid (Nikulin et al. 2023, arXiv:2312.12044).

Their own resets within a step are never used.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from games.errors import GameError
from games.hosted.host import HORIZON
from games.hosted.keys import raw
from games.hosted.names import imported, made
from games.hosted.translation import Actions, actions_of, between, numbers
from games.solo import Moved, Solo
from games.spaces import Box, Discrete


def _least(*limits: Any) -> int:
    return min((int(limit) for limit in limits if limit), default=HORIZON)


def brax_game(
    name: str, environment: str, parameters: dict[str, Any], horizon: int | None
) -> BraxGame:
    """`brax::ant`, `brax::hopper(backend=spring)`. See `games.hosted.environment`."""
    envs = imported(name, "brax.envs")
    return made(
        name, environment, envs._envs,
        lambda: BraxGame(name, envs.get_environment(environment, **parameters), horizon),
    )  # fmt: skip


class BraxGame(Solo):
    """Brax has no limit of length of its own; its training uses 1,000 steps, as here."""

    def __init__(self, name: str, env: Any, horizon: int | None):
        self._env = env
        super().__init__(
            name,
            observation_space=Box((env.observation_size,)),
            action_space=between(name, (env.action_size,), -1.0, 1.0).space,
            max_length=_least(horizon),
        )

    def _begin(self, key: jax.Array) -> tuple[Any, Any]:
        inner = self._env.reset(raw(key))
        return inner, inner.obs

    def _go(self, inner: Any, action: jax.Array, key: jax.Array) -> Moved:
        after = self._env.step(inner, action)
        return Moved(
            inner=after,
            observation=after.obs,
            reward=after.reward,
            terminal=after.done > 0,
            truncated=jnp.bool_(False),
        )


def navix_game(
    name: str, environment: str, parameters: dict[str, Any], horizon: int | None
) -> NavixGame:
    """`navix::Navix-Empty-5x5-v0`. See `games.hosted.environment`; a parameter is `max_steps`."""
    navix = imported(name, "navix")
    return made(
        name, environment, navix.registry(),
        lambda: NavixGame(name, navix.make(environment, **parameters), horizon),
    )  # fmt: skip


class NavixGame(Solo):
    """A grid of kinds, one-hot. An episode is cut off after `max_steps`."""

    def __init__(self, name: str, env: Any, horizon: int | None):
        self._env = env
        shown, acts = env.observation_space, env.action_space
        super().__init__(
            name,
            observation_space=numbers(
                tuple(shown.shape), 0, int(np.max(shown.maximum)), whole=True
            ),
            action_space=Discrete(int(acts.maximum) + 1),
            max_length=_least(horizon, env.max_steps),
        )

    def _begin(self, key: jax.Array) -> tuple[Any, Any]:
        inner = self._env.reset(raw(key))
        return inner, inner.observation

    def _go(self, inner: Any, action: jax.Array, key: jax.Array) -> Moved:
        after = self._env._step(inner, action)  # `step` would also reset
        return Moved(
            inner=after,
            observation=after.observation,
            reward=after.reward,
            terminal=after.is_termination(),
            truncated=after.is_truncation(),
        )


def xminigrid_game(
    name: str, environment: str, parameters: dict[str, Any], horizon: int | None
) -> XMiniGridGame:
    """`xminigrid::MiniGrid-Empty-8x8`. See `games.hosted.environment`; parameters are fields of its
    `EnvParams`, such as `(view_size=5)`."""
    xminigrid = imported(name, "xminigrid")
    return made(
        name, environment, xminigrid.registered_environments(),
        lambda: XMiniGridGame(name, *xminigrid.make(environment, **parameters), horizon),
    )  # fmt: skip


class XMiniGridGame(Solo):
    """What the agent sees is a grid of tiles and of colours, kinds both."""

    def __init__(self, name: str, env: Any, params: Any, horizon: int | None):
        self._env, self._params = env, params
        shape = env.observation_shape(params)
        if isinstance(shape, dict):
            raise GameError(f"{name!r} shows several things at once, which is not offered")
        super().__init__(
            name,
            observation_space=Discrete(16, tuple(shape)),  # 15 tiles, 14 colours
            action_space=Discrete(int(env.num_actions(params))),
            max_length=_least(horizon, params.max_steps),
            max_return=1.0,
        )

    def _begin(self, key: jax.Array) -> tuple[Any, Any]:
        inner = self._env.reset(self._params, raw(key))
        return inner, inner.observation

    def _go(self, inner: Any, action: jax.Array, key: jax.Array) -> Moved:
        after = self._env.step(self._params, inner, action)
        return Moved(
            inner=after,
            observation=after.observation,
            reward=after.reward,
            terminal=after.last() & (after.discount == 0),
            truncated=after.last() & (after.discount > 0),
        )


def jumanji_game(
    name: str, environment: str, parameters: dict[str, Any], horizon: int | None
) -> JumanjiGame:
    """`jumanji::Snake-v1`. See `games.hosted.environment`; parameters are those of its class."""
    jumanji = imported(name, "jumanji")
    return made(
        name, environment, jumanji.registered_environments(),
        lambda: JumanjiGame(name, jumanji.make(environment, **parameters), horizon),
    )  # fmt: skip


class JumanjiGame(Solo):
    """Observations are a dict of what Jumanji shows; its masks say which actions are legal."""

    def __init__(self, name: str, env: Any, horizon: int | None):
        self._env = env
        self._actions = _jumanji_actions(name, env.action_spec)
        shown = jax.eval_shape(lambda: env.reset(raw(jax.random.key(0)))[1].observation)
        self._has_mask = hasattr(shown, "action_mask")
        specs = _named(shown)
        bounds = _bounds(env.observation_spec)
        super().__init__(
            name,
            observation_space={
                place: numbers(
                    tuple(leaf.shape),
                    *bounds.get(place, (-np.inf, np.inf)),
                    whole=not jnp.issubdtype(leaf.dtype, jnp.floating),
                )
                for place, leaf in specs.items()
            },
            action_space=self._actions.space,
            max_length=_least(horizon, getattr(env, "time_limit", None)),
        )

    def _begin(self, key: jax.Array) -> tuple[Any, Any]:
        inner, step = self._env.reset(raw(key))
        return (inner, self._mask(step)), _named(step.observation)

    def _go(self, inner: Any, action: jax.Array, key: jax.Array) -> Moved:
        after, step = self._env.step(inner[0], self._actions.theirs(action))
        return Moved(
            inner=(after, self._mask(step)),
            observation=_named(step.observation),
            reward=step.reward,
            terminal=step.last() & (step.discount == 0),
            truncated=step.last() & (step.discount > 0),
        )

    def _mask(self, step: Any) -> Any:
        if not self._has_mask or isinstance(self._actions.space, Box):
            return ()
        mask = step.observation.action_mask.reshape(-1)
        return mask if mask.size == self._actions.space.num else ()

    def _legal(self, inner: Any, observation: Any) -> jax.Array:
        mask = inner[1]
        return super()._legal(inner, observation) if isinstance(mask, tuple) else mask


def _named(observation: Any) -> dict[str, Any]:
    """Every array of an observation by its place in it."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(observation)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def _bounds(spec: Any, prefix: str = "") -> dict[str, tuple[float, float]]:
    """The bounds of every array that has some, by its place in an observation."""
    parts = getattr(spec, "_specs", None)
    if parts is None:
        if hasattr(spec, "minimum"):
            return {prefix: (float(np.min(spec.minimum)), float(np.max(spec.maximum)))}
        return {}
    found: dict[str, tuple[float, float]] = {}
    for name, part in parts.items():
        found |= _bounds(part, f"{prefix}.{name}" if prefix else name)
    return found


def _jumanji_actions(name: str, spec: Any) -> Actions:
    """Jumanji's specs have other names than Gym's spaces."""
    if hasattr(spec, "num_values"):
        values = np.asarray(spec.num_values)
        return actions_of(
            name, type("Numbers", (), {"nvec": values} if values.ndim else {"n": values})()
        )
    return between(name, tuple(spec.shape), spec.minimum, spec.maximum)
