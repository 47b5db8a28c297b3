"""What one seat sees of a card game, from its own information state string.

A reader gets only that string, so a picture cannot show what the seat does not know. Games without
a reader are shown by OpenSpiel's own text.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_RANKS = ("2", "3", "4", "5", "6", "7", "8", "9", "10", "J", "Q", "K", "A")
_SUITS = "♠♥♦♣"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    rank: str
    suit: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Move:
    """A move that all players have seen: the action's name, and its meaning in this situation."""

    player: int
    round: int
    name: str
    meaning: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """The table from one seat.

    Attributes:
        own: the seat's own cards.
        board: cards that all players see; None for a card that is still face down.
        pot: chips; None if the pot has been paid out.
        moves: all moves so far, in order.
        meanings: the meaning of each legal action, by its name; only where it differs from the
            name.
    """

    own: tuple[Card, ...]
    board: tuple[Card | None, ...]
    pot: int | None
    moves: tuple[Move, ...]
    meanings: Mapping[str, str]


Reader = Callable[[str, int, Mapping[str, Any]], Picture]
"""Takes the string, the number of players and the game's parameters."""


def _kuhn(seen: str, num_players: int, parameters: Mapping[str, Any]) -> Picture:
    """`1pb` means card 1, then a pass, then a bet. The deck has one card more than there are
    players. Only one size of bet is possible."""
    number, played = re.fullmatch(r"(\d+)([pb]*)", seen).groups()
    moves, bets = [], 0
    for turn, letter in enumerate(played):
        name = "Bet" if letter == "b" else "Pass"
        meaning = _KUHN_MEANINGS[bets > 0][name]
        moves.append(Move(player=turn % num_players, round=1, name=name, meaning=meaning))
        bets += letter == "b"
    return Picture(
        own=(_card(int(number), num_players + 1, 0),),
        board=(),
        pot=num_players + bets,  # the antes and every bet are one chip
        moves=tuple(moves),
        meanings=_KUHN_MEANINGS[bets > 0],
    )


_KUHN_MEANINGS = {
    False: {"Pass": "check", "Bet": ""},
    True: {"Pass": "fold", "Bet": "call"},
}
"""By whether a player has bet."""


def _leduc(seen: str, num_players: int, parameters: Mapping[str, Any]) -> Picture:
    """`[Private: 1]...[Pot: 2]...[Public: 3][Round1: 1 2][Round2: ]`. Rounds list actions by
    number: 0 is fold, 1 is call, 2 is raise."""
    fields = dict(re.findall(r"\[(\w+): ([^\]]*)\]", seen))
    num_ranks, suits = num_players + 1, 1 if parameters.get("suit_isomorphism") else 2

    def card(number: str) -> Card:
        rank, suit = divmod(int(number), suits)
        return _card(rank, num_ranks, suit)

    moves, folded, raised = [], set(), False
    for number in (1, 2):
        raised, turns = False, _in_turn(parameters.get("starting_player", 0), num_players, folded)
        for action in fields[f"Round{number}"].split():
            player, name = next(turns), ("Fold", "Call", "Raise")[int(action)]
            meaning = "check" if name == "Call" and not raised else ""
            moves.append(Move(player=player, round=number, name=name, meaning=meaning))
            raised = raised or name == "Raise"
            if name == "Fold":
                folded.add(player)
        if number == 1 and "Public" not in fields:
            break
    return Picture(
        own=(card(fields["Private"]),),
        board=(card(fields["Public"]) if "Public" in fields else None,),
        pot=int(fields["Pot"]) or None,
        moves=tuple(moves),
        meanings={} if raised else {"Call": "check"},
    )


def _in_turn(first: int, num_players: int, folded: set[int]) -> Iterator[int]:
    """Yields players in turn without end, except those who have folded by then."""
    turn = first
    while True:
        if turn % num_players not in folded:
            yield turn % num_players
        turn += 1


def _card(rank: int, num_ranks: int, suit: int) -> Card:
    """The lowest rank is the jack if there are few ranks, as in the papers. Otherwise the highest
    rank is the ace."""
    lowest = min(_RANKS.index("J"), len(_RANKS) - num_ranks)
    return Card(rank=_RANKS[lowest + rank], suit=_SUITS[suit])


READERS: dict[str, Reader] = {"kuhn_poker": _kuhn, "leduc_poker": _leduc}
"""By OpenSpiel's short name of the game."""


WIDTH, HEIGHT = 7, 5
"""The size of a card as text, in characters."""


def box(card: Card | None) -> list[str]:
    """A card as lines of text. None is a card face down."""
    if card is None:
        return ["╭─────╮", *["│░░░░░│"] * 3, "╰─────╯"]
    return [
        "╭─────╮",
        f"│{card.rank:<2}   │",
        f"│  {card.suit}  │",
        f"│   {card.rank:>2}│",
        "╰─────╯",
    ]
