"""Environments with gymnax's interface: gymnax (Lange 2022), Craftax (Matthews et al. 2024,
arXiv:2402.16801) and POPGym Arcade (Wang et al. 2025, arXiv:2503.01450)."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

from games.errors import GameError
from games.hosted.host import HORIZON
from games.hosted.keys import raw
from games.hosted.names import RETURNS, imported, made
from games.hosted.translation import actions_of, observation_space
from games.solo import Moved, Solo

_DOWNLOADED = ("MNISTBandit-bsuite",)
_CRAFTAX = (
    "Craftax-Symbolic-v1",
    "Craftax-Pixels-v1",
    "Craftax-Classic-Symbolic-v1",
    "Craftax-Classic-Pixels-v1",
)


def gymnax_game(
    name: str, environment: str, parameters: dict[str, Any], horizon: int | None
) -> GymnaxGame:
    """`gymnax::CartPole-v1`. See `games.hosted.environment`. Parameters are those of the
    environment's class, or fields of its own parameters: `(max_steps_in_episode=200)`."""
    gymnax = imported(name, "gymnax")
    if _distribution_of_gymnax() != "gymnax":
        raise GameError(
            f"{name!r} needs gymnax, but popgym-arcade has installed stable-gymnax in its place; "
            "use another virtual environment for psro[gymnax]"
        )
    if environment in _DOWNLOADED:
        raise GameError(f"{name!r} downloads a data set when it is made, so it is not offered")
    return _game(name, environment, gymnax.registered_envs, parameters, horizon, gymnax.make)


def craftax_game(
    name: str, environment: str, parameters: dict[str, Any], horizon: int | None
) -> GymnaxGame:
    """`craftax::Craftax-Symbolic-v1`. See `games.hosted.environment`."""
    module = imported(name, "craftax.craftax_env")

    def make(environment: str) -> tuple[Any, Any]:
        env = module.make_craftax_env_from_name(environment, auto_reset=False)
        return env, env.default_params

    return _game(name, environment, _CRAFTAX, parameters, horizon, make)


def popgym_arcade_game(
    name: str, environment: str, parameters: dict[str, Any], horizon: int | None
) -> GymnaxGame:
    """`popgym_arcade::CartPoleEasy`. See `games.hosted.environment`. Parameters are those of
    `popgym_arcade.make`, such as `(partial_obs=True)`."""
    arcade = imported(name, "popgym_arcade")
    known = imported(name, "popgym_arcade.registration").REGISTERED_ENVIRONMENTS
    return _game(name, environment, known, parameters, horizon, arcade.make)


def _distribution_of_gymnax() -> str:
    """Which package the module is of: stable-gymnax puts itself in the place of gymnax."""
    names = importlib.metadata.packages_distributions().get("gymnax", ["gymnax"])
    return "stable-gymnax" if "stable-gymnax" in names else "gymnax"


def _game(
    name: str,
    environment: str,
    known: Iterable[str],
    parameters: dict[str, Any],
    horizon: int | None,
    make: Any,
) -> GymnaxGame:
    def game() -> GymnaxGame:
        _, defaults = make(environment)
        fields = {field.name for field in dataclasses.fields(defaults)}
        changed = {key: value for key, value in parameters.items() if key in fields}
        env, params = make(
            environment, **{key: v for key, v in parameters.items() if key not in fields}
        )
        params = dataclasses.replace(params, **changed)
        return GymnaxGame(name, env, params, RETURNS.get(environment), horizon)

    return made(name, environment, known, game)


class GymnaxGame(Solo):
    """Plays a gymnax environment without its own resets."""

    def __init__(
        self, name: str, env: Any, params: Any, max_return: float | None, horizon: int | None
    ):
        self._env, self._params = env, params
        self._limit = _limit(env, params)
        limits = [] if self._limit is None else [int(self._limit)]
        limits += [] if horizon is None else [horizon]
        self._actions = actions_of(name, env.action_space(params))
        super().__init__(
            name,
            observation_space=observation_space(env.observation_space(params)),
            action_space=self._actions.space,
            max_length=min(limits, default=HORIZON),
            max_return=max_return,
        )

    def _begin(self, key: jax.Array) -> tuple[Any, Any]:
        observation, inner = self._env.reset_env(raw(key), self._params)
        return inner, observation

    def _go(self, inner: Any, action: jax.Array, key: jax.Array) -> Moved:
        theirs = self._actions.theirs(action)
        observation, after, reward, done, _ = self._env.step_env(
            raw(key), inner, theirs, self._params
        )
        terminal, truncated = self._ends(after, jnp.asarray(done, bool))
        return Moved(
            inner=after,
            observation=observation,
            reward=reward,
            terminal=terminal,
            truncated=truncated,
        )

    def _ends(self, inner: Any, done: jax.Array) -> tuple[jax.Array, jax.Array]:
        """By the rules, and by a limit of length. Older interfaces report a limit as an end by the
        rules; there every end at the limit counts as the limit's."""
        if hasattr(self._env, "is_truncated"):
            return done, jnp.asarray(self._env.is_truncated(inner, self._params), bool)
        limit, time = self._limit, _first(inner, ("alreadyMove", "timestep", "time"))
        if limit is None or time is None:
            return done, jnp.bool_(False)
        return done & (time < limit), time >= limit


def _limit(env: Any, params: Any) -> Any:
    """Steps after which an episode is cut off, or None. Environments of POPGym Arcade know their
    limit themselves; the one among their parameters is stable-gymnax's default, a single step."""
    own = _first(env, ("max_steps_in_episode", "max_episode_length"))
    return _first(params, ("max_timesteps", "max_steps_in_episode")) if own is None else own


def _first(owner: Any, names: tuple[str, ...]) -> Any:
    """The first of these attributes that there is, or None."""
    return next((getattr(owner, name) for name in names if hasattr(owner, name)), None)
