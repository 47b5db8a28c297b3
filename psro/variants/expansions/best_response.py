"""One best response a player and iteration: PSRO (Lanctot et al. 2017, arXiv:1711.00832,
algorithm 1)."""

from __future__ import annotations

from psro.variants.expansions.base import Expanded, Situation, Steps, Train


def one_best_response(now: Situation) -> Steps:
    """Against the meta-strategy, player p's new policy being `pi_p in argmax_pi u_p(pi, sigma_-p)`
    for u_p its expected return and sigma the meta-strategy. The paper leaves open by which oracle,
    and from which parameters it starts (`--oracle`, `--init`)."""
    yield [Train(slot=now.meta_game.size, against=now.meta_strategy)]
    return Expanded()
