"""Every player's diversity term as what its sequences earn: an objective of best responses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from psro.metagame.meta_game import MetaGame
from psro.metagame.strategy import MetaStrategy
from psro.metagame.target import Target
from psro.variants.diversity import Context, Term, maximise

_STEPS = 10
_STARTS = 4
"""Fewer than `maximise` could take: it is asked for every player in every iteration."""


def diverse(
    term: Callable[[Context], Term],
    weight: float,
    meta_game: MetaGame,
    against: MetaStrategy,
    target: Target,
) -> Sequence[np.ndarray]:
    """A `trainer.Objective`, once its term and weight, in units of payoff, are given."""
    tree, bonuses = meta_game.tree, []
    for p, (gains, reach) in enumerate(zip(target.gains, target.reach, strict=True)):
        context = Context.of(meta_game, p, weights=against.marginals[p], reach=reach)
        wanted = maximise(
            tree.players[p], gains, term(context), weight, steps=_STEPS, starts=_STARTS
        )
        bonuses.append(wanted - gains)
    return bonuses
