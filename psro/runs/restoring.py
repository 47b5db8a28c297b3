"""The state of a run from its folder: policies, meta-game and records of the last iteration."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np

from psro.metagame.exact_meta_game import ExactMetaGame
from psro.policies.jax_settings import own_settings
from psro.policies.population import Population
from psro.runs import commit as commits
from psro.runs import policies as policy_files
from psro.runs.config import RunConfig
from psro.runs.setup import Setup
from psro.runs.storage import ExperimentError
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
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), setup.num_populations))
    expected = jax.eval_shape(setup.policy.init_many, keys)
    policies, latest = policy_files.restore(
        folder, commit.records, commit.digests, config, expected
    )
    # The same calls as in training, so that every rounding is the same.
    population = Population.empty(setup.capacity)
    for slot in range(len(policies)):
        population = population.put(slot, policies[slot])
    meta_game = commit.table
    if setup.tree is not None:
        meta_game = ExactMetaGame.empty(setup.tree).put(
            range(len(policies)),
            [setup.tabulate(policies[slot]) for slot in range(len(policies))],
            commit.payoffs,
        )
        if not all(np.isfinite(plans).all() for plans in meta_game.plans):
            raise ExperimentError(f"{path} is damaged: its policies give no probabilities")
    last = Iteration(
        record=commit.records[-1],
        policies=latest,
        population=population,
        meta_game=meta_game,
        meta_strategy=commit.meta_strategy,
        evaluation=commit.evaluation,
    )
    return commit.records, commit.digests, last


def _check_payoffs(path: Path, commit: commits.Commit, setup: Setup) -> None:
    """Raises ExperimentError if the payoffs are not those of this game."""
    num_players = setup.rules.num_players
    if len(commit.payoffs) != num_players:
        raise ExperimentError(
            f"{path} is damaged: payoffs for {len(commit.payoffs)} players, not {num_players}"
        )
    most = setup.rules.max_return * (1 + 1e-6) + np.finfo(float).tiny  # by rounding
    if setup.tree is not None and np.abs(commit.payoffs).max() > most:
        raise ExperimentError(f"{path} is damaged: payoffs beyond the game's largest return")
    if commit.records[-1].kind != setup.config.evaluation:
        raise ExperimentError(
            f"{path} is damaged: its payoffs are {commit.records[-1].kind}, and the run's are "
            f"{setup.config.evaluation}"
        )
