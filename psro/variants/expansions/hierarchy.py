"""A fixed number of levels that train in every iteration: deep cognitive hierarchies (DCH; Lanctot
et al. 2017, arXiv:1711.00832, algorithm 3)."""

from __future__ import annotations

from psro.variants.expansions.base import Expanded, Situation, Steps, Train
from psro.variants.expansions.pipeline import below


def hierarchy(now: Situation) -> Steps:
    """Level k trains towards `pi_k = BR(sigma_k)`. Here sigma_k is the meta-solver's solution of
    the meta-game of the current policies `pi_0 ... pi_(k-1)`. Every level continues its training in
    every iteration. Level 0 holds the untrained policies.

    In the paper, levels exchange their parameters from time to time. Here they do so once per
    iteration, so that a run does not depend on the machine.
    """
    against = below(now, range(now.begun, now.begun + now.levels))
    yield [Train(slot=slot, against=strategy) for slot, strategy in against.items()]
    return Expanded()
