"""A diversity term as gains of sequences: an objective for best responses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from psro.metagame.exact_meta_game import ExactMetaGame
from psro.metagame.strategy import MetaStrategy
from psro.metagame.target import Target
from psro.variants.diversity import Context, Term, maximise

_STEPS = 10
_STARTS = 4
"""Less than `maximise`'s default, because it is called for every player in every iteration."""


def diverse(
    term: Callable[[Context], Term],
    weight: float,
    meta_game: ExactMetaGame,
    against: MetaStrategy,
    target: Target,
) -> Sequence[np.ndarray]:
    """A `trainer.Objective` for a given term and its weight, in units of payoff."""
    tree, bonuses = meta_game.tree, []
    for p, (gains, reach) in enumerate(zip(target.exact.gains, target.exact.reach, strict=True)):
        context = Context.of(meta_game, p, weights=against.marginals[p], reach=reach)
        wanted = maximise(
            tree.players[p], gains, term(context), weight, steps=_STEPS, starts=_STARTS
        )
        bonuses.append(wanted - gains)
    return bonuses
