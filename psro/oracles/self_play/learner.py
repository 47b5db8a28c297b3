"""Base of the learners of self-play.

All players of a run are one job. In every update each player plays a rollout against the others'
current policies. Then the players' networks learn from their own decisions, all in one call. One
network may be the policy of all players (`shared`).

A player's objective is its expected return per episode, as in `psro.oracles.sampling`. So the
decisions of a player have the weight 1 / (its episodes).

Nothing is selected. The result is the last iterate, at temperature 1. What a learner needs in the
next iteration are its networks alone: the policies that it returns. Environments begin anew, and so
does Adam. Schedules depend on the run's progress, which the request gives (`Jobs.progress`).
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax

from games.game import Game
from psro.oracles.base import Jobs, Results
from psro.oracles.decisions import Decisions, Episodes
from psro.oracles.devices import OverJobs
from psro.oracles.job import Losses
from psro.oracles.rollout import Actors, Rollout
from psro.oracles.sampling import Actor
from psro.oracles.self_play_settings import SelfPlayConfig
from psro.policies.networks.cells.cell import Carry
from psro.policies.policy import Params, Policy, at_temperature

C = TypeVar("C", bound=SelfPlayConfig)
Networks = tuple[Params, ...]
"""The networks of one learner: first the policy to play, leaves `[...]`, or with axes before."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """The input of the job of one run. L is the number of players that learn.

    Attributes:
        key: data of the random key.
        initial: the first parameters of each network, leaves `[L, ...]`.
        progress: the share of the schedules before and after this training, `[2]`.
    """

    key: jax.Array
    initial: Networks
    progress: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """The state of a run between two updates. M is the number of learners: 1 if they share one
    network, otherwise L.

    Attributes:
        networks: leaves `[M, ...]`.
        student: the method's own state, leaves `[M, ...]`; by default the optimiser's.
        actors: the environments, leaves `[L, E, ...]`.
        decisions: own decisions so far, `[L]`.
        episodes: finished episodes so far, `[L]`.
    """

    networks: Networks
    student: Any
    actors: Actors
    decisions: jax.Array
    episodes: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a rollout is in a run.

    Attributes:
        share: of the schedules before it.
        part: what one rollout is of them.
    """

    share: jax.Array
    part: jax.Array


class SelfPlay(abc.ABC, Generic[C]):
    """A learner without its method: `_update`."""

    tabular = False
    conditional = False
    enumerated = False
    world_model = False

    def __init__(self, game: Game, policy: Policy, config: C, *, learners: int | None = None):
        """
        Args:
            game: the game.
            policy: the network of all policies.
            config: the learner's settings.
            learners: the number of players that learn; by default all. 1 in a game whose players
                share one population: player 0 learns for all.
        """
        self._config, self._policy = config, policy
        self._seats = np.arange(game.num_players if learners is None else learners)
        self._num_opponents = game.num_players - 1
        self._shared = config.shared or len(self._seats) == 1
        self._scale = np.float32(1 / max(game.max_return, 1e-9))
        self._rollout = self._make_rollout(game)
        self._optimizer = optax.flatten(
            optax.chain(
                optax.clip_by_global_norm(config.max_gradient_norm),
                optax.scale_by_adam(eps=config.adam_eps),
            )
        )
        self._train = OverJobs(self._train_one)

    def _make_rollout(self, game: Game) -> Rollout:
        return self._rollout_of(game, self._policy)

    def _rollout_of(self, game: Game, actor: Actor, **settings: Any) -> Rollout:
        """Rollouts of what acts for a learner, and for the others."""
        config = self._config
        return Rollout(
            game,
            actor,
            num_envs=config.num_envs,
            length=config.rollout_length,
            sequence_length=config.sequence_length,
            **{"num_strata": 1, **settings},
        )

    def __call__(self, jobs: Jobs) -> Results:
        """Trains the players of each run together. `initial` and the results' parameters have one
        more axis, of networks: leaves `[J, N, ...]`."""
        learners, networks = len(self._seats), self._config.networks

        def by_run(leaf: np.ndarray) -> np.ndarray:  # [J, ...] -> [R, L, ...]
            return np.asarray(leaf).reshape(-1, learners, *leaf.shape[1:])

        initial = at_temperature(jobs.initial, 1.0)
        runs = Run(
            key=by_run(jax.device_get(jax.random.key_data(jobs.key)))[:, 0],
            initial=tuple(
                jax.tree.map(lambda leaf, n=n: by_run(leaf)[:, :, n], initial)
                for n in range(networks)
            ),
            progress=by_run(jobs.progress)[:, 0],
        )
        trained, decisions, episodes, diverged = self._train(
            runs, (self._rollout.game.constants, self._scale)
        )
        return Results(
            params=jax.tree.map(
                lambda *leaves: np.stack(leaves, axis=2).reshape(
                    len(jobs), networks, *leaves[0].shape[2:]
                ),
                *trained,
            ),
            decisions=decisions.reshape(-1),
            episodes=episodes.reshape(-1),
            diverged=np.repeat(diverged, learners),
            curve=np.full((len(jobs), 1), np.nan, np.float32),
        )

    def _train_one(
        self, run: Run, setting: tuple[Any, jax.Array], *, spread: Callable[[Any], Any]
    ) -> tuple[Networks, jax.Array, jax.Array, jax.Array]:
        """One run's players, start to end: networks, leaves `[L, ...]`, decisions and episodes
        `[L]`, and whether training met a number that is not finite."""
        constants, scale = setting
        rollout = self._rollout.with_constants(constants)
        key = jax.random.wrap_key_data(run.key)
        updates = self._config.num_updates

        def update(state: State, number: jax.Array) -> tuple[State, Losses]:
            begin, end = run.progress
            part = (end - begin) / updates
            progress = Progress(share=begin + part * number, part=part)
            return self._update(state, jax.random.fold_in(key, number), progress, rollout, scale)

        start = self._begin(run, rollout, scale, jax.random.fold_in(key, updates))
        state, _ = jax.lax.scan(update, start, jnp.arange(updates, dtype=jnp.int32))
        finite = jnp.isfinite(jax.flatten_util.ravel_pytree(state.networks)[0]).all()
        trained = jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (len(self._seats), *leaf.shape[1:])),
            self._finished(state.networks),
        )
        return trained, state.decisions, state.episodes, ~finite

    def _begin(self, run: Run, rollout: Rollout, scale: jax.Array, key: jax.Array) -> State:
        """Learners that share a network begin with that of the first player."""
        seats, initial = jnp.asarray(self._seats), run.initial
        if self._shared:
            initial = jax.tree.map(lambda leaf: leaf[:1], initial)
        everywhere = jnp.ones(rollout.num_strata, bool)
        return State(
            networks=initial,
            student=jax.vmap(self._optimizer.init)(initial[0]),
            actors=jax.vmap(
                lambda seat: rollout.restart(
                    rollout.empty(), everywhere, jax.random.fold_in(key, seat)
                )
            )(seats),
            decisions=jnp.zeros(len(seats), jnp.int32),
            episodes=jnp.zeros(len(seats), jnp.int32),
        )

    @abc.abstractmethod
    def _update(
        self, state: State, key: jax.Array, progress: Progress, rollout: Rollout, scale: jax.Array
    ) -> tuple[State, Losses]:
        """Every player plays one rollout, and its networks learn. `scale` is that of rewards."""

    def _play(
        self, state: State, key: jax.Array, exploration: jax.Array | float, rollout: Rollout
    ) -> tuple[State, Decisions, Episodes]:
        """Each player's rollout, leaves `[L, ...]`, against the others' current policies. The state
        returned has its environments after them, and counts them."""
        seats = self._seats
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(seats))
        acting, facing = self._acting(state.networks), self._facing(state.networks)
        if self._shared:
            own = jax.tree.map(lambda leaf: leaf[0], acting)
            others = jax.tree.map(
                lambda leaf: jnp.broadcast_to(leaf[0], (self._num_opponents, *leaf.shape[1:])),
                facing,
            )
        else:
            order = (seats[:, None] + 1 + np.arange(self._num_opponents)) % len(seats)  # [L, Q]
            own = acting
            others = jax.tree.map(lambda leaf: leaf[order], facing)
        axis = None if self._shared else 0
        actors, decisions, episodes = jax.vmap(rollout, in_axes=(axis, axis, 0, 0, 0, None))(
            own, others, jnp.asarray(seats, jnp.int32), state.actors, keys, exploration
        )
        state = dataclasses.replace(
            state,
            actors=actors,
            decisions=state.decisions + decisions.valid.sum(axis=(1, 2), dtype=jnp.int32),
            episodes=state.episodes + episodes.count.sum(axis=1).astype(jnp.int32),
        )
        return state, decisions, episodes

    def _acting(self, networks: Networks) -> Any:
        """The parameters of what acts for a learner in its rollouts."""
        return networks[0]

    def _facing(self, networks: Networks) -> Any:
        """The parameters of what acts for a player in each stratum of the others' rollouts, leaves
        `[M, S, ...]`."""
        return jax.tree.map(lambda leaf: leaf[:, None], networks[0])

    def _finished(self, networks: Networks) -> Networks:
        """The networks that are returned."""
        return networks[: self._config.networks]

    def _step(
        self, params: Params, opt_state: optax.OptState, gradient: Params, progress: Progress
    ) -> tuple[Params, optax.OptState]:
        """One step of Adam, of the size that belongs to this progress."""
        config = self._config
        change, opt_state = self._optimizer.update(gradient, opt_state, params)
        rate = falling(config.learning_rate, config.last_learning_rate, progress)
        return jax.tree.map(lambda leaf, part: leaf - rate * part, params, change), opt_state

    @property
    def _learners(self) -> int:
        """M."""
        return 1 if self._shared else len(self._seats)

    def _keys(self, key: jax.Array) -> jax.Array:
        """A random key for each learner, `[M]`."""
        return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(self._learners))

    def _own_carry(self, carry: Carry) -> Carry:
        """The carry of the policy itself, in the carry of what acts."""
        return carry


def falling(first: float, last: float, progress: Progress) -> jax.Array:
    """A number that moves linearly from `first` to `last`."""
    return first + (last - first) * jnp.clip(progress.share, 0.0, 1.0)
