"""OpenSpiel's tree search as a bot."""

from __future__ import annotations

import numpy as np
import pyspiel

from games.errors import GameError
from games.readers.sources import sentence, silent_stderr

_EXPLORATION = 2.0
"""UCT's constant, in units of the game's payoff span."""
_MEMORY = 256
"""MB of a search tree."""


def search_bot(game: pyspiel.Game, name: str, simulations: int, seed: int) -> pyspiel.Bot:
    """Monte Carlo tree search with random rollouts; where information is hidden, information set
    MCTS (Cowling, Powley and Whitehouse 2012).

    Args:
        game: with moves in turn.
        name: what the game was opened by, for an error.
        simulations: of each decision.
        seed: of the search; OpenSpiel draws hidden states without it.

    Raises:
        GameError: OpenSpiel cannot draw hidden states of this game.
    """
    evaluator = pyspiel.RandomRolloutEvaluator(1, seed)
    kind = game.get_type()
    scale = _EXPLORATION * max(game.max_utility() - game.min_utility(), 1e-9) / 2
    if kind.information == pyspiel.GameType.Information.PERFECT_INFORMATION:
        return pyspiel.MCTSBot(game, evaluator, scale, simulations, _MEMORY, True, seed, False)
    bot = pyspiel.ISMCTSBot(seed, evaluator, scale, simulations)
    _check(game, name, bot)
    return bot


def _check(game: pyspiel.Game, name: str, bot: pyspiel.Bot) -> None:
    """Raises GameError if the bot cannot play the first decision of a game."""
    state, rng = game.new_initial_state(), np.random.default_rng(0)
    while state.is_chance_node():
        outcomes, probabilities = zip(*state.chance_outcomes(), strict=True)
        state.apply_action(int(rng.choice(outcomes, p=probabilities)))
    try:
        with silent_stderr():
            bot.step(state)
    except (pyspiel.SpielError, RuntimeError) as error:
        raise GameError(f"OpenSpiel's search cannot play {name}: {sentence(error)}") from None
