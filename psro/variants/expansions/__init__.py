"""Expansions: the policies that an iteration adds to the populations, and their opponents. Each
expansion is one file, and one line in `EXPANSIONS`:

    steps = EXPANSIONS[name].function(situation)

An expansion is a generator. It yields the policies to train, gets the meta-game that contains
them, and may yield again. The loop does the rest: initial parameters, the oracle, payoffs, saving.
"""

import functools

from psro.variants.expansions.anytime import anytime
from psro.variants.expansions.base import (
    Expanded,
    Expansion,
    Place,
    Request,
    SelfPlay,
    Situation,
    Steps,
    Train,
)
from psro.variants.expansions.best_response import one_best_response
from psro.variants.expansions.bundle import bundle
from psro.variants.expansions.candidates import candidates
from psro.variants.expansions.extensive import extensive
from psro.variants.expansions.fictitious import fictitious, fictitious_average, fictitious_decay
from psro.variants.expansions.hierarchy import hierarchy
from psro.variants.expansions.pipeline import pipeline
from psro.variants.expansions.rectified import rectified
from psro.variants.expansions.self_play import self_play
from psro.variants.expansions.stochastic import stochastic
from psro.variants.expansions.union import union

_with_self_play = functools.partial(
    Expansion,
    capacity=lambda iterations, levels: 2 * iterations + 1,  # a learner keeps up to two networks
    uses=frozenset({"self_play"}),
)

EXPANSIONS: dict[str, Expansion] = {
    "best_response": Expansion(
        function=one_best_response, capacity=lambda iterations, levels: iterations + 1
    ),
    "rectified": Expansion(
        function=rectified,
        capacity=lambda iterations, levels: iterations * levels + 1,
        uses=frozenset({"levels"}),
        num_players=2,
        zero_sum=True,
        symmetric=False,
    ),
    "pipeline": Expansion(
        function=pipeline,
        capacity=lambda iterations, levels: iterations + levels,
        uses=frozenset({"levels"}),
    ),
    "hierarchy": Expansion(
        function=hierarchy,
        capacity=lambda iterations, levels: levels + 1,
        uses=frozenset({"levels"}),
    ),
    "candidates": Expansion(
        function=candidates,
        capacity=lambda iterations, levels: iterations + levels,
        uses=frozenset({"levels"}),
        num_players=2,
        zero_sum=True,
        exact=True,
        symmetric=False,
    ),
    "anytime": Expansion(
        function=anytime,
        capacity=lambda iterations, levels: iterations + 1,
        uses=frozenset({"rounds"}),
        num_players=2,
        zero_sum=True,
        symmetric=False,
        meta_strategy=True,
    ),
    "extensive": Expansion(
        function=extensive,
        capacity=lambda iterations, levels: 2 * iterations + 1,
        num_players=2,
        zero_sum=True,
        exact=True,
        on_form=True,
        symmetric=False,
        meta_strategy=True,
    ),
    "stochastic": Expansion(
        function=stochastic,
        capacity=lambda iterations, levels: 2 * iterations + 1,
        uses=frozenset({"rounds"}),
        num_players=2,
        zero_sum=True,
        exact=True,
        symmetric=False,
        meta_strategy=True,
    ),
    "self_play": _with_self_play(function=self_play, best_responses=False, meta_strategy=True),
    "bundle": Expansion(
        function=bundle,
        capacity=lambda iterations, levels: iterations + 1,
        num_players=2,
        zero_sum=True,
        symmetric=False,
        meta_strategy=True,
    ),
    "union": _with_self_play(function=union, self_play_share=0.5),
    "fictitious": _with_self_play(function=fictitious, self_play_share=0.5, meta_strategy=True),
    "fictitious_average": _with_self_play(
        function=fictitious_average, self_play_share=0.9, meta_strategy=True
    ),
    "fictitious_decay": _with_self_play(
        function=fictitious_decay, self_play_share=0.9, meta_strategy=True
    ),
}

__all__ = [
    "EXPANSIONS",
    "Expanded",
    "Expansion",
    "Place",
    "Request",
    "SelfPlay",
    "Situation",
    "Steps",
    "Train",
]
