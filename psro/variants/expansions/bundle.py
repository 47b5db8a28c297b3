"""Best responses to a mixture that holds on to the last one: PSRO by a level bundle method."""

from __future__ import annotations

from psro.metagame.level_step import level_step
from psro.metagame.meta_game import MetaGame
from psro.metagame.strategy import MetaStrategy
from psro.variants.expansions.base import Expanded, Situation, Steps, Train


def bundle(now: Situation) -> Steps:
    """Player p's new policy is a best response to the opponent's mixture sigma_t, as in PSRO. Then
    each mixture makes one step (`psro.metagame.level_step`) towards the one that is hardest to
    exploit, by the payoffs of all policies against all of the opponent's.

    An equilibrium of the meta-game answers another question: it is hard to exploit by the policies
    that are known, and may be easy to exploit by others. The method is that of least exploitable
    mixtures (`META_SOLVERS` "least_exploitable") with trained best responses instead of exact ones:
    nothing of the game is needed but episodes.
    """
    size = now.meta_game.size
    meta_game = yield [Train(slot=size, against=now.meta_strategy)]
    return Expanded(meta_strategy=moved(now.meta_strategy, meta_game))


def moved(strategy: MetaStrategy, meta_game: MetaGame) -> MetaStrategy:
    """A meta-strategy of two players after a step, for all policies of the meta-game."""
    before = strategy.padded(meta_game.size).marginals
    payoffs = meta_game.payoffs
    return MetaStrategy(
        marginals=(level_step(before[0], payoffs[0]), level_step(before[1], payoffs[1].T))
    )
