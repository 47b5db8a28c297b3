"""A line on a game's rules, and a line on how to play a match."""

from __future__ import annotations

from psro.measure.replay import Dealer
from psro.runs.experiment import Experiment

_RULES = {
    "kuhn_poker": "Everybody gets one card and pays 1. Bet 1 or check; after a bet, call or fold. "
    "The highest card wins the pot.",
    "leduc_poker": "Everybody gets one card and pays 1. Bets are 2 in the first round and, when a "
    "card is turned over, 4 in the second. A pair with it wins, otherwise the highest card.",
    "liars_dice": "Everybody sees only their own dice. A bid of 2-3 says that two dice or more, of "
    "all, show a 3. Bids rise until somebody calls liar. The highest face counts as every face.",
    "goofspiel": "Each round, everybody bids one of their cards for the prize card, unseen. The "
    "highest bid takes its points; equal bids take nothing. Most points win.",
    "phantom_ttt": "Noughts and crosses, blind: you do not see the other's marks, only the cells "
    "you tried that were taken. Three in a row win.",
    "dark_hex": "Hex, blind: you do not see the other's stones, only the cells you tried that were "
    "taken. x connects top and bottom, o left and right.",
    "matrix_rps": "Rock beats scissors, scissors beat paper, paper beats rock.",
}
"""By OpenSpiel's short name."""


def rules(experiment: Experiment, dealer: Dealer) -> str:
    """The game's rules in a line; of a game that is not known by name, who plays and for what."""
    if dealer.short_name in _RULES and not dealer.labelled:
        return _RULES[dealer.short_name]
    names = [dealer.player_name(seat) for seat in range(dealer.num_players)]
    who = f"{', '.join(names[:-1])} and {names[-1]}"
    tree = experiment.tree
    if tree is None:
        return f"A game of {who}."
    low, high = tree.terminal_returns.min(), tree.terminal_returns.max()
    sums = ", and what one wins the others lose" if tree.utility_sum == 0 else ""
    return f"A game of {who}. A hand pays between {low:g} and {high:g}{sums}."


def how(is_board: bool) -> str:
    """How to play, in a line."""
    choose = "Click a free cell" if is_board else "Click an action"
    return (
        f"{choose}, or type its number. In each hand, every other player plays one policy, drawn "
        "by the weights of the mixture."
    )
