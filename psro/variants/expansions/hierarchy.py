"""A fixed number of levels that all go on training: deep cognitive hierarchies (DCH; Lanctot et al.
2017, arXiv:1711.00832, algorithm 3)."""

from __future__ import annotations

from psro.variants.expansions.base import Expanded, Situation, Steps, Train
from psro.variants.expansions.pipeline import below


def hierarchy(now: Situation) -> Steps:
    """Level k trains against the meta-strategy of levels 0 to k - 1 as they are now, towards
    `pi_k = BR(sigma_k)` with sigma_k the meta-solver's answer to the meta-game of `pi_0 ...
    pi_(k-1)`; all of them in every iteration, from where they stand. Level 0 are the untrained
    policies.

    The paper's levels run for as long as there is time and exchange their parameters now and then;
    here that is once an iteration, so that it is the same run whatever the machine.
    """
    against = below(now, range(1, now.levels + 1))
    yield [Train(slot=slot, against=strategy) for slot, strategy in against.items()]
    return Expanded()
