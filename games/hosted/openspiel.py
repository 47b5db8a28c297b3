"""Any game that OpenSpiel can step, on the host.

Decisions a CPU second, one process, 512 environments. "random": random play. "LSTM": a network of
64 units acts. "ordered": the same network, states kept on the host and stepped by an ordered
`io_callback`. The difference between the last two is what it costs to be a function of a history.

    game           random     LSTM   ordered
    phantom_ttt   310,000  246,000   273,000
    leduc_poker   230,000  152,000   230,000
    hearts         70,000   38,000    44,000
    gin_rummy      45,000   40,000    47,000
    dark_chess      8,100    6,700     7,400   (80 % of it draws from 4,674 actions)

OpenSpiel's states took 2 of the 3 microseconds in phantom tic-tac-toe. Processes that step states
side by side could save little of a training's time, and are not built.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pyspiel

from games.errors import MAX_RETURN, GameError
from games.hosted.chance import Chance
from games.hosted.game import HostedGame
from games.hosted.host import ENDED, HORIZON
from games.readers.openspiel import tensor_name
from games.readers.sources import playable, seeded

_PROBED_DECISIONS = 50
Writer = Callable[[pyspiel.State, int, np.ndarray], None]
_CHANCE = int(pyspiel.PlayerId.CHANCE)


def hosted_game(name: str, *, observation: str | None = None, horizon: int = HORIZON) -> HostedGame:
    """An OpenSpiel game by its string, stepped on the host.

    Simultaneous moves become turns. A game that hides its chance (`negotiation`) is played if it
    has a parameter `rng_seed`, which is then every episode's own.

    Args:
        name: `"gin_rummy"`, `"phantom_go(board_size=5)"`; or a Python game that is registered.
        observation: the policy's input, one of `games.OBSERVATIONS`; None takes the first provided.
        horizon: an episode ends after so many decisions, `truncated`.

    Raises:
        GameError: the game is unknown, is for one player, or provides no such tensor.
    """
    if horizon < 1:
        raise GameError(f"horizon = {horizon} must be at least 1")
    simulator = OpenSpielSimulator(name, observation, horizon)
    hosted, total = HostedGame(simulator), simulator.game.utility_sum()
    # An episode that is cut off pays what it has paid so far, which adds up only where it is zero.
    if total == 0 or simulator.game.max_game_length() <= horizon:
        hosted.utility_sum = total
    return hosted


class OpenSpielSimulator:
    """An OpenSpiel game as a `games.hosted.host.Simulator`."""

    def __init__(self, name: str, observation: str | None, horizon: int):
        game = playable(name)
        kind = game.get_type()
        self.name = name
        self.game = game
        self.num_players = game.num_players()
        self.num_actions = game.num_distinct_actions()
        self.observation = tensor_name(name, game, observation)
        self.observation_size = math.prod(getattr(game, f"{self.observation}_tensor_shape")())
        self.max_length = min(horizon, game.max_game_length())
        self.is_random = kind.chance_mode == pyspiel.GameType.ChanceMode.EXPLICIT_STOCHASTIC
        self.pays_at_steps = kind.reward_model == pyspiel.GameType.RewardModel.REWARDS
        self._hides_chance = kind.chance_mode == pyspiel.GameType.ChanceMode.SAMPLED_STOCHASTIC
        if self._hides_chance and "rng_seed" not in game.get_parameters():
            raise GameError(
                f"{name!r} hides its chance, and has no parameter rng_seed that could repeat it"
            )
        self._root = None if self._hides_chance else game.new_initial_state()
        self._check_actions()
        self.write = self._writer()
        self.max_return = self._max_return()

    def begin(self, digest: int) -> OpenSpielEpisode:
        """Copies a first state: to make one takes a millisecond in some games."""
        if self._hides_chance:
            root = seeded(self.game, digest >> 33)
            return OpenSpielEpisode(self, root.new_initial_state(), digest)
        return OpenSpielEpisode(self, self._root.clone(), digest)

    def _writer(self) -> Writer:
        """Writes a state's tensor into a vector. OpenSpiel's observers do so without a list of
        Python numbers, 2 to 100 times faster; they are used where they write the same."""
        ask = f"{self.observation}_tensor"

        def plain(state: pyspiel.State, player: int, vector: np.ndarray) -> None:
            vector[:] = getattr(state, ask)(player)

        recalls = pyspiel.IIGObservationType(perfect_recall=self.observation == "information_state")
        try:
            observer = pyspiel._Observation(self.game, self.game.make_observer(recalls, {}))
            tensor = np.frombuffer(observer, np.float32)
        except Exception:  # of several kinds: Python games have observers of their own
            return plain
        set_from = observer.set_from

        def fast(state: pyspiel.State, player: int, vector: np.ndarray) -> None:
            set_from(state, player)
            vector[:] = tensor

        return fast if self._write_the_same(plain, fast) else plain

    def _write_the_same(self, plain: Writer, fast: Writer) -> bool:
        vectors = np.zeros((2, self.observation_size), np.float32)
        for episode in self._random_play(_PROBED_DECISIONS):
            try:
                fast(episode.state, episode.player, vectors[0])
            except Exception:  # of several kinds; other lengths among them
                return False
            plain(episode.state, episode.player, vectors[1])
            if not np.array_equal(*vectors):
                return False
        return True

    def _check_actions(self) -> None:
        for episode in self._random_play(_PROBED_DECISIONS):
            most = max(episode.legal_actions())
            if most >= self.num_actions:
                raise GameError(
                    f"{self.name!r} says that it has {self.num_actions} actions, numbered from 0, "
                    f"and has an action {most}"
                )

    def _max_return(self) -> float:
        """The largest that OpenSpiel says; where that is no bound, the largest of random play."""
        most = max(abs(self.game.min_utility()), abs(self.game.max_utility()))
        if 0 < most <= MAX_RETURN:
            return most
        returns = [episode.returns() for episode in self._random_play(10 * _PROBED_DECISIONS)]
        return float(np.nanmax(np.abs(returns), initial=0)) or 1.0

    def _random_play(self, num_decisions: int) -> Iterator[OpenSpielEpisode]:
        """An episode before each of its decisions; the same every time."""
        generator = np.random.default_rng(0)
        episode = self.begin(0)
        for digest in range(1, num_decisions):
            if episode.player == ENDED:
                episode = self.begin(digest)
            else:
                yield episode
                episode.play(int(generator.choice(episode.legal_actions())), digest)


class OpenSpielEpisode:
    """A pyspiel state after chance, as a `games.hosted.host.Episode`."""

    __slots__ = ("_simulator", "player", "state")

    def __init__(self, simulator: OpenSpielSimulator, state: pyspiel.State, digest: int):
        self._simulator = simulator
        self.state = state
        self._resolve(digest)

    def play(self, action: int, digest: int) -> None:
        self.state.apply_action(action)
        self._resolve(digest)

    def legal_actions(self) -> list[int]:
        return self.state.legal_actions()

    def observe(self, vector: np.ndarray) -> None:
        self._simulator.write(self.state, self.player, vector)

    def returns(self) -> list[float]:
        return self.state.returns()

    def _resolve(self, digest: int) -> None:
        state, player = self.state, self.state.current_player()
        if player == _CHANCE:
            chance = Chance(digest)
            while player == _CHANCE:
                state.apply_action(_drawn(state.chance_outcomes(), chance.uniform()))
                player = state.current_player()
        self.player = player if player >= 0 else ENDED


def _drawn(outcomes: list[tuple[int, float]], place: float) -> int:
    """The outcome at a place in [0, 1) of the cumulative probabilities."""
    for action, probability in outcomes:
        place -= probability
        if place < 0:
            return action
    return next(action for action, probability in reversed(outcomes) if probability > 0)
