"""What is saved of an evaluation of a learner that trains alone. Reading it needs no JAX."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One evaluation in numbers; returns in units of the game.

    Attributes:
        evaluation: its number; 0 is before training.
        decisions: the learner's decisions so far.
        episodes: the episodes that it has finished so far.
        mean_return: of fresh episodes of the policy as it would be finished now.
        return_standard_error: its standard error.
        training_return: mean return of the episodes that ended in the stretch, with exploration;
            None before training.
        best: the number of the evaluation with the highest `mean_return` so far.
        seconds: wall seconds since the evaluation before, by part.
        cpu_seconds: processor seconds of this process meanwhile, of all its threads; None in older
            folders.
        losses: of the learner, by name, means over the stretch; empty before training, and in older
            folders.
    """

    evaluation: int
    decisions: int
    episodes: int
    mean_return: float
    return_standard_error: float
    training_return: float | None
    best: int
    seconds: dict[str, float]
    cpu_seconds: float | None = None
    losses: dict[str, float] = dataclasses.field(default_factory=dict)
