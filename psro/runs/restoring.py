"""The state of a run from its folder: policies, meta-game and records of the last iteration."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from psro.metagame.exact_meta_game import ExactMetaGame
from psro.policies.jax_settings import own_settings
from psro.policies.policy import Params
from psro.policies.population import Population
from psro.runs import commit as commits
from psro.runs import policies as policy_files
from psro.runs.config import RunConfig
from psro.runs.setup import Setup
from psro.runs.storage import ExperimentError
from psro.runs.vectors import VectorFiles
from psro.training.on_form import Shelf
from psro.training.record import Iteration, Record


@own_settings()
def restore(
    folder: Path, config: RunConfig, setup: Setup
) -> tuple[list[Record], list[str], Iteration] | None:
    """Records, digests of the policy files, and the last iteration; None if none is finished.

    Raises:
        ExperimentError: a file is damaged, or does not fit the others.
    """
    commit = commits.read_commit(folder, config)
    if commit is None:
        return None
    path = folder / commits.COMMIT
    _check_payoffs(path, commit, setup)
    expected = _expected(setup)
    policies, latest = policy_files.restore(
        folder, commit.records, commit.digests, config, expected
    )
    last = complete(
        Iteration(
            record=commit.records[-1],
            policies=latest,
            population=population_of([policies[slot] for slot in range(len(policies))], setup),
            meta_game=commit.table,
            meta_strategy=commit.meta_strategy,
            evaluation=commit.evaluation,
        ),
        setup,
        VectorFiles(folder),
    )
    if setup.tree is not None and not all(np.isfinite(p).all() for p in last.meta_game.plans):
        raise ExperimentError(f"{path} is damaged: its policies give no probabilities")
    return commit.records, commit.digests, last


@own_settings()
def restored_start(folder: Path, config: RunConfig, setup: Setup) -> list[Params]:
    """The policies of iteration 0 of a run that has not finished it. Raises ExperimentError if they
    are missing or damaged."""
    return policy_files.read_start(folder, config, _expected(setup), setup.rules.num_players)


def _expected(setup: Setup) -> Params:
    """The shapes of one policy of each population."""
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), setup.num_populations))
    return jax.eval_shape(setup.policy.init_many, keys)


def population_of(policies: Sequence[Params], setup: Setup) -> Population:
    """Populations of these policies, leaves `[P, ...]`, in their order."""
    population = Population.empty(setup.capacity)
    for params in policies:
        population = population.add(params)
    return population


@own_settings()
def complete(iteration: Iteration, setup: Setup, shelf: Shelf | None = None) -> Iteration:
    """An iteration whose meta-game is only the table of payoffs, with the policies' plans if the
    game is enumerated, and with their vectors if it is known by another form: those of the shelf,
    or they are computed when they are needed. The calls are those of training, so that every
    rounding is the same."""
    if setup.form is None:
        return iteration
    members, payoffs = iteration.population.members, iteration.meta_game.payoffs
    if setup.tree is None:
        evaluator = setup.evaluator if shelf is None else setup.evaluator_with(shelf)
        meta_game = evaluator.meta_game(iteration.population, payoffs)
        return dataclasses.replace(iteration, meta_game=meta_game)
    meta_game = ExactMetaGame.empty(setup.tree).put(
        range(len(members)),
        [setup.tabulate(policies) for policies in members],
        payoffs,
    )
    return dataclasses.replace(iteration, meta_game=meta_game)


def _check_payoffs(path: Path, commit: commits.Commit, setup: Setup) -> None:
    """Raises ExperimentError if the payoffs are not those of this game."""
    num_players = setup.rules.num_players
    if len(commit.payoffs) != num_players:
        raise ExperimentError(
            f"{path} is damaged: payoffs for {len(commit.payoffs)} players, not {num_players}"
        )
    most = setup.rules.max_return * (1 + 1e-6) + np.finfo(float).tiny  # by rounding
    if setup.form is not None and np.abs(commit.payoffs).max() > most:
        raise ExperimentError(f"{path} is damaged: payoffs beyond the game's largest return")
    if commit.records[-1].kind != setup.config.evaluation:
        raise ExperimentError(
            f"{path} is damaged: its payoffs are {commit.records[-1].kind}, and the run's are "
            f"{setup.config.evaluation}"
        )
