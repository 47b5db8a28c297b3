"""PettingZoo's environments in which agents take turns (Terry et al. 2021, arXiv:2009.14471).

An episode is a function of its seed and its actions: what an environment draws after its reset, it
draws from its seed. One that draws from elsewhere is refused, as far as a trial shows it.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from games.errors import GameError, sentence
from games.hosted.game import HostedGame
from games.hosted.host import CUT, ENDED
from games.hosted.names import imported, unknown

FAMILIES = ("classic", "butterfly", "atari", "sisl")
_PROBED_DECISIONS = 400


def pettingzoo_game(
    name: str, environment: str, parameters: dict[str, Any], horizon: int
) -> HostedGame:
    """See `games.hosted.environment`; without its version, an environment is the newest."""
    zoo = imported(name, "pettingzoo")
    imported(name, "gymnasium")
    folders = [str(Path(zoo.__path__[0], family)) for family in FAMILIES]
    places = {
        module.name: f"pettingzoo.{Path(module.module_finder.path).name}.{module.name}"
        for module in pkgutil.iter_modules(folders)
        if re.search(r"_v\d+$", module.name)
    }
    versions = [place for place in places if re.fullmatch(re.escape(environment) + r"_v\d+", place)]
    newest = max(
        versions, key=lambda version: int(version.rpartition("_v")[2]), default=environment
    )
    if newest not in places:
        unknown(name, environment, places)
    name = name.replace(f"::{environment}", f"::{newest}", 1)
    return HostedGame(AecSimulator(name, imported(name, places[newest]), parameters, horizon))


class AecSimulator:
    """A PettingZoo environment as a `games.hosted.host.Simulator`."""

    is_random = False  # all is drawn from the seed of the episode
    pays_at_steps = True

    def __init__(self, name: str, module: ModuleType, parameters: dict[str, Any], horizon: int):
        self.name = name
        self.max_length = horizon
        self.idle: list[Any] = []
        """Environments of episodes that nobody holds any more."""
        self._module, self._parameters = module, parameters
        try:
            env = self._make()
            env.reset(seed=0)
        except Exception as error:  # of several kinds, depending on the environment
            raise GameError(f"PettingZoo cannot make {name!r}: {sentence(error)}") from None
        self.agents = list(env.possible_agents)
        self.num_players = len(self.agents)
        if self.num_players < 2:
            raise GameError(f"{name!r} has {self.num_players} player; a population needs opponents")
        self._read_spaces(env)
        self.idle.append(env)
        self.max_return = self._try_out()

    def begin(self, digest: int) -> AecEpisode:
        env = self.idle.pop() if self.idle else self._make()
        env.reset(seed=digest >> 33)
        return AecEpisode(self, env)

    def _make(self) -> Any:
        """Without PettingZoo's wrappers, which check what is never wrong here: at most twice as
        fast. Where agents act at once, only a wrapper makes them take turns."""
        from pettingzoo import AECEnv

        raw = getattr(self._module, "raw_env", None)
        env = raw(**self._parameters) if raw else None
        return env if isinstance(env, AECEnv) else self._module.env(**self._parameters)

    def _read_spaces(self, env: Any) -> None:
        from gymnasium import spaces

        self._flatten = spaces.flatten
        self._shown = {}
        self.hides_nothing = self._module.__name__.rpartition(".")[2].startswith("chess_")
        for agent in self.agents:
            actions, shown = env.action_space(agent), env.observation_space(agent)
            if not isinstance(actions, spaces.Discrete) or actions.start != 0:
                raise GameError(
                    f"the actions of {agent!r} in {self.name!r} are {actions}, and only numbers "
                    "from 0 on can be played"
                )
            keyed = isinstance(shown, spaces.Dict) and "observation" in shown.spaces
            self._shown[agent] = shown["observation"] if keyed else shown
        self.shapes = [self._shown[agent].shape or (1,) for agent in self.agents]
        if not all(isinstance(shown, spaces.Box) for shown in self._shown.values()):
            self.shapes = None  # flattened in ways of their own
        self.sizes = [int(env.action_space(agent).n) for agent in self.agents]
        self.num_actions = max(self.sizes)
        try:
            self.observation_size = max(map(spaces.flatdim, self._shown.values()))
        except (NotImplementedError, ValueError):
            raise GameError(f"what players see in {self.name!r} has no fixed size") from None

    def write(self, agent: str, seen: Any, vector: np.ndarray) -> None:
        """A flat observation; zeros follow a shorter one."""
        seen = seen["observation"] if isinstance(seen, dict) and "observation" in seen else seen
        flat = self._flatten(self._shown[agent], seen)
        vector[: len(flat)] = flat
        vector[len(flat) :] = 0

    def _try_out(self) -> float:
        """The largest return in random play, which no environment tells; 1 if nothing was paid."""
        try:
            one, other = list(self._random_play()), list(self._random_play())
        except Exception as error:  # of several kinds, depending on the environment
            raise GameError(f"{self.name!r} failed during play: {sentence(error)}") from None
        if not all(map(np.array_equal, one, other)):
            raise GameError(f"{self.name!r} draws random numbers that its seed does not determine")
        return float(max(np.abs(row[-self.num_players :]).max() for row in one)) or 1.0

    def _random_play(self) -> Iterator[np.ndarray]:
        """What the players see, and then their returns, at every decision."""
        generator = np.random.default_rng(0)
        episode, length = self.begin(0), 0
        for number in range(_PROBED_DECISIONS):
            seen = np.zeros(self.observation_size, np.float32)
            if episode.player >= 0:
                episode.observe(seen)
                actions = episode.legal_actions()
                if not actions or max(actions) >= self.num_actions:
                    raise ValueError(f"its legal actions were {actions}")
                episode.play(int(generator.choice(actions)), 0)
                length += 1
            yield np.concatenate([seen, episode.returns()])
            if episode.player < 0 or length == self.max_length:
                episode, length = self.begin((number + 1) << 33), 0


class AecEpisode:
    """A PettingZoo environment in one episode, as a `games.hosted.host.Episode`."""

    def __init__(self, simulator: AecSimulator, env: Any):
        self.env = env
        self._simulator = simulator
        self._returns = np.zeros(simulator.num_players)
        self._is_cut = False
        self._pass_over_the_dead()

    def __del__(self) -> None:
        self._simulator.idle.append(self.env)

    def play(self, action: int, digest: int) -> None:
        self.env.step(action)
        self._pay()
        self._pass_over_the_dead()

    def legal_actions(self) -> list[int]:
        env, agent = self.env, self.env.agent_selection
        seen = env.observe(agent)
        mask = seen.get("action_mask") if isinstance(seen, dict) else None
        mask = env.infos[agent].get("action_mask") if mask is None else mask
        if mask is None:
            return list(range(self._simulator.sizes[self.player]))
        return np.flatnonzero(mask).tolist()

    def observe(self, vector: np.ndarray) -> None:
        agent = self.env.agent_selection
        self._simulator.write(agent, self.env.observe(agent), vector)

    @property
    def hides_nothing(self) -> bool:
        """Whether every player may see what `drawn` shows."""
        return self._simulator.hides_nothing

    def drawn(self) -> str | None:
        """The whole board as text, hidden or not; None where the environment draws none."""
        env = self.env.unwrapped
        if "ansi" not in env.metadata.get("render_modes", ()):
            return None
        mode, env.render_mode = env.render_mode, "ansi"
        try:
            return str(env.render())
        finally:
            env.render_mode = mode

    def action_name(self, action: int) -> str | None:
        """A move of chess, such as e2e4; None in other environments."""
        if not self.hides_nothing or self.player < 0:
            return None
        from pettingzoo.classic.chess import chess_utils

        return chess_utils.action_to_move(self.env.unwrapped.board, action, self.player).uci()

    def returns(self) -> np.ndarray:
        return self._returns.copy()

    def _pay(self) -> None:
        rewards = self.env.rewards
        self._returns += [rewards.get(agent, 0.0) for agent in self._simulator.agents]

    def _pass_over_the_dead(self) -> None:
        """To the next agent that acts. The others leave one by one, as PettingZoo has it."""
        env = self.env
        while env.agents:
            agent = env.agent_selection
            if not (env.terminations[agent] or env.truncations[agent]):
                self.player = self._simulator.agents.index(agent)
                return
            self._is_cut |= not env.terminations[agent]
            env.step(None)
        self.player = CUT if self._is_cut else ENDED
