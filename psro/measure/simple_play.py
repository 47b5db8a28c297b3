"""Simple policies measured exactly, without a run."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from games import GameTree
from games.form import Form
from psro import exact
from psro.errors import SettingsError
from psro.exact import sequence_form
from psro.exact.cfr import cfr_plus

if TYPE_CHECKING:
    from psro.runs.experiment import Experiment

EQUILIBRIUM_GAP = 1e-3
"""The largest NashConv, as a share of the game's largest return, at which CFR+ is called an
equilibrium where no linear program is solved."""

MAX_SEQUENCES = 50_000
"""Equilibria of games with at most this many sequences, of both players together, are found by a
linear program. One-die Liar's Dice has 49,142, and takes about a minute."""

Tell = Callable[[str], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Play:
    """How everybody plays.

    Attributes:
        plans: each player's realization plan, `[S_p]`.
        method: how they were found, in words.
    """

    plans: list[np.ndarray]
    method: str


def uniform(form: Form) -> list[np.ndarray]:
    """Every player plays each legal action with equal probability."""
    return [
        exact.realization_plan(player, exact.uniform_behaviour(player)) for player in form.players
    ]


def cfr_average(form: Form, iterations: int) -> list[np.ndarray]:
    """The average of CFR+ after some iterations, at least one."""
    return next(itertools.islice(cfr_plus(form), iterations - 1, None))


def equilibrium(form: Form, tell: Tell = lambda words: None) -> Play:
    """An equilibrium of a two-player zero-sum game: by a linear program if the game is an
    enumerated one with at most `MAX_SEQUENCES` sequences, or else by CFR+ up to `EQUILIBRIUM_GAP`.
    `tell` is told how close CFR+ is.

    Raises:
        SettingsError: another kind of game.
        SequenceFormError: the linear program was not solved.
    """
    if form.num_players != 2 or not form.is_constant_sum:
        raise SettingsError(
            f"an equilibrium is found in two-player zero-sum games only, and {form.name} "
            + (f"has {form.num_players} players" if form.num_players != 2 else "is not zero-sum")
        )
    if isinstance(form, GameTree) and _num_sequences(form) <= MAX_SEQUENCES:
        return Play(plans=list(sequence_form.equilibrium(form).plans), method="linear program")
    least, check = EQUILIBRIUM_GAP * form.max_return, 1
    for iteration, plans in enumerate(cfr_plus(form), 1):
        if iteration < check:
            continue
        check = iteration + max(1, iteration // 4)
        gap = exact.exploitability(form, plans).nash_conv
        tell(f"CFR+, {iteration} iterations: NashConv {gap:.6f}; it ends at {least:g}")
        if gap <= least:
            break
    return Play(
        plans=plans, method=f"CFR+ to a NashConv of at most {least:g}, {iteration} iterations"
    )


def of_run(run: Experiment, form: Form, tell: Tell = lambda words: None) -> Play:
    """The mixture of a run, measured or not: its networks are evaluated at every info state of a
    form that is not the run's own tree. Of a joint meta-strategy these are the marginals.

    Raises:
        SettingsError: its policies see other tensors than the form's.
    """
    from psro.measure import on_form  # here, not above: other play needs no JAX
    from psro.measure.mixtures import mixture_of

    if form is run.tree:
        plans = run.meta_game.mixture(run.measured_strategy.marginals)
    else:
        on_form.check_observations(run, form)
        plans = on_form.mixed_plans(mixture_of(run), form, tell)
    return Play(plans=plans, method=f"the mixture of {run.folder}")


def _num_sequences(form: Form) -> int:
    return sum(player.num_sequences for player in form.players)


def policies(
    cfr_iterations: int, tell: Tell = lambda words: None
) -> dict[str, Callable[[Form], Play]]:
    """Policies that need no run, by name: function of a form that says how everybody plays."""
    return {
        "uniform": lambda form: Play(plans=uniform(form), method="equal probabilities"),
        "cfr+": lambda form: Play(
            plans=cfr_average(form, cfr_iterations), method=f"CFR+, {cfr_iterations} iterations"
        ),
        "equilibrium": lambda form: equilibrium(form, tell),
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimplePlay:
    """Exact figures of a policy of all players, and what they took.

    Attributes:
        policy: its name.
        method: how it was found, in words.
        form: of the game.
        measured: the value and NashConv.
        cpu_seconds, wall_seconds: finding and measuring it.
    """

    policy: str
    method: str
    form: Form
    measured: exact.Exploitability
    cpu_seconds: float
    wall_seconds: float


def measure(form: Form, policy: str, play: Callable[[Form], Play]) -> SimplePlay:
    """The value and NashConv of a policy that everybody plays; `play` says how."""
    cpu, wall = time.process_time(), time.perf_counter()
    played = play(form)
    measured = exact.exploitability(form, played.plans)
    return SimplePlay(
        policy=policy,
        method=played.method,
        form=form,
        measured=measured,
        cpu_seconds=time.process_time() - cpu,
        wall_seconds=time.perf_counter() - wall,
    )
