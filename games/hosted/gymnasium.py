"""Environments with Gymnasium's interface, stepped on the host: Gymnasium's own (Towers et al.
2024, arXiv:2407.17032), with those of MuJoCo, and POPGym's (Morad et al. 2023, arXiv:2303.01859).

An episode is a function of its seed and its actions: what an environment draws after its reset, it
draws from its seed. One that draws from elsewhere is refused, as far as a trial shows it.

A mask in `info["action_mask"]`, such as Taxi's, says which numbers are legal: not zero where they
are. One of another size than the number of actions says nothing here.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np

from games.errors import GameError, sentence
from games.hosted.host import CUT, ENDED, HORIZON
from games.hosted.names import RETURNS, imported, unknown
from games.hosted.solo_host import HostedSolo, vector_size
from games.hosted.translation import actions_of, observation_space
from games.spaces import Box, Discrete

_PROBED_DECISIONS = 400
_MUJOCO, _POPGYM = "gymnasium.envs.mujoco.", "popgym-"


def gymnasium_game(
    name: str, environment: str, parameters: dict[str, Any], horizon: int | None
) -> HostedSolo:
    """`gymnasium::CartPole-v1`. See `games.hosted.environment`; without its version, an environment
    is the newest. Parameters are those of `gymnasium.make`, such as `(max_episode_steps=200)`."""
    gymnasium = imported(name, "gymnasium")
    return _game(name, environment, gymnasium.registry, parameters, horizon)


def mujoco_game(
    name: str, environment: str, parameters: dict[str, Any], horizon: int | None
) -> HostedSolo:
    """`mujoco::HalfCheetah-v5`: Gymnasium's environments of MuJoCo (Todorov et al. 2012)."""
    imported(name, "mujoco")
    registry = imported(name, "gymnasium").registry
    known = [own for own, spec in registry.items() if str(spec.entry_point).startswith(_MUJOCO)]
    return _game(name, environment, known, parameters, horizon)


def popgym_game(
    name: str, environment: str, parameters: dict[str, Any], horizon: int | None
) -> HostedSolo:
    """`popgym::RepeatPreviousEasy`: POPGym's own environments, in Python. (The same rules in JAX
    are `popjaxrl::RepeatPreviousEasy`.)"""
    imported(name, "popgym")
    known = {
        match[1]: own
        for own in imported(name, "gymnasium").registry
        if (match := re.fullmatch(_POPGYM + r"(.*)-v\d+", own))
    }
    return _game(name, environment, known, parameters, horizon, known.get)


def _game(
    name: str,
    environment: str,
    known: Iterable[str],
    parameters: dict[str, Any],
    horizon: int | None,
    identity: Callable[[str], Any] = str,
) -> HostedSolo:
    """The game of an environment that is in `known`; `identity` gives its name in the registry."""
    versions = [own for own in known if re.fullmatch(re.escape(environment) + r"-v\d+", own)]
    newest = max(versions, key=lambda own: int(own.rpartition("-v")[2]), default=environment)
    if newest not in known:
        unknown(name, environment, known)
    name = name.replace(f"::{environment}", f"::{newest}", 1)
    return HostedSolo(GymnasiumSimulator(name, identity(newest), parameters, horizon))


class GymnasiumSimulator:
    """A Gymnasium environment as a `games.hosted.solo_host.SoloSimulator`."""

    def __init__(self, name: str, own: str, parameters: dict[str, Any], horizon: int | None):
        """`own` is its name in Gymnasium's registry."""
        self.name = name
        self.idle: list[Any] = []
        """Environments of episodes that nobody holds any more."""
        self._own, self._parameters = own, parameters
        try:
            env = self._make()
            env.reset(seed=0)
        except Exception as error:  # of several kinds, depending on the environment
            raise GameError(f"Gymnasium cannot make {name!r}: {sentence(error)}") from None
        self.idle.append(env)
        self.observation_space = observation_space(env.observation_space)
        self.actions = actions_of(name, env.action_space)
        self.action_space = self.actions.space
        limits = (horizon, env.spec.max_episode_steps)
        self.max_length = min((limit for limit in limits if limit), default=HORIZON)
        random = self._try_out()
        self.max_return = 1.0 if own.startswith(_POPGYM) else RETURNS.get(own, random)

    def begin(self, digest: int) -> GymnasiumEpisode:
        env = self.idle.pop() if self.idle else self._make()
        return GymnasiumEpisode(self, env, digest >> 33)

    def write(self, seen: Any, vector: np.ndarray) -> None:
        """An observation, flat. Bytes become numbers from 0 to 1."""
        place = 0
        for leaf, value in zip(jax.tree.leaves(self.observation_space), _leaves(seen), strict=True):
            size = vector_size(leaf)
            value = np.asarray(value)
            is_byte = value.dtype == np.uint8 and isinstance(leaf, Box) and leaf.high == 1
            vector[place : place + size] = value.reshape(-1) / (255 if is_byte else 1)
            place += size

    def _make(self) -> Any:
        """Without the wrapper that checks, which doubles the time of small environments."""
        import gymnasium

        with warnings.catch_warnings(action="ignore"):  # older versions say that they are old
            return gymnasium.make(self._own, disable_env_checker=True, **self._parameters)

    def _try_out(self) -> float:
        """The largest return in random play, which no environment tells; 1 if nothing was paid."""
        try:
            one, other = list(self._random_play()), list(self._random_play())
        except Exception as error:  # of several kinds, depending on the environment
            raise GameError(f"{self.name!r} failed during play: {sentence(error)}") from None
        if not all(map(np.array_equal, one, other)):
            raise GameError(f"{self.name!r} draws random numbers that its seed does not determine")
        return float(max(abs(row[-1]) for row in one)) or 1.0

    def _random_play(self) -> Iterator[np.ndarray]:
        """What is seen, what is legal and then the return so far, after every decision."""
        generator, space = np.random.default_rng(0), self.action_space
        episode, length, total = self.begin(0), 0, 0.0
        for number in range(_PROBED_DECISIONS):
            if isinstance(space, Discrete) and episode.legal is not None:
                episode.play(int(generator.choice(np.flatnonzero(episode.legal))), 0)
            elif isinstance(space, Discrete):
                episode.play(int(generator.integers(space.num)), 0)
            else:
                action = generator.uniform(space.low, space.high, space.shape)
                episode.play(action.astype(np.float32), 0)
            length, total = length + 1, total + episode.reward
            seen = np.zeros(vector_size(self.observation_space), np.float32)
            episode.observe(seen)
            legal = () if episode.legal is None else episode.legal
            yield np.concatenate([seen.astype(float), legal, [total]])
            if episode.player < 0 or length == self.max_length:
                episode, length, total = self.begin((number + 1) << 33), 0, 0.0


class GymnasiumEpisode:
    """A Gymnasium environment in one episode, as a `games.hosted.solo_host.SoloEpisode`."""

    def __init__(self, simulator: GymnasiumSimulator, env: Any, seed: int):
        self.env, self.player, self.reward = env, 0, 0.0
        self._simulator = simulator
        self._seen, info = env.reset(seed=seed)
        self.legal = self._mask(info)

    def __del__(self) -> None:
        self._simulator.idle.append(self.env)

    def play(self, action: Any, digest: int) -> None:
        number = np.int32(action) if isinstance(action, int) else action
        theirs = self._simulator.actions.theirs(number)
        self._seen, reward, terminated, truncated, info = self.env.step(theirs)
        self.reward = float(reward)
        if terminated or truncated:  # a state of the rules' end stays one at the limit
            self.player = ENDED if terminated else CUT
        self.legal = self._mask(info)

    def _mask(self, info: dict[str, Any]) -> np.ndarray | None:
        """The legal numbers, bool `[A]`; None if the environment does not say."""
        mask, space = info.get("action_mask"), self._simulator.action_space
        if mask is None or not isinstance(space, Discrete) or np.shape(mask) != (space.num,):
            return None
        legal = np.asarray(mask) != 0
        if self.player >= 0 and not legal.any():
            raise ValueError("its action_mask allows no action")
        return legal

    def observe(self, vector: np.ndarray) -> None:
        self._simulator.write(self._seen, vector)


def _leaves(seen: Any) -> list[Any]:
    """The leaves of an observation, in the order of its space's."""
    if isinstance(seen, dict):
        return [leaf for key in sorted(seen) for leaf in _leaves(seen[key])]
    if isinstance(seen, tuple):
        return [leaf for part in seen for leaf in _leaves(part)]
    return [seen]
