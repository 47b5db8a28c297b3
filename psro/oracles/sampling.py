"""Base of the oracles that train a network on sampled episodes.

The objective is the expected return per episode, if the opponents' profile is drawn from the
meta-strategy once per episode. Before every rollout, a profile is drawn for each stratum of
environments. A method must give a stratum's decisions the weight 1 / (episodes that the stratum
finished). The reason is the renewal-reward theorem: a stratum's sum over decisions, divided by its
number of episodes, is its expectation per episode. A plain mean over decisions would give profiles
with short episodes too much weight.

All jobs train in one jitted call. At even intervals the policy is evaluated at the finished
temperature: exactly on a tree, otherwise by the mean return per episode of the last rollouts. The
best policy seen is returned. Training ends early when the best policy has not improved for a while.
"""

from __future__ import annotations

import abc
import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax

from games.game import Game
from games.levels import Level, levels, rows
from games.tree_game import RowGame
from psro.errors import SettingsError
from psro.oracles.base import Jobs, Results
from psro.oracles.decisions import Decisions, returns_of_strata
from psro.oracles.devices import OverJobs
from psro.oracles.job import Job, Learner, Losses, Sample, Setting, mean_losses
from psro.oracles.optimizer import optimizer
from psro.oracles.rollout import Act, Rollout
from psro.oracles.settings import SampledConfig
from psro.oracles.tabulated import bonus_tables, opponent_tables
from psro.oracles.training import Training, expected_return, train, yardstick
from psro.policies.networks.cells.cell import Carry
from psro.policies.observed import observed
from psro.policies.policy import Lookup, Params, Policy, at_temperature

Actor = Any
"""What acts in rollouts in place of the policy: its methods that a `Rollout` uses, with a carry of
its own."""

_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))


class Sampled(abc.ABC):
    """An oracle without its method: `_start`, `_params` and `_learn`."""

    tabular = False
    conditional = False
    enumerated = False
    world_model = False

    def __init__(
        self,
        game: Game,
        policy: Policy,
        config: SampledConfig,
        *,
        sequence_length: int,
        act: Act | None = None,
        actor: Actor | None = None,
    ):
        """`act` and `actor` say how the learner acts in rollouts; by default as the policy does."""
        self._config = config
        self._num_opponents = game.num_players - 1
        self._policy = policy
        # Returns within [-1, 1], times a setting.
        self._scale = np.float32(config.reward_scale / max(game.max_return, 1e-9))
        self._tree = game.tree
        self._levels = [] if game.tree is None else levels(game.tree)
        if config.tabulated and game.tree is None:
            raise SettingsError(f"{config.name}.tabulated needs a game that is enumerated")
        # Strata differ by their opponents: without any, all environments are alike.
        one = config.tabulated or not self._num_opponents
        self._num_strata = 1 if one else config.num_strata
        self._sequence_length = config.rollout_length if config.tabulated else sequence_length
        self._rollout = Rollout(
            RowGame(game.tree, rows(game.tree)) if config.tabulated else game,
            Lookup() if config.tabulated else actor or policy,
            num_envs=config.num_envs,
            num_strata=self._num_strata,
            length=config.rollout_length,
            sequence_length=self._sequence_length,
            act=act,
        )
        if actor is not None and not config.tabulated:
            self._rollout = self._rollout.against(policy)
        jax.eval_shape(self._rollout.empty)  # a game that is too large raises its error here
        self._optimizer = optimizer(config)
        self._train = OverJobs(self._train_one, env_devices=config.env_devices)

    def against(self, policy: Policy) -> Self:
        """The same oracle, whose opponents have another network than the learner."""
        oracle = copy.copy(self)
        oracle._rollout = self._rollout.against(policy)
        oracle._train = OverJobs(oracle._train_one, env_devices=self._config.env_devices)
        return oracle

    def __call__(self, jobs: Jobs) -> Results:
        training = self._train(*self.inputs(jobs))
        decisions, episodes = training.learner
        return Results(
            params=training.best,
            decisions=decisions,
            episodes=episodes,
            diverged=training.diverged,
            curve=training.curve,
        )

    def compile(self, jobs: Jobs) -> None:
        """Compiles, ahead of time, what a call with jobs of these shapes runs."""
        self._train.compile(*self.inputs(jobs))

    def inputs(self, jobs: Jobs) -> tuple[Job, Setting]:
        """Each job's own input and what all jobs share, as the compiled functions take them."""
        # Summed on the host in float64, so that spare capacity does not change the rounding.
        flat = np.asarray(jobs.opponents, np.float64).reshape(len(jobs), -1)
        cumulative = np.cumsum(flat, axis=1)
        cumulative = (cumulative / cumulative[:, -1:]).astype(np.float32)
        view, tabulated = jobs.exact, self._config.tabulated
        own = Job(
            player=np.asarray(jobs.player, np.int32),
            key=jax.device_get(jax.random.key_data(jobs.key)),
            initial=self._first(jobs),
            group=np.asarray(jobs.populations.group, np.int32),
            cumulative=cumulative,
            yardstick=None
            if view is None or self._tree is None
            else yardstick(self._tree, self._levels, jobs.player, view),
            mixture=self._mixture(jobs) if tabulated else None,
            bonus=self._bonus(jobs) if view and view.bonus else None,
        )
        setting = Setting(
            populations=jobs.populations.params,
            constants=self._rollout.game.constants,
            scale=self._scale,
        )
        return own, setting

    def _mixture(self, jobs: Jobs) -> Params:
        if jobs.exact.mixture is None:
            raise SettingsError(
                f"{self._config.name}.tabulated needs opponents that are independent"
            )
        return opponent_tables(self._tree, jobs)

    def _bonus(self, jobs: Jobs) -> np.ndarray:
        if not self._config.tabulated:
            raise SettingsError(
                f"oracle {self._config.name} can reward actions at info states "
                f"only with {self._config.name}.tabulated"
            )
        return bonus_tables(self._tree, jobs)

    def _train_one(self, job: Job, setting: Setting, *, spread: Callable[[Any], Any]) -> Training:
        """One job, start to end."""

        def value(params: Params) -> jax.Array:
            return expected_return(self._policy, params, job.yardstick)

        training = train(
            self.init(job, setting),
            learn=lambda learner, number: self.train(learner, number, job, setting, spread=spread)[
                :2
            ],
            finish=self.finished,
            value=None if job.yardstick is None else value,
            evaluations=self._config.evaluations,
            patience=self._config.patience,
        )
        # The environments and the method's own state are not returned.
        return dataclasses.replace(
            training, learner=(training.learner.decisions, training.learner.episodes)
        )

    def init(self, job: Job, setting: Setting) -> Learner:
        """The state of a job before training."""
        rollout = self._rollout.with_constants(setting.constants)
        return Learner(
            student=self._start(job.initial),
            actors=rollout.empty(),
            profile=jnp.full(self._num_strata, -1, jnp.int32),  # none yet: all strata restart
            decisions=jnp.int32(0),
            episodes=jnp.int32(0),
        )

    def train(
        self,
        learner: Learner,
        number: jax.Array,
        job: Job,
        setting: Setting,
        *,
        spread: Callable[[Any], Any] = lambda tree: tree,
    ) -> tuple[Learner, jax.Array, Losses]:
        """Stretch `number` of a job, up to the next evaluation. Also returns the mean return of the
        episodes that ended in it, and the losses' means. Every random number is keyed by the
        update's number."""
        length = self._config.updates_per_evaluation
        rollout = self._rollout.with_constants(setting.constants)
        learner, (returns, strata, losses) = jax.lax.scan(
            lambda learner, number: self._update(
                learner, number, job, setting, rollout=rollout, spread=spread
            ),
            learner,
            number * length + jnp.arange(length, dtype=jnp.int32),
        )
        mean_return = returns.sum() / jnp.maximum(strata.sum(), 1)
        return learner, mean_return, mean_losses(losses)

    def finished(self, learner: Learner) -> Params:
        """The policy of a state, at the finished temperature."""
        return at_temperature(self._params(learner.student), self._config.temperature)

    def _update(
        self,
        learner: Learner,
        number: jax.Array,
        job: Job,
        setting: Setting,
        *,
        rollout: Rollout,
        spread: Callable[[Any], Any],
    ) -> tuple[Learner, tuple[jax.Array, jax.Array, Losses]]:
        """Plays one rollout and learns from it. Also returns its `returns_of_strata`, and the
        method's losses."""
        key = jax.random.fold_in(jax.random.wrap_key_data(job.key), job.player)
        profile_key, restart_key, play_key, learn_key = jax.random.split(
            jax.random.fold_in(key, number), 4
        )
        params, levels = self._acting(learner.student), None
        if job.mixture is None:
            profile = self._draw(job.cumulative, profile_key)
            opponents = self._opponents(setting.populations, job, profile)
        else:
            levels = job.yardstick.levels
            params = self._table(self._params(learner.student), levels)
            profile, opponents = jnp.zeros(1, jnp.int32), job.mixture
        restarted = profile != learner.profile
        actors = rollout.restart(learner.actors, restarted, restart_key)
        actors = dataclasses.replace(
            actors, state=spread(actors.state), learner=spread(actors.learner)
        )
        progress = number / self._config.num_updates
        actors, decisions, episodes = rollout(
            params, opponents, job.player, actors, play_key, self._exploration(progress)
        )
        if job.bonus is not None:
            paid = job.bonus[decisions.observation, decisions.action] * decisions.valid
            decisions = dataclasses.replace(decisions, reward=decisions.reward + paid)
        decisions = dataclasses.replace(decisions, reward=decisions.reward * setting.scale)
        sample = Sample(
            decisions=decisions,
            episodes=episodes,
            next=rollout.turn(actors, job.player),
            restarted=restarted,
            levels=levels,
        )
        student, losses = self._learn(learner.student, sample, progress, learn_key)
        learner = Learner(
            student=self._observed(student, decisions),
            actors=actors,
            profile=profile,
            decisions=learner.decisions + decisions.valid.sum(dtype=jnp.int32),
            episodes=learner.episodes + episodes.count.sum().astype(jnp.int32),
        )
        return learner, (*returns_of_strata(episodes, self._num_strata), losses)

    def _draw(self, cumulative: jax.Array, key: jax.Array) -> jax.Array:
        """A profile for every stratum, int `[S]`, by systematic sampling. Each profile is drawn
        its expected number of times, rounded up or down. Few strata change between updates."""
        strata = jnp.arange(self._num_strata)
        points = (strata + jax.random.uniform(key)) / self._num_strata
        points = jnp.minimum(points, _BELOW_ONE)  # a point of 1 would draw an unused policy
        return jnp.searchsorted(cumulative, points, side="right")

    def _opponents(self, populations: Params, job: Job, profile: jax.Array) -> Params:
        """Parameters of the opponents in every stratum, leaves `[Q, S, ...]`."""
        opponents = self._num_opponents
        if not opponents:
            return ()
        capacity = jax.tree.leaves(populations)[0].shape[2]
        members = jnp.stack(jnp.unravel_index(profile, (capacity,) * opponents))  # [Q, S]
        seats = (job.player + 1 + jnp.arange(opponents)) % (opponents + 1)  # [Q]
        return jax.tree.map(lambda leaf: leaf[job.group, seats[:, None], members], populations)

    def _first(self, jobs: Jobs) -> Params:
        """The first parameters of all networks that training needs, leaves `[J, ...]`."""
        return at_temperature(jobs.initial, 1.0)

    @abc.abstractmethod
    def _start(self, initial: Params) -> Any:
        """The student before training."""

    @abc.abstractmethod
    def _params(self, student: Any) -> Params:
        """The network that acts. The best response is this network at another temperature."""

    @abc.abstractmethod
    def _learn(
        self, student: Any, sample: Sample, progress: jax.Array, key: jax.Array
    ) -> tuple[Any, Losses]:
        """The student after one more rollout, and the losses of its steps, which are for people.
        `progress` is the share of training done before."""

    def _observed(self, student: Any, decisions: Decisions) -> Any:
        """The student, whose networks normalise by these observations too. They are counted after
        the rollout's training, so that it sees what the rollout has seen."""
        seen, counts = decisions.observation, decisions.valid
        return observed(self._policy, self._params(student), student, seen, counts)

    def _acting(self, student: Any) -> Params:
        """The parameters of what acts in rollouts (`actor`): by default the network itself."""
        return self._params(student)

    def _exploration(self, progress: jax.Array) -> jax.Array | float:
        """The amount of exploration, passed to `act`."""
        return 0.0

    def _outputs(
        self,
        params: Params,
        observation: jax.Array,
        last_action: jax.Array,
        reset: jax.Array,
        carry: Carry,
        levels: Sequence[Level] | None,
    ) -> tuple[jax.Array, jax.Array]:
        """Outputs `[L, N, ...]` and values `[L, N]` of L steps of N sequences. The network runs
        from the carries of the rollout, or over `levels` if they are given."""
        if levels is None:
            return self._policy.unroll(params, observation, last_action, reset, carry)
        table = self._table(params, levels)
        return table["logits"][observation], table["value"][observation]

    def _table(self, params: Params, levels: Sequence[Level]) -> Params:
        """The parameters of `Lookup`: logits `[R, A]` and values `[R]`, one level after the
        other."""
        logits, values = self._policy.tabulate(params, levels)
        return {"logits": jnp.concatenate(logits), "value": jnp.concatenate(values)}

    def _step(self, params: Params, opt_state: optax.OptState, gradient: Params):
        change, opt_state = self._optimizer.update(gradient, opt_state, params)
        return optax.apply_updates(params, change), opt_state
