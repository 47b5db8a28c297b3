"""Exact figures of populations that were trained and measured by episodes, where the game has a
`games.form.Form`."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from games.form import Form
from psro import exact
from psro.errors import SettingsError
from psro.measure.mixtures import Mixture, mixture_of
from psro.metagame.strategy import MetaStrategy
from psro.policies.tabulation import ChunkedTabulator
from psro.runs.experiment import Experiment

TOGETHER = 8
"""Policies that are tabulated together, at most."""
NUMBERS_TOGETHER = 1 << 27
"""Probabilities that they have in memory, at most, if there are two or more: 1 GiB."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasuredOnForm:
    """What a run's meta-strategy is worth, exactly.

    Attributes:
        form: of the game.
        distance: values, best responses and exploitability.
        error: the exploitability differs from the mixture's by at most this.
        seconds: processor seconds by part: `policies` (tabulating them) and `walk` (the rest).
    """

    form: Form
    distance: exact.Exploitability
    error: float
    seconds: dict[str, float]


def evaluate(
    run: Experiment,
    form: Form,
    tell: Callable[[str], None] = lambda words: None,
    *,
    strategy: MetaStrategy | None = None,
    within: float = 0.0,
) -> MeasuredOnForm:
    """Measures a run's meta-strategy: of a joint one its marginals.

    Args:
        run: measured by episodes; its policies are networks.
        form: of its game, with the tensor that its policies see.
        tell: is told what is done next.
        strategy: another meta-strategy of its policies to measure instead.
        within: how far the exploitability may be from the mixture's, in the game's payoffs. With
            more than 0, networks do not run where the mixture is too seldom to matter.

    Raises:
        SettingsError: the policies are tables, or see another tensor than the form's.
    """
    mixture, begun = mixture_of(run, strategy), time.process_time()
    check_observations(run, form)
    plans = mixed_plans(mixture, form, tell, negligible=negligible(form, within))
    tabulated = time.process_time()
    tell(f"best responses on {form.num_info_states:,} info states")
    distance = exact.exploitability(form, plans)
    seconds = {"policies": tabulated - begun, "walk": time.process_time() - tabulated}
    return MeasuredOnForm(form=form, distance=distance, error=within, seconds=seconds)


def check_observations(run: Experiment, form: Form) -> None:
    """Raises SettingsError if a run's policies see other tensors than a form's."""
    seen = run.rules.observation_space
    for player, states in enumerate(form.players):
        if seen.shape != (states.observation_size,):
            raise SettingsError(
                f"the policies of {run.folder} see tensors of shape {seen.shape}, and player "
                f"{player} of {form.name} has {states.observation_size} entries"
            )


def negligible(form: Form, within: float) -> float:
    """How much of every player's plan, in total variation, may be another one so that
    exploitability changes by at most `within`.

    Returns lie within an interval of twice `form.max_return`. So a plan that differs by t changes
    an expected return by at most 2 t `form.max_return`. A best response's value depends on P - 1
    plans. A player's own value depends on all P, and drops out of a constant sum.
    """
    players = form.num_players
    plans = players - 1 + (0 if form.is_constant_sum else players)
    return within / (2 * form.max_return * plans)


def mixed_plans(
    mixture: Mixture,
    form: Form,
    tell: Callable[[str], None] = lambda words: None,
    *,
    negligible: float = 0.0,
) -> list[np.ndarray]:
    """Each player's realization plan, float64 `[S_p]`: those of its policies, mixed linearly. A few
    policies at a time are in memory. Each plan may differ by `negligible` in total variation."""
    tabulator, plans = ChunkedTabulator(mixture.policy), []
    for player, states in enumerate(form.players):
        weights = mixture.weights[player]
        plan = np.zeros(states.num_sequences)
        members = np.flatnonzero(weights)
        together = min(TOGETHER, max(1, NUMBERS_TOGETHER // states.num_sequences))
        for begin in range(0, len(members), together):
            part = members[begin : begin + together]
            words = ", ".join(map(str, part))
            tell(f"policies {words} of player {player} at {states.num_info_states:,} info states")
            behaviours = tabulator(
                mixture.some(player, part), states, negligible=negligible, weights=weights[part]
            )
            for k, behaviour in zip(part, behaviours, strict=True):
                plan += weights[k] * exact.realization_plan(states, behaviour)
        plans.append(plan)
    return plans
