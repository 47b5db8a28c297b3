"""Base of the oracles that train a network on every info state of the tree.

Nothing is sampled. A step runs the network on all of the learner's info states. It compares the
policy there with exact counterfactual values against the opponents' mixture.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from games.game import Game
from games.levels import Level, levels
from psro.errors import SettingsError
from psro.oracles.base import Jobs, Results
from psro.oracles.devices import OverJobs
from psro.oracles.optimizer import exact_optimizer
from psro.oracles.settings import WholeTreeConfig
from psro.oracles.training import Training, Yardstick, expected_return, train, yardstick
from psro.policies.policy import Params, Policy, at_temperature

Learner = tuple[Params, optax.OptState]


class WholeTree(abc.ABC):
    """An oracle without the method `_loss`, which a step minimises."""

    tabular = False
    conditional = False
    world_model = False
    enumerated = True

    def __init__(self, game: Game, policy: Policy, config: WholeTreeConfig):
        if game.tree is None:
            raise SettingsError(f"oracle {config.name} needs a game that is enumerated")
        self._config = config
        self._policy = policy
        self._tree = game.tree
        self._levels = levels(game.tree)
        self._optimizer = exact_optimizer(config, config.evaluations * config.steps_per_round)
        self._train = OverJobs(self._train_one)

    def __call__(self, jobs: Jobs) -> Results:
        measure = yardstick(self._tree, self._levels, jobs.player, jobs.exact)
        training = self._train((jobs.initial, measure), ())
        none = np.zeros(len(jobs), int)
        return Results(
            params=training.best,
            decisions=none,
            episodes=none,
            diverged=training.diverged,
            curve=training.curve,
        )

    def _train_one(self, job: tuple[Params, Yardstick], shared: tuple, *, spread: Any) -> Training:
        """One job, start to end."""
        config, (initial, yardstick) = self._config, job
        initial = at_temperature(initial, 1.0)
        aims = self._aims(yardstick)

        def stretch(learner: Learner, number: jax.Array):
            return self._steps(lambda params: self._loss(params, yardstick, aims), learner), jnp.nan

        training = train(
            (initial, self._optimizer.init(initial)),
            learn=stretch,
            finish=lambda learner: at_temperature(learner[0], config.temperature),
            value=lambda params: expected_return(self._policy, params, yardstick),
            evaluations=config.evaluations,
            patience=config.patience,
            enough=yardstick.best - config.tolerance / yardstick.scale,
        )
        return dataclasses.replace(training, learner=())

    def _steps(self, loss: Callable[[Params], jax.Array], learner: Learner) -> Learner:
        """The steps up to the next evaluation."""

        def step(learner: Learner, _):
            params, opt_state = learner
            change, opt_state = self._optimizer.update(jax.grad(loss)(params), opt_state, params)
            return (optax.apply_updates(params, change), opt_state), None

        return jax.lax.scan(step, learner, length=self._config.steps_per_round)[0]

    def _aims(self, yardstick: Yardstick) -> Sequence[jax.Array]:
        """The parts of the loss that do not change from step to step, by level."""
        return ()

    @abc.abstractmethod
    def _loss(
        self, params: Params, yardstick: Yardstick, aims: Sequence[jax.Array]
    ) -> jax.Array: ...


def emphasis(level: Level, values: jax.Array) -> jax.Array:
    """The weight of each info state, `[W]`: the square root of the best action's value minus the
    worst action's value. `values [W, A]` are counterfactual. (Without the square root, the network
    would learn little at info states that are rarely met.)"""
    best = jnp.where(level.legal, values, -jnp.inf).max(axis=1)
    worst = jnp.where(level.legal, values, jnp.inf).min(axis=1)
    return jnp.sqrt(jnp.where(level.legal.any(axis=1), best - worst, 0.0))
