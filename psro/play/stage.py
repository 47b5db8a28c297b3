"""What is shown of a state of a game: to a seat before a hand ends, and to all when it is over.

A picture is read from the seat's own strings alone, so it cannot show what the seat does not know.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from games.readers.positions import Outcomes
from psro.measure.replay import Dealer
from psro.play import boards
from psro.play.boards import Board
from psro.play.cards import READERS, Picture


@dataclasses.dataclass(frozen=True, kw_only=True)
class Action:
    """A legal action: OpenSpiel's number; its name, from OpenSpiel or from the game's file; and its
    meaning here, if that says more than the name."""

    number: int
    name: str
    meaning: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """What one seat sees.

    Attributes:
        text: OpenSpiel's observation string for the seat, or its information state string if there
            is no other; or the info state's name in the game's file.
        picture: the same as a picture, for card games that can be drawn.
        board: the same as a board, for board games that can be drawn.
        actions: the seat's legal actions; none at the end.
    """

    text: str
    picture: Picture | None
    board: Board | None
    actions: tuple[Action, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Close:
    """What everybody is shown at the end.

    Attributes:
        state: the whole state, as OpenSpiel prints it; or all moves, in the words of the game's
            file.
        outcome: the name of the outcome in the game's file; "" for none.
        pictures: the table as each seat saw it, by seat; empty for games without cards.
        board: the whole board; None for games without one.
    """

    state: str
    outcome: str
    pictures: tuple[Picture, ...]
    board: Board | None


class Stage:
    """Shows the states of a dealer's game."""

    def __init__(self, dealer: Dealer):
        self._dealer = dealer
        self._reader = READERS.get(dealer.short_name)
        self._outcomes = Outcomes(dealer.tree)

    def scene(self, state: Any, seat: int) -> Scene:
        """What a seat sees of a state, where it is its turn or the end."""
        dealer = self._dealer
        picture, text = self._picture(state, seat), dealer.text(state, seat)
        actions: tuple[Action, ...] = ()
        if not state.is_terminal():
            meanings = picture.meanings if picture else {}
            actions = tuple(
                Action(number=number, name=name, meaning=meanings.get(name, ""))
                for number, name in dealer.names(state)
            )
        board = boards.read(dealer.short_name, text)
        return Scene(text=text, picture=picture, board=board, actions=actions)

    def close(self, state: Any) -> Close:
        """What is shown of a terminal state."""
        dealer = self._dealer
        seats = range(dealer.num_players) if self._reader else ()
        return Close(
            state=self._moves(state) if dealer.labelled else str(state),
            outcome=self._outcomes.name(state),
            pictures=tuple(self._picture(state, seat) for seat in seats),
            board=boards.read(dealer.short_name, str(state)),
        )

    def _picture(self, state: Any, seat: int) -> Picture | None:
        if self._reader is None:
            return None
        seen = state.information_state_string(seat)
        return self._reader(seen, self._dealer.num_players, self._dealer.game.get_parameters())

    def _moves(self, end: Any) -> str:
        """All moves, one on each line, in the words of the game's file."""
        dealer = self._dealer
        state, lines = dealer.game.new_initial_state(), []
        for action in end.history():
            mover = state.current_player()
            who = "chance" if state.is_chance_node() else dealer.player_name(mover)
            lines.append(f"{who}: {dealer.name(state, action)}")
            state.apply_action(action)
        return "\n".join(lines)
