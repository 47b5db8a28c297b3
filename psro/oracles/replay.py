"""Base of the oracles that replay sequences.

Whole rollouts are kept for replay. Each environment's rollout is one sequence, stored with the
carry at its start (Kapturowski et al. 2019, "Recurrent experience replay in distributed
reinforcement learning"). Older parameters made that carry. So the first decisions of a sequence
only warm it up: the first `burn_in` decisions, or fewer if an episode begins earlier. They have no
weight in a loss. The carry at the start of an episode is always right.

**Per episode.** Q(h, a) is an expectation given h, over chance moves, opponents' moves and, for a
mixture, opponents' profiles. The posterior of the profile given h must assume that one profile is
drawn per episode. If all decisions had the same weight, that posterior would be wrong: where
episodes are short, the same number of decisions contains more episodes and more visits to h. So
each sequence has the weight 1 / (its stratum's episodes per decision) in the loss, as on-policy
decisions have. The weights are stored with the sequences. They are normalised over the replayed
batch, not over the rollout, because the effect of one rollout's profiles must not cancel. The
learner's own actions cancel in the posterior, even if they were exploratory or are old. So replay
needs no correction for them, and only the learner's own choices cut the trace.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any

import flashbax
import jax
import jax.numpy as jnp
from flashbax.buffers.trajectory_buffer import TrajectoryBufferState

from games.game import Game
from games.levels import Level
from games.spaces import Discrete
from psro.errors import SettingsError
from psro.oracles.job import Losses, Sample, mean_losses
from psro.oracles.off_policy_settings import ReplayConfig
from psro.oracles.rollout import Act
from psro.oracles.sampling import Actor, Sampled
from psro.oracles.sequences import (
    Sequences,
    decisions_per_episode,
    sequences,
    time_first,
    trained_on,
)
from psro.policies.networks.cells.cell import Carry
from psro.policies.policy import Params, Policy


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Student:
    """What changes from rollout to rollout.

    Attributes:
        trained: the method's own networks and optimiser states.
        replay: the buffer's state; its items are `Sequences`.
        decided: every stratum's own decisions against its present profile, `[S]`.
        finished: every stratum's episodes against that profile, `[S]`.
    """

    trained: Any
    replay: TrajectoryBufferState[Sequences]
    decided: jax.Array
    finished: jax.Array


class Replayed(Sampled):
    """An oracle without its method: `_begin` and `_improve`."""

    def __init__(
        self,
        game: Game,
        policy: Policy,
        config: ReplayConfig,
        *,
        act: Act | None = None,
        actor: Actor | None = None,
    ):
        super().__init__(
            game, policy, config, sequence_length=config.rollout_length, act=act, actor=actor
        )
        self._buffer = self._make_buffer()

    def _make_buffer(self) -> Any:
        """A buffer in which all sequences are alike."""
        return flashbax.make_item_buffer(
            max_length=self._config.num_kept,
            min_length=1,
            sample_batch_size=self._config.num_sequences,
            add_batches=True,
        )

    @abc.abstractmethod
    def _begin(self, initial: Params) -> Any:
        """`Student.trained` before training."""

    @abc.abstractmethod
    def _improve(
        self,
        trained: Any,
        batch: Sequences,
        levels: Sequence[Level] | None,
        progress: jax.Array,
        key: jax.Array,
    ) -> tuple[Any, jax.Array, Losses]:
        """One gradient step on a batch. Also returns the size of each decision's error, `[L, N]`,
        which is zero where it was not trained on, and the losses."""

    def _start(self, initial: Params) -> Student:
        length = self._config.rollout_length
        turn = jax.eval_shape(self._rollout.turn, self._rollout.empty(), 0)
        blank = Sequences(
            turn=jax.tree.map(
                lambda leaf: jnp.zeros((length + 1, *leaf.shape[1:]), leaf.dtype), turn
            ),
            action=self._blank_action((length,)),
            log_prob=jnp.zeros(length),
            reward=jnp.zeros(length),
            done=jnp.zeros(length, bool),
            truncated=jnp.zeros(length, bool),
            carry=self._rollout.policy.initial_carry(),
            weight=jnp.float32(0),
        )
        return Student(
            trained=self._begin(initial),
            replay=self._buffer.init(blank),
            decided=jnp.zeros(self._num_strata),
            finished=jnp.zeros(self._num_strata),
        )

    def _blank_action(self, batch_shape: tuple[int, ...]) -> jax.Array:
        """What distributions sample: numbers, or the vector before tanh."""
        space = self._policy.action_space
        if isinstance(space, Discrete):
            return jnp.zeros(batch_shape, jnp.int32)
        return jnp.zeros((*batch_shape, space.size))

    def _learn(
        self, student: Student, sample: Sample, progress: jax.Array, key: jax.Array
    ) -> tuple[Student, Losses]:
        """Adds the rollout to the buffer, then takes `num_batches` steps on batches from it."""
        config = self._config
        decided, finished = (
            jnp.where(sample.restarted, 0.0, before) + new.reshape(self._num_strata, -1).sum(1)
            for before, new in (
                (student.decided, sample.decisions.valid.sum(axis=0)),
                (student.finished, sample.episodes.count),
            )
        )
        num_envs = config.num_envs // self._num_strata  # of a stratum
        weight = jnp.repeat(decisions_per_episode(decided, finished, num_envs), num_envs)  # [E]
        with jax.numpy_rank_promotion("allow"):  # flashbax needs it
            replay = self._buffer.add(student.replay, sequences(sample, weight))

        def step(carry: tuple[Any, TrajectoryBufferState[Sequences]], keys: tuple[jax.Array, ...]):
            trained, replay = carry
            batch, indices = self._sample(replay, keys[0])
            trained, error, losses = self._improve(trained, batch, sample.levels, progress, keys[1])
            return (trained, self._reordered(replay, indices, error)), losses

        # The second keys do not depend on the first, and the first are what they always were.
        keys = tuple(
            jax.random.split(which, config.num_batches)
            for which in (key, jax.random.fold_in(key, 1))
        )
        (trained, replay), losses = jax.lax.scan(step, (student.trained, replay), keys)
        student = Student(trained=trained, replay=replay, decided=decided, finished=finished)
        return student, mean_losses(losses)

    def _sample(
        self, replay: TrajectoryBufferState[Sequences], key: jax.Array
    ) -> tuple[Sequences, Any]:
        """A batch of `num_sequences`, each as likely as any other in the buffer, and where they
        are (nobody asks)."""
        with jax.numpy_rank_promotion("allow"):  # flashbax needs it
            return time_first(self._buffer.sample(replay, key).experience), None

    def _reordered(
        self, replay: TrajectoryBufferState[Sequences], indices: Any, error: jax.Array
    ) -> TrajectoryBufferState[Sequences]:
        """The buffer after the errors of a batch were seen. All sequences remain alike."""
        return replay

    def _warmed_outputs(
        self,
        policy: Policy,
        params: Params,
        batch: Sequences,
        carry: Carry,
        levels: Sequence[Level] | None,
    ) -> jax.Array:
        """Outputs `[L + 1, N, ...]` of replayed sequences. No gradient flows into the warm-up."""
        turn, burn_in = batch.turn, self._config.burn_in
        steps = (turn.observation, turn.last_action, turn.reset)
        if levels is not None:
            return self._outputs(params, *steps, carry, levels)[0]
        if not burn_in:
            return policy.unroll(params, *steps, carry)[0]
        first, rest = (
            jax.tree.map(lambda leaf, part=part: leaf[part], steps)
            for part in (slice(None, burn_in), slice(burn_in, None))
        )
        before, _, carry = policy.unroll_on(params, *first, carry)
        begun = turn.reset[:burn_in].any(axis=0)  # these are trained on from the start
        carry = jax.tree.map(
            lambda leaf: jnp.where(
                begun.reshape(-1, *(1,) * (leaf.ndim - 1)), leaf, jax.lax.stop_gradient(leaf)
            ),
            carry,
        )
        after, _ = policy.unroll(params, *rest, carry)
        return jnp.concatenate([before, after])

    def _weight(self, batch: Sequences, levels: Sequence[Level] | None) -> jax.Array:
        """Weights of a batch's decisions in a loss, `[L, N]`: see `weighted_mean`."""
        burn_in = self._config.burn_in if levels is None else 0
        return trained_on(batch.turn, burn_in) * ~batch.truncated * batch.weight[None]


def weighted_mean(weight: jax.Array, loss: jax.Array) -> jax.Array:
    """The mean of losses with weights of any scale, `[]`."""
    return (weight * loss).sum() / jnp.maximum(weight.sum(), 1e-12)


def check_numbers(name: str, game: Game) -> None:
    """Raises SettingsError if actions are not numbers."""
    if not isinstance(game.action_space, Discrete):
        raise SettingsError(f"oracle {name} needs a finite number of actions")
