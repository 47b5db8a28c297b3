"""The game of an arena: its tree or form where there is one, and its positions, one by one."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

import games
from games import GameError, GameTree, InfoStateIndex
from games.errors import MAX_HISTORIES
from games.form import Form
from games.readers.states import States, TreeStates
from psro.errors import SettingsError

_MOST_KEPT = 20_000
"""Positions that are kept, so that they are computed once."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seen:
    """What a player sees at its decision.

    Attributes:
        number: of the position; -1 if the position is not kept.
        observation: float32, as the game's policies see it.
        text: in words.
        names: of the legal actions.
    """

    number: int
    observation: np.ndarray
    text: str
    names: tuple[str, ...]


class Position:
    """A state of an episode. It never changes: moves lead to other positions.

    Attributes:
        state: OpenSpiel's state, or another library's.
        player: whose move it is; -1 for chance, None at the end.
        number: of the position; -1 if it is not kept.
    """

    def __init__(self, game: ArenaGame, state: Any, number: int):
        self._game, self.state, self.number = game, state, number
        self._next: dict[int, Position] = {}
        is_over = state.is_terminal()
        self.player = None if is_over else -1 if state.is_chance_node() else state.current_player()

    @functools.cached_property
    def legal(self) -> tuple[int, ...]:
        return tuple(self.state.legal_actions())

    @functools.cached_property
    def chance(self) -> tuple[tuple[int, ...], np.ndarray]:
        """The outcomes of chance, and their cumulative probabilities."""
        outcomes, probabilities = zip(*self.state.chance_outcomes(), strict=True)
        return outcomes, np.cumsum(probabilities) / np.sum(probabilities)

    @functools.cached_property
    def returns(self) -> np.ndarray:
        return np.array(self.state.returns(), np.float64)

    @functools.cached_property
    def info_state(self) -> int:
        """The number of the mover's info state in the tree."""
        return self._game.index.info_state(self.state, self.player)

    @functools.cached_property
    def seen(self) -> Seen:
        """What the mover sees."""
        return self._game.seen(self)

    def after(self, action: int) -> Position:
        """The position after a move."""
        following = self._next.get(action)
        if following is None:
            following = self._game.follow(self, action)
            if following.number >= 0:
                self._next[action] = following
        return following


class ArenaGame:
    """A game in which entrants meet.

    Args:
        game: its name, or its tree.
        max_histories: as in `games.load`.

    Attributes:
        name: what it was opened by.
        tree: all of it; None where it is not enumerated.
        states: its states, for bots.
        num_players: P.
        lowest, highest: bounds of every payoff.
        total: the sum of the payoffs at each end; None if it differs.
        is_openspiel: whether the states are OpenSpiel's.

    Raises:
        GameError: it is unknown, or cannot be played.
        SettingsError: it is for one player.
    """

    def __init__(self, game: str | GameTree, max_histories: int = MAX_HISTORIES):
        self.name, self.tree = (game, None) if isinstance(game, str) else (game.name, game)
        self.is_openspiel = self.tree is not None or "::" not in self.name
        self._refusal: GameError | None = None
        if not self.is_openspiel:
            self._open_environment()
        elif self.tree is None:
            self._open_openspiel(max_histories)
        if self.tree is not None:
            self.num_players, self.total = self.tree.num_players, self.tree.utility_sum
            self.lowest = float(self.tree.terminal_returns.min())
            self.highest = float(self.tree.terminal_returns.max())
        self._kept = 0
        self._root: Position | None = None

    def _open_openspiel(self, max_histories: int) -> None:
        try:
            self.tree = games.load(self.name, max_histories=max_histories)
        except GameError as error:
            self._refusal, self.states = error, self._stepped(error)
            game = self.states.game
            self.num_players = game.num_players()
            self.lowest, self.highest = game.min_utility(), game.max_utility()
            self.total = game.utility_sum()

    def _stepped(self, refusal: GameError) -> States:
        """States of a game that is not enumerated."""
        try:
            return States(self.name)
        except GameError:
            raise refusal from None

    @functools.cached_property
    def states(self) -> Any:
        return TreeStates(self.tree)

    def _open_environment(self) -> None:
        from games.hosted import environment
        from games.hosted.states import EnvironmentStates

        rules = environment(self.name)
        if rules.num_players < 2:
            raise SettingsError(
                f"{self.name} is for one player, and an arena needs a game for several"
            )
        self.states = EnvironmentStates(rules, self.name)
        self.num_players, self.total = rules.num_players, rules.utility_sum
        self.lowest, self.highest = -rules.max_return, rules.max_return

    @functools.cached_property
    def form(self) -> Form | None:
        """What gives exact figures: the tree, or the form of a larger game; None if there is
        none."""
        if self.tree is not None or not self.is_openspiel:
            return self.tree
        from games.forms import beyond_trees

        return beyond_trees(self.name)

    @functools.cached_property
    def index(self) -> InfoStateIndex:
        return InfoStateIndex(self.tree, range(self.num_players))

    @property
    def hides_chance(self) -> bool:
        """Whether chance is inside the states, so that they cannot be reached again."""
        return self.states.hides_chance

    @property
    def openspiel(self) -> Any:
        """OpenSpiel's game. Raises GameError if there is none."""
        return self.states.game

    def begin(self, seed: int) -> Position:
        """The first position of an episode; the seed counts where chance is hidden."""
        if self.hides_chance:
            return Position(self, self.states.new_state(seed), -1)
        if self._root is None:
            self._root = Position(self, self.states.game.new_initial_state(), self._number())
        return self._root

    def follow(self, position: Position, action: int) -> Position:
        """The position after a move. Where states cannot be copied, the one before is lost."""
        if self.hides_chance:
            position.state.apply_action(action)
            return Position(self, position.state, -1)
        number = self._number() if position.number >= 0 else -1
        return Position(self, position.state.child(action), number)

    def _number(self) -> int:
        if self._kept >= _MOST_KEPT:
            return -1
        self._kept += 1
        return self._kept - 1

    def seen(self, position: Position) -> Seen:
        state, player = position.state, position.player
        if self._is_labelled:
            own, number = self.tree.players[player], position.info_state
            first, last = own.first_sequence[number : number + 2]
            text, names = own.names[number], own.action_names[first:last]
        else:
            text = getattr(state, self._text)(player) if self._text else ""
            names = [state.action_to_string(player, action) for action in position.legal]
        return Seen(
            number=position.number,
            observation=self._observation(state, player),
            text=text,
            names=tuple(names),
        )

    def _observation(self, state: Any, player: int) -> np.ndarray:
        if self.is_openspiel:
            return self.states.observe(state, player)
        return state.decisions(player)[-1].observation

    @functools.cached_property
    def _is_labelled(self) -> bool:
        """Whether info states and actions have names in the game's file."""
        return self.tree is not None and all(
            player.action_names is not None for player in self.tree.players
        )

    @functools.cached_property
    def _text(self) -> str | None:
        """The method of a state that says what a player knows."""
        if not self.is_openspiel:
            return "observation_string"
        kind = self.states.game.get_type()
        if kind.provides_information_state_string:
            return "information_state_string"
        return "observation_string" if kind.provides_observation_string else None

    def needs_tree(self, what: str) -> GameTree:
        """The tree; raises SettingsError with `what` where the game is not enumerated."""
        if self.tree is None:
            why = f": {self._refusal}" if self._refusal else ""
            raise SettingsError(
                f"{what} needs a game that is enumerated, and {self.name} is not{why}"
            )
        return self.tree


def drawn(chance: tuple[Sequence[int], np.ndarray], uniform: float) -> int:
    """The outcome of chance at a number from 0 to 1."""
    outcomes, cumulative = chance
    return outcomes[min(int(np.searchsorted(cumulative, uniform, "right")), len(outcomes) - 1)]
