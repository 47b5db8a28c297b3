"""Levels trained side by side, the lowest of which becomes fixed: Pipeline PSRO (McAleer et al.
2020, "Pipeline PSRO", arXiv:2006.08555, algorithm 1)."""

from __future__ import annotations

from psro.variants.expansions.base import Expanded, Situation, Steps, Train


def pipeline(now: Situation) -> Steps:
    """Every level trains against the meta-strategy of all policies below it, fixed or not: policy
    number j is on its way to `BR(sigma^j)`, for sigma^j the meta-solver's answer to the meta-game
    of the policies 0 to j - 1.

    After the iteration the lowest level is fixed; the others go on where they are, one level lower,
    and a new one begins above them. So a policy is trained in as many iterations as there are
    levels, against opponents that move until they are fixed. With one level this is PSRO.

    The paper fixes the lowest policy when it has plateaued; here that is after one iteration as
    the lowest, whose budget and plateau stop are the oracle's.
    """
    first = now.number
    against = below(now, range(first, first + now.levels))
    yield [Train(slot=slot, against=strategy) for slot, strategy in against.items()]
    return Expanded()


def below(now: Situation, slots: range) -> dict:
    """By slot, the meta-strategy of all lower policies that there are."""
    meta_game = now.meta_game
    if len(slots) == 1:
        return {slots[0]: now.meta_strategy}
    sizes = [min(slot, meta_game.size) for slot in slots]
    solved = {size: now.solve(meta_game.take(range(size))) for size in sorted(set(sizes))}
    return {slot: solved[size] for slot, size in zip(slots, sizes, strict=True)}
