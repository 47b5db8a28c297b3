"""Levels trained side by side, the lowest of which becomes fixed: Pipeline PSRO (McAleer et al.
2020, "Pipeline PSRO", arXiv:2006.08555, algorithm 1)."""

from __future__ import annotations

from psro.variants.expansions.base import Expanded, Situation, Steps, Train


def pipeline(now: Situation) -> Steps:
    """Every level trains against the meta-strategy of all policies below it, fixed or not. Policy
    number j trains towards `BR(sigma^j)`; sigma^j is the meta-solver's solution of the meta-game of
    policies 0 to j - 1.

    After an iteration the lowest level is fixed. The others continue one level lower, and a new one
    starts above them. So a policy trains in as many iterations as there are levels, and its
    opponents change until they are fixed. With one level this is PSRO.

    The paper fixes the lowest policy when it has stopped improving. Here it is fixed after one
    iteration at the lowest level; the oracle's own settings limit that iteration.
    """
    first = now.begun - 1 + now.number
    against = below(now, range(first, first + now.levels))
    yield [Train(slot=slot, against=strategy) for slot, strategy in against.items()]
    return Expanded()


def below(now: Situation, slots: range) -> dict:
    """For each slot, the meta-strategy of all existing policies below it."""
    meta_game = now.meta_game
    if len(slots) == 1:
        return {slots[0]: now.meta_strategy}
    sizes = [min(slot, meta_game.size) for slot in slots]
    solved = {size: now.solve(meta_game.take(range(size))) for size in sorted(set(sizes))}
    return {slot: solved[size] for slot, size in zip(slots, sizes, strict=True)}
