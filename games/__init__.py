"""Games as arrays: `games.load("leduc_poker")` enumerates any OpenSpiel game into a `GameTree`."""

from games.game import Game, State
from games.matrix import NormalForm
from games.printing import printable
from games.readers.openspiel import (
    MAX_HISTORIES,
    OBSERVATIONS,
    InfoStateIndex,
    TreePolicy,
    action_names,
    load,
)
from games.symmetry import SymmetryError, symmetric_view
from games.tree import GameError, GameTree, PlayerTree

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

__all__ = [
    "GAMES",
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
