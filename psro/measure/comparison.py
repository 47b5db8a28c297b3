"""Populations of several runs against each other and against strategies that need no training,
exactly: what `psro eval` prints of several folders."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from games import GameError, GameTree
from games.tree import Plans
from games.units import without_rounding
from psro import exact
from psro.errors import SettingsError
from psro.exact import cfr, sequence_form
from psro.measure.evaluation import MAX_SEQUENCES, num_sequences
from psro.runs.experiment import Experiment
from psro.runs.storage import ExperimentError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """N contenders in a game of P players, in units of its payoff.

    Attributes:
        names: of the contenders.
        measured: value and NashConv of each, when it has all seats.
        returns: what contender i expects in seat p when contender j has all other seats,
            float64 `[P, N, N]`, entry `[p, i, j]`.
        omitted: which contender is missing or not all itself, and why; a sentence each.
    """

    names: tuple[str, ...]
    measured: tuple[exact.Exploitability, ...]
    returns: np.ndarray
    omitted: tuple[str, ...] = ()

    @property
    def average(self) -> np.ndarray:
        """`returns`, averaged over the seats of contender i, `[N, N]`: antisymmetric in a zero-sum
        game of two players, zero where something meets itself."""
        return self.returns.mean(axis=0)


def compare(
    tree: GameTree,
    contenders: Mapping[str, Plans],
    omitted: Sequence[str] = (),
    *,
    exploitability: Callable[[Plans], exact.Exploitability] | None = None,
) -> Comparison:
    """Everybody against everybody; `exploitability` as in `evaluation.evaluate`."""
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
    """What a population may be measured against, and a sentence for each that is left out: uniform
    random play, the average of CFR+ after so many iterations (0: none), and the equilibrium of a
    two-player zero-sum game by a linear program (`programs`: however large that is)."""
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
    """What the runs' meta-strategies play, by name: each player by itself, where policies are
    drawn together; on the tree of the first.

    Raises:
        ExperimentError: the runs are not of one game.
    """
    (first, reference), *_ = opened
    contenders = {}
    for name, (path, run) in zip(_names([path for path, _ in opened]), opened, strict=True):
        plans = [exact.mix(*both) for both in zip(run.plans, run.meta_strategy, strict=True)]
        try:
            contenders[name] = _on_tree(reference, run, plans)
        except SettingsError as error:
            raise ExperimentError(
                f"{path} is a run of {run.config.game} and {first} of {reference.config.game}: "
                f"{error}"
            ) from None
    return contenders


def _on_tree(reference: Experiment, run: Experiment, plans: Plans) -> Plans:
    """Plans of a run in the numbering of another's tree; SettingsError for another game."""
    tree, run_tree = reference.tree, run.tree
    if tree.same_as(run_tree):
        return plans
    seats = [len(tree.players), len(run_tree.players)]
    same_name = reference.config.game == run.config.game
    if seats[0] != seats[1] or not same_name:
        raise SettingsError("only runs of one game can play each other")
    # One of them has seats that are alike, whose info states are numbered alike.
    if "history" in (tree.identity, run_tree.identity):
        raise SettingsError("with --symmetric its info states are numbered in another way")
    order = []  # of each player's sequences, theirs as ours
    for own, other in zip(tree.players, run_tree.players, strict=True):
        place = {key: number for number, key in enumerate(other.keys)}
        if len(place) != own.num_info_states or not all(key in place for key in own.keys):
            raise SettingsError("only runs of one game can play each other")
        first = other.first_sequence
        places = [place[key] for key in own.keys]
        order.append(np.concatenate([[0], *(np.arange(first[i], first[i + 1]) for i in places)]))
    # What is earned is linear in what each player does: equal at random numbers, almost
    # surely equal everywhere.
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


def _names(paths: Sequence[str | os.PathLike]) -> list[str]:
    """The last parts of paths where those differ, else the paths, numbered where they repeat."""
    names = [Path(path).name for path in paths]
    if len(set(names)) < len(names):
        names = [os.fspath(path) for path in paths]
    return [
        name if name not in names[:number] else f"{name} ({names[: number + 1].count(name)})"
        for number, name in enumerate(names)
    ]
