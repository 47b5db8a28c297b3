"""The restricted game in extensive form: XDO, and with networks NXDO (McAleer et al. 2021,
arXiv:2103.06426, algorithms 1 and 2)."""

from __future__ import annotations

import numpy as np

from games.tree import GameTree
from psro.exact.restricted_game import allowed, solve, solve_on_form
from psro.metagame.strategy import MetaStrategy
from psro.variants.expansions.base import Expanded, Place, Situation, Steps, Train


def extensive(now: Situation) -> Steps:
    """Best responses as in PSRO, but a player may combine them: at every info state it may use any
    action that one of them plays there. An equilibrium of this restricted game is added to the
    populations as a policy, beside the best responses. It is the whole meta-strategy.

    Let A_p^t(I) be the actions that player p's best responses up to iteration t play at info state
    I. Iteration t of algorithm 1 finds an equilibrium of the game with legal actions A^t. It adds
    to A^t the actions of a best response to that equilibrium in the whole game
    (`restricted_game.allowed`).

    The equilibrium is exact (`restricted_game.solve`), or learned in self-play, as in algorithm 2
    (`now.restricted_solver` "mmd"). The learner uses exact values at all info states; the paper's
    NFSP samples. If policies are tables, the equilibrium is added as it is: this is XDO. If they
    are networks, a network is fitted to it, as in NXDO. A softmax plays every action with a small
    probability, so an action counts as played only if a best response that reaches the info state
    gives it more than half of 1 / (the largest number of actions). In a game that is not enumerated
    CFR+ solves the restricted game within 1e-3 of the largest return.
    """
    form, size = now.meta_game.tree, now.meta_game.size
    meta_game = yield [Train(slot=size, against=now.meta_strategy)]
    masks = [  # policy 0 is untrained, and the even ones are earlier equilibria
        allowed(
            player,
            meta_game.plans_of(p, range(1, size + 1, 2)),
            threshold=0.5 / np.diff(player.first_sequence).max(initial=1),
        )
        for p, player in enumerate(form.players)
    ]
    if isinstance(form, GameTree):
        plans = solve(form, masks, method=now.restricted_solver).plans
    else:
        plans = solve_on_form(form, masks)
    yield [Place(slot=size + 1, plans=plans)]
    pure = np.zeros(size + 2)
    pure[-1] = 1.0
    return Expanded(meta_strategy=MetaStrategy(marginals=(pure, pure)))
