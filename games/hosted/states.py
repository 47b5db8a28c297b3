"""States of other libraries' environments, one by one, for bots and for people.

They have those methods of `pyspiel.State` that bots, matches and replays call.
"""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from games.errors import GameError
from games.game import Game
from games.hosted import environment
from games.hosted.game import HostedGame
from games.hosted.words import action_name, in_words
from games.readers.states import OwnDecision, own_decision


@dataclasses.dataclass(frozen=True)
class Move:
    """A move that was made, as in `pyspiel.State.full_history`, and its name where it was made: in
    chess the same number is another move elsewhere."""

    player: int
    action: int
    name: str


class EnvironmentStates:
    """The states of an environment, as `games.readers.states.States` are OpenSpiel's.

    Args:
        game: from `games.hosted.environment`.
        name: the name that it was made by.
    """

    tree = None
    hides_chance = True

    def __init__(self, game: Game, name: str):
        self.rules, self.name = game, name
        self.init, self.step = jax.jit(game.init), jax.jit(game.step)

    def __reduce__(self):
        return _opened, (self.name,)

    @property
    def game(self):
        """Raises GameError: there is no game of OpenSpiel's."""
        raise GameError(
            f"{self.name!r} is not one of OpenSpiel's games: it has bots, and no OpenSpiel policy"
        )

    def new_state(self, seed: int) -> EnvironmentState:
        """The first state of an episode; all chance in it is a function of the seed and the
        moves."""
        return EnvironmentState(self, seed)

    def way(self, player: int) -> EnvironmentWay:
        return EnvironmentWay(player)


def _opened(name: str) -> EnvironmentStates:
    return EnvironmentStates(environment(name), name)


class EnvironmentState:
    """An episode of an environment, which changes with every move.

    Attributes:
        is_cut: whether a limit of length has ended it.
    """

    def __init__(self, states: EnvironmentStates, seed: int):
        self._states = states
        self._key = jax.random.key(seed)
        self._moves: list[Move] = []
        self._decisions: dict[int, list[OwnDecision]] = {
            player: [] for player in range(states.rules.num_players)
        }
        self._returns = np.zeros(states.rules.num_players)
        self._replayed = None
        self._arrive(jax.device_get(states.init(self._next_key())))

    def current_player(self) -> int:
        """The seat to move; -4 where the episode has ended, as in OpenSpiel."""
        return -4 if self.is_terminal() else int(self._inner.player)

    def is_terminal(self) -> bool:
        """Whether the episode has ended, by the rules or by a limit of length."""
        return bool(self._inner.terminal) or self.is_cut

    def is_chance_node(self) -> bool:
        return False

    def legal_actions(self) -> list[int]:
        return np.flatnonzero(self._inner.legal).tolist()

    def apply_action(self, action: int) -> None:
        if action not in self.legal_actions():
            raise GameError(f"action {action} is not legal here")
        player = self.current_player()
        self._moves.append(Move(player, action, self.action_to_string(player, action)))
        inner = jax.device_get(self._states.step(self._inner, np.int32(action), self._next_key()))
        if self._replayed is not None:
            self._replayed.play(action, int(inner.digest.view(np.uint64)[0]))
        self._arrive(inner)

    def action_to_string(self, player: int, action: int) -> str:
        drawn = self._episode()
        named = getattr(drawn, "action_name", lambda _: None)(action)
        return named or action_name(self._states.name, action)

    def observation_string(self, player: int) -> str:
        """What the player saw at its latest decision, in words; or the board, if the environment
        draws one on which nothing is hidden."""
        episode = self._episode()
        if getattr(episode, "hides_nothing", False):
            return episode.drawn()
        decisions, shapes = self._decisions[player], getattr(self._states.rules, "shapes", None)
        if not decisions:
            return "nothing yet"
        seen = decisions[-1].observation
        if shapes is not None:
            shape = shapes[player]
            seen = seen.ravel()[: int(np.prod(shape))].reshape(shape)
        return in_words(seen)

    def returns(self) -> list[float]:
        return self._returns.tolist()

    def history(self) -> list[int]:
        return [move.action for move in self._moves]

    def full_history(self) -> list[Move]:
        return list(self._moves)

    def decisions(self, player: int) -> list[OwnDecision]:
        """The player's decisions until now; the last is to be made if it is the player's turn."""
        return list(self._decisions[player])

    def __str__(self) -> str:
        """All moves, one on each line, and the board if the environment draws one."""
        lines = [f"player {move.player}: {move.name}" for move in self._moves]
        board = getattr(self._episode(), "drawn", lambda: None)()
        return "\n".join(lines if board is None else [*lines, board])

    def _next_key(self) -> jax.Array:
        return jax.random.fold_in(self._key, len(self._moves))

    def _arrive(self, inner) -> None:
        self._inner = inner
        self.is_cut = bool(self._inner.truncated)
        self._returns += np.asarray(self._inner.rewards, np.float64)
        if not self.is_terminal():
            player = int(self._inner.player)
            own = [move.action for move in self._moves if move.player == player]
            seen = np.asarray(self._states.rules.observe(self._inner), np.float32)
            self._decisions[player].append(
                own_decision(
                    seen, self._decisions[player], own[-1] if own else -1, self.legal_actions()
                )
            )

    def _episode(self):
        """The library's own episode, where the host plays it; else None. It is replayed once, and
        then plays every move along."""
        rules = self._states.rules
        if self._replayed is None and isinstance(rules, HostedGame):
            self._replayed = rules.episode(self._inner)
        return self._replayed


class EnvironmentWay:
    """One player's own decisions, as `games.readers.states.Way`. The states remember them."""

    def __init__(self, player: int):
        self._player = player

    def restart(self) -> None:
        """Nothing is kept."""

    def to(self, state: EnvironmentState) -> list[OwnDecision]:
        """Raises `KeyError` if it is not the player's turn."""
        if state.current_player() != self._player:
            raise KeyError(f"player {self._player} does not move in this state")
        return state.decisions(self._player)

    def before(self, state: EnvironmentState) -> list[OwnDecision]:
        """The player's earlier decisions."""
        decisions = state.decisions(self._player)
        return decisions[:-1] if state.current_player() == self._player else decisions
