"""Diversity terms, which variants of PSRO add to a best response's return.

A term is built from a `Context`. It maps a player's realization plan `[S]` to a value without a
unit and its gradient `[S]`. `maximise` turns a term into gains `[S]`, which every oracle accepts. A
term is one file and one entry in `TERMS`.
"""

from __future__ import annotations

from collections.abc import Callable

from psro.variants.diversity.bd_rd import bd_rd
from psro.variants.diversity.behavioural import behavioural
from psro.variants.diversity.context import Context, DiversityError, Term
from psro.variants.diversity.expected_cardinality import expected_cardinality
from psro.variants.diversity.maximise import maximise
from psro.variants.diversity.policy_hull import policy_hull
from psro.variants.diversity.response import response

TERMS: dict[str, Callable[[Context], Term]] = {
    "expected_cardinality": expected_cardinality,
    "behavioural": behavioural,
    "response": response,
    "bd_rd": bd_rd,
    "policy_hull": policy_hull,
}

__all__ = ["TERMS", "Context", "DiversityError", "Term", "maximise"]
