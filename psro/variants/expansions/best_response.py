"""One best response per player and iteration: PSRO (Lanctot et al. 2017, arXiv:1711.00832,
algorithm 1)."""

from __future__ import annotations

from psro.variants.expansions.base import Expanded, Situation, Steps, Train


def one_best_response(now: Situation) -> Steps:
    """Player p's new policy is `pi_p in argmax_pi u_p(pi, sigma_-p)`, for its expected return u_p
    and the meta-strategy sigma. The paper does not fix the oracle (`--oracle`) or the initial
    parameters (`--init`)."""
    yield [Train(slot=now.meta_game.size, against=now.meta_strategy)]
    return Expanded()
