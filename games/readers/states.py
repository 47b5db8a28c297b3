"""OpenSpiel's states of a game that is played without its tree, and the way of a player to them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyspiel
from open_spiel.python import policy

from games.errors import GameError
from games.readers.openspiel import tensor_name
from games.readers.openspiel_policy import InfoStateIndex, in_turn
from games.readers.sources import playable, seeded
from games.tree import GameTree

if TYPE_CHECKING:
    from games.game import Game
    from games.hosted.states import EnvironmentStates


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnDecision:
    """A decision of one player, on the way to a state or there.

    Attributes:
        key: what the player has seen and done until here; equal ones are one info state.
        observation: the policy's input, float32 `[O]`.
        last_action: the player's action before; -1 for none.
        legal: the legal actions, in order.
    """

    key: bytes
    observation: np.ndarray
    last_action: int
    legal: tuple[int, ...]


class States:
    """The states of an OpenSpiel game, simultaneous moves by turns.

    Attributes:
        game: OpenSpiel's game, to be stepped.
        tree: the game's tree if it is played from one, otherwise None. Observations are the tree's.

    Args:
        name: the game's string.
        observation: which tensor is the policies' input, as in `games.load`.

    Raises:
        GameError: OpenSpiel has no such game.
    """

    tree: GameTree | None = None

    def __init__(self, name: str, observation: str | None = None):
        self._arguments = (name, observation)
        self.game = playable(name)
        self._ask = f"{tensor_name(name, self.game, observation)}_tensor"

    def __reduce__(self):
        return type(self), self._arguments

    @property
    def hides_chance(self) -> bool:
        """Whether the same moves may lead to different states."""
        mode = self.game.get_type().chance_mode
        return mode == pyspiel.GameType.ChanceMode.SAMPLED_STOCHASTIC

    def new_state(self, seed: int) -> pyspiel.State:
        """The state at the root. `seed` counts only in games that hide their chance."""
        if not self.hides_chance:
            return self.game.new_initial_state()
        return seeded(self.game, seed).new_initial_state()

    def way(self, player: int) -> Way:
        """The player's own decisions, state by state."""
        return Way(self, player)

    def observe(self, state: pyspiel.State, player: int) -> np.ndarray:
        """What the player sees at its turn, float32 `[O]`."""
        return np.array(getattr(state, self._ask)(player), np.float32)


class TreeStates(States):
    """The states of a game that is played from its tree, such as a file's.

    Raises:
        GameError: OpenSpiel has no such game.
    """

    def __init__(self, tree: GameTree):
        self._arguments = (tree,)
        self.tree = tree
        self._index = InfoStateIndex(tree, range(tree.num_players))
        self.game = self._index.game

    def observe(self, state: pyspiel.State, player: int) -> np.ndarray:
        number = self._index.info_state(state, player)
        return np.asarray(self.tree.players[player].observation[number], np.float32)


def states_of(game: Game, name: str, observation: str | None) -> States | EnvironmentStates:
    """The states of a game that `games.readers.opening.open_game` opened by this name."""
    if "::" in name:
        from games.hosted.states import EnvironmentStates

        return EnvironmentStates(game, name)
    tree = getattr(game, "played_from", None)
    return States(name, observation) if tree is None else TreeStates(tree)


class Way:
    """The own decisions of one player, state by state of a game that goes on.

    A state may be asked for twice, or in the middle of another game: then its history is played
    again. In a game that hides its chance nothing can be played again: there the player must be
    asked at each of its decisions, from the first on.
    """

    def __init__(self, states: States, player: int):
        self._states, self._player = states, player
        self.restart()

    def restart(self) -> None:
        """Forgets the game before."""
        self._decisions: list[OwnDecision] = []
        self._history: list[int] = []

    def to(self, state: pyspiel.State) -> list[OwnDecision]:
        """The player's decisions on the way to `state`, where it is the player's turn; that one is
        the last. Raises `KeyError` if it is not the player's turn."""
        if not self._moves(state):
            raise KeyError(f"player {self._player} does not move in this state")
        history, made = state.history(), actions_of(state, self._player)
        again = bool(self._decisions) and history == self._history
        earlier = len(self._decisions) - again
        if len(made) == earlier and history[: len(self._history)] == self._history:
            before = self._decisions[:earlier]
        else:
            before = self._replayed(history)
        at = in_turn(self._states.game, state, self._player)
        self._decisions = [*before, self._decision(at, before, made[-1] if made else -1)]
        self._history = history
        return self._decisions

    def before(self, state: pyspiel.State) -> list[OwnDecision]:
        """The player's earlier decisions on the way to any state."""
        return self._replayed(state.history())

    def _moves(self, state: pyspiel.State) -> bool:
        if state.is_simultaneous_node():
            return bool(state.legal_actions(self._player))
        return state.current_player() == self._player

    def _replayed(self, history: Sequence[int]) -> list[OwnDecision]:
        """The decisions of which the actions are in the history."""
        if self._states.hides_chance:
            raise GameError(
                "this game hides its chance, so that no state can be reached again: ask at every "
                "decision, from the first on"
            )
        decisions: list[OwnDecision] = []
        state, last_action = self._states.game.new_initial_state(), -1
        for action in history:
            mover = state.current_player()
            if mover == self._player:
                decisions.append(self._decision(state, decisions, last_action))
                last_action = action
            state.apply_action(action)
        return decisions

    def _decision(
        self, state: pyspiel.State, before: Sequence[OwnDecision], last_action: int
    ) -> OwnDecision:
        observation = self._states.observe(state, self._player)
        return own_decision(observation, before, last_action, state.legal_actions())


def own_decision(
    observation: np.ndarray, before: Sequence[OwnDecision], last_action: int, legal: Sequence[int]
) -> OwnDecision:
    """A player's decision after those `before`."""
    digest = hashlib.blake2b(before[-1].key if before else b"", digest_size=16)
    digest.update(last_action.to_bytes(8, signed=True))
    digest.update(observation.tobytes())
    return OwnDecision(
        key=digest.digest(),
        observation=observation,
        last_action=last_action,
        legal=tuple(legal),
    )


def actions_of(state: pyspiel.State, player: int) -> list[int]:
    """The player's own actions on the way to a state."""
    return [move.action for move in state.full_history() if int(move.player) == player]


Behaviour = Callable[[Sequence[OwnDecision]], np.ndarray]
"""Takes a player's decisions until now; gives the probabilities of the last one's legal actions."""


class ReplayedPolicy(policy.Policy):
    """Policies that remember, as an OpenSpiel policy: at each state, the player's own decisions on
    the way there are seen again. It is slower than a table, and needs none.

    Args:
        states: the game's states.
        behaviours: of each player that it plays for.
    """

    def __init__(self, states: States, behaviours: Mapping[int, Behaviour]):
        super().__init__(states.game, sorted(behaviours))
        self._states, self._behaviours = states, dict(behaviours)
        self._ways = {player: Way(states, player) for player in behaviours}

    def __reduce__(self):
        return ReplayedPolicy, (self._states, self._behaviours)

    def action_probabilities(
        self, state: pyspiel.State, player_id: int | None = None
    ) -> dict[int, float]:
        """Probability of each legal action at `state`, for `player_id` or the player to move.

        Raises `KeyError` for a player that it does not play for, or that does not move.
        """
        player = state.current_player() if player_id is None else player_id
        if player not in self._behaviours:
            raise KeyError(f"this policy is for players {self.player_ids}, not for player {player}")
        decisions = self._ways[player].to(state)
        probabilities = self._behaviours[player](decisions)
        return dict(zip(decisions[-1].legal, probabilities.tolist(), strict=True))
