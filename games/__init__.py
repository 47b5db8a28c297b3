"""Games as arrays: `games.load("leduc_poker")` enumerates any OpenSpiel game into a `GameTree`."""

from typing import TYPE_CHECKING

from games.errors import MAX_HISTORIES, GameError
from games.lazy import attributes

if TYPE_CHECKING:
    from games.game import Game, State
    from games.matrix import NormalForm
    from games.player_tree import PlayerTree
    from games.printing import printable
    from games.readers.openspiel import OBSERVATIONS, load
    from games.readers.openspiel_policy import InfoStateIndex, TreePolicy, action_names
    from games.symmetry import SymmetryError, symmetric_view
    from games.tree import GameTree

GAMES = {
    "kuhn_poker": "three cards, one bet; the smallest poker with bluffing",
    "kuhn_poker(players=3)": "Kuhn poker for three",
    "leduc_poker": "six cards, two rounds of betting, one public card",
    "liars_dice(numdice=1)": "one hidden die each, bids rise until somebody calls",
    "goofspiel(imp_info=True,num_cards=4,points_order=descending)": "simultaneous sealed bids",
    "tiny_bridge_2p": "eight cards, cooperative bidding between partners",
    "tiny_hanabi": "two players with a common payoff, one signal",
    "matrix_rps": "rock, paper, scissors",
    "matrix_bos": "battle of the sexes; general-sum",
}
"""Games of a size for a first look, with a line on each; `load` takes any OpenSpiel string."""

LARGE_GAMES = {
    "phantom_ttt": "noughts and crosses, blind to the other's marks",
    "dark_hex(board_size=3)": "hex, blind to the other's stones",
    "liars_dice(numdice=2)": "two hidden dice each",
    "goofspiel(imp_info=True,num_cards=8,points_order=descending)": "sealed bids, eight cards",
    "battleship": "place ships, then shoot",
}
"""Games that are too large to enumerate, with a line on each. They are played by rules in JAX."""

__all__ = [
    "GAMES",
    "LARGE_GAMES",
    "MAX_HISTORIES",
    "OBSERVATIONS",
    "Game",
    "GameError",
    "GameTree",
    "InfoStateIndex",
    "NormalForm",
    "PlayerTree",
    "State",
    "SymmetryError",
    "TreePolicy",
    "action_names",
    "load",
    "printable",
    "symmetric_view",
]

__getattr__ = attributes(
    __name__,
    {
        "Game": "games.game",
        "GameTree": "games.tree",
        "InfoStateIndex": "games.readers.openspiel_policy",
        "NormalForm": "games.matrix",
        "OBSERVATIONS": "games.readers.openspiel",
        "PlayerTree": "games.player_tree",
        "State": "games.game",
        "SymmetryError": "games.symmetry",
        "TreePolicy": "games.readers.openspiel_policy",
        "action_names": "games.readers.openspiel_policy",
        "load": "games.readers.openspiel",
        "printable": "games.printing",
        "symmetric_view": "games.symmetry",
    },
)
"""OpenSpiel and JAX are imported with the first name that needs them."""
