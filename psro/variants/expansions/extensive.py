"""The restricted game in extensive form: XDO, and with networks NXDO (McAleer et al. 2021,
arXiv:2103.06426, algorithms 1 and 2)."""

from __future__ import annotations

import numpy as np

from psro.exact.restricted_game import allowed, solve
from psro.metagame.strategy import MetaStrategy
from psro.variants.expansions.base import Expanded, Place, Situation, Steps, Train


def extensive(now: Situation) -> Steps:
    """Best responses as in PSRO; but they are combined anew at every info state, out of the actions
    that they play there. An equilibrium of that restricted game joins the populations beside them,
    as a policy, and is all of the meta-strategy.

    With A_p^t(I) the actions that player p's best responses to t play at info state I, iteration t
    of algorithm 1 takes an equilibrium of the game with legal actions A^t, and adds to A^t what a
    best response to that equilibrium in the whole game plays (`restricted_game.allowed`).

    The equilibrium is exact (`restricted_game.solve`), or learned in self-play
    (`now.restricted_solver` "mmd"), as algorithm 2 has it: by exact values at all info states,
    where the paper's NFSP samples. Where policies are tables it stays that, and this is XDO; where
    they are networks, one is fitted to it, as NXDO's average networks are fitted to what
    reinforcement learning found. An action counts as played where a best response that
    comes there has a probability above half of an even chance among all actions: a softmax plays
    everything a little.
    """
    tree, size = now.meta_game.tree, now.meta_game.size
    meta_game = yield [Train(slot=size, against=now.meta_strategy)]
    masks = [  # policy 0 is untrained, and the even ones are earlier equilibria
        allowed(player, plans[1::2], threshold=0.5 / np.diff(player.first_sequence).max(initial=1))
        for player, plans in zip(tree.players, meta_game.plans, strict=True)
    ]
    solved = solve(tree, masks, method=now.restricted_solver)
    yield [Place(slot=size + 1, plans=solved.plans)]
    pure = np.zeros(size + 2)
    pure[-1] = 1.0
    return Expanded(meta_strategy=MetaStrategy(marginals=(pure, pure)))
