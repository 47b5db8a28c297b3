"""Exact comparison of several runs' populations with each other and with strategies that need no
training, as `psro eval` prints it for several folders."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from games import GameError, GameTree
from games.tree import Plans
from games.units import without_rounding
from psro import exact
from psro.errors import SettingsError
from psro.exact import cfr, sequence_form
from psro.measure.evaluation import MAX_SEQUENCES, num_sequences
from psro.runs.storage import ExperimentError

if TYPE_CHECKING:
    from psro.runs.experiment import Experiment


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """N contenders in a game of P players, in units of its payoff.

    Attributes:
        names: the contenders' names.
        measured: value and NashConv of each contender in all seats.
        returns: expected return of contender i in seat p if contender j has all other seats,
            float64 `[P, N, N]`, entry `[p, i, j]`.
        omitted: one sentence for each contender that is missing, or is only in part as trained.
    """

    names: tuple[str, ...]
    measured: tuple[exact.Exploitability, ...]
    returns: np.ndarray
    omitted: tuple[str, ...] = ()

    @property
    def average(self) -> np.ndarray:
        """`returns`, averaged over the seats of contender i, `[N, N]`. In a two-player zero-sum
        game it is antisymmetric, with zeros on the diagonal."""
        return self.returns.mean(axis=0)


def compare(
    tree: GameTree,
    contenders: Mapping[str, Plans],
    omitted: Sequence[str] = (),
    *,
    exploitability: Callable[[Plans], exact.Exploitability] | None = None,
) -> Comparison:
    """Each contender against each; `exploitability` as in `evaluation.evaluate`."""
    exploitability = exploitability or functools.partial(exact.exploitability, tree)
    plans = list(contenders.values())
    returns = np.empty((tree.num_players, len(plans), len(plans)))
    for p, (j, others) in itertools.product(range(tree.num_players), enumerate(plans)):
        gains = exact.gains(tree, p, others)  # others[p] is ignored
        returns[p, :, j] = [own[p] @ gains for own in plans]
    return Comparison(
        names=tuple(contenders),
        measured=tuple(exploitability(own) for own in plans),
        returns=without_rounding(returns, tree.rounding),
        omitted=tuple(omitted),
    )


def baselines(
    tree: GameTree, *, cfr_iterations: int, programs: bool = False
) -> tuple[dict[str, Plans], list[str]]:
    """Strategies to compare a population with, and one sentence for each that is left out. They are
    uniform random play, the average of CFR+ after `cfr_iterations` (0: no CFR+), and the
    equilibrium of a two-player zero-sum game by a linear program (`programs`: of any size)."""
    contenders: dict[str, Plans] = {
        "uniform": [
            exact.realization_plan(player, exact.uniform_behaviour(player))
            for player in tree.players
        ]
    }
    if cfr_iterations:
        averages = itertools.islice(cfr.cfr_plus(tree), cfr_iterations - 1, None)
        contenders[f"CFR+ ({cfr_iterations:,})"] = next(averages)
    count = num_sequences(tree)
    if not programs and count > MAX_SEQUENCES:
        return contenders, [
            f"no equilibrium: its {count:,} sequences make a long program; --equilibrium solves it"
        ]
    try:
        contenders["equilibrium"] = sequence_form.equilibrium(tree).plans
    except (sequence_form.SequenceFormError, GameError) as error:
        return contenders, [f"no equilibrium: {error}"]
    return contenders, []


def mixtures(opened: Sequence[tuple[str | os.PathLike, Experiment]]) -> dict[str, Plans]:
    """The plans of the runs' meta-strategies, by name, on the tree of the first run. Of joint
    meta-strategies these are the marginals.

    Raises:
        ExperimentError: the runs are not of the same game.
    """
    (first, reference), *_ = opened
    contenders = {}
    for name, (path, run) in zip(distinct_names([path for path, _ in opened]), opened, strict=True):
        plans = [exact.mix(*both) for both in zip(run.plans, run.meta_strategy, strict=True)]
        try:
            contenders[name] = on_tree(reference.tree, reference.config.game, run, plans)
        except SettingsError as error:
            raise ExperimentError(
                f"{path} is a run of {run.config.game} and {first} of {reference.config.game}: "
                f"{error}"
            ) from None
    return contenders


def on_tree(tree: GameTree, game: str, run: Experiment, plans: Plans) -> Plans:
    """A run's plans in the numbering of another tree, of the game of that name; SettingsError for
    another game."""
    run_tree = run.tree
    if tree.same_as(run_tree):
        return plans
    seats = [len(tree.players), len(run_tree.players)]
    same_name = game == run.config.game
    if seats[0] != seats[1] or not same_name:
        raise SettingsError("only runs of one game can play each other")
    # One of the runs is symmetric: its info states are numbered like player 0's.
    if "history" in (tree.identity, run_tree.identity):
        raise SettingsError("with --symmetric its info states are numbered in another way")
    order = []  # for each sequence of the reference's player, its number in the run
    for own, other in zip(tree.players, run_tree.players, strict=True):
        place = {key: number for number, key in enumerate(other.keys)}
        if len(place) != own.num_info_states or not all(key in place for key in own.keys):
            raise SettingsError("only runs of one game can play each other")
        first = other.first_sequence
        places = [place[key] for key in own.keys]
        order.append(np.concatenate([[0], *(np.arange(first[i], first[i + 1]) for i in places)]))
    # Returns are multilinear in the plans: if they are equal for random numbers, they are almost
    # surely equal for all plans.
    generator = np.random.default_rng(0)
    drawn = [generator.random(player.num_sequences) for player in run_tree.players]
    moved = [plan[places] for plan, places in zip(drawn, order, strict=True)]
    sizes = [player.num_sequences for player in tree.players]
    if sizes != list(map(len, moved)) or not np.allclose(
        exact.returns(run_tree, drawn),
        exact.returns(tree, moved),
        rtol=0,
        atol=1e-9 * max(tree.max_return, run_tree.max_return),
    ):
        raise SettingsError("only runs of one game can play each other")
    return [plan[places] for plan, places in zip(plans, order, strict=True)]


def distinct_names(paths: Sequence[str | os.PathLike]) -> list[str]:
    """The last parts of the paths if these differ, else the paths; repeated names get a number."""
    names = [Path(path).name for path in paths]
    if len(set(names)) < len(names):
        names = [os.fspath(path) for path in paths]
    return [
        name if name not in names[:number] else f"{name} ({names[: number + 1].count(name)})"
        for number, name in enumerate(names)
    ]
