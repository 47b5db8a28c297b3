"""Recurrent Q-learning as a best response (DRQN, R2D2).

The network's logits are the Q-values of a player's own action-observation history h, in units of
the game's largest return. The greedy policy is a softmax at temperature zero. So the finished
policy is an ordinary network at a small temperature. Its value head is not used. (A dueling head,
value plus advantage, arXiv:1511.06581, was not better.)

Whole rollouts are kept for replay. Each environment's rollout is one sequence, stored with the
carry at its start (Kapturowski et al. 2019, "Recurrent experience replay in distributed
reinforcement learning"). Older parameters made that carry. So the first decisions of a sequence
only warm it up: the first `burn_in` decisions, or fewer if an episode begins earlier. The carry at
the start of an episode is always right.

Targets are those of Watkins's Q(lambda) (Watkins 1989; as in Retrace, Munos et al. 2016,
arXiv:1606.02647, with a greedy target policy). They use the values of double Q-learning (van
Hasselt et al. 2016, arXiv:1509.06461). Q' is the target network, a moving average of the learner:

    b    = argmax of Q(h', b)                      h': the player's own next decision
    G(h) = r + gamma [Q'(h', b) + lambda 1(a' = b) (G(h') - Q'(h', b))]      0 for [] at the end

**Per episode.** Q(h, a) is an expectation given h, over chance moves, opponents' moves and, for a
mixture, opponents' profiles. The posterior of the profile given h must assume that one profile is
drawn per episode. If all decisions had the same weight, that posterior would be wrong: where
episodes are short, the same number of decisions contains more episodes and more visits to h. So
each sequence has the weight 1 / (its stratum's episodes per decision) in the loss, as on-policy
decisions have. The weights are stored with the sequences. They are normalised over the replayed
batch, not over the rollout, because the effect of one rollout's profiles must not cancel. The
learner's own actions cancel in the posterior, even if they were exploratory or are old. So replay
needs no correction for them, and only the learner's own choices cut the trace. Priorities by error
depend on the outcome and would bias the posterior, so they are not used.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import flashbax
import jax
import jax.numpy as jnp
import optax
from flashbax.buffers.trajectory_buffer import TrajectoryBufferState

from games.game import Game
from games.levels import Level
from games.spaces import Discrete
from psro.errors import SettingsError
from psro.oracles.decisions import Turn
from psro.oracles.sampling import Sample, Sampled
from psro.oracles.settings import DQNConfig
from psro.policies.distributions import MaskedCategorical
from psro.policies.networks.cells.cell import Carry
from psro.policies.policy import Params, Policy


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Sequences:
    """N replayed sequences of L own decisions, `[L, N]`, and the decision after the last.

    In the buffer an item is one sequence without the axis N: `[L, ...]`.

    Attributes:
        turn: the input of each decision, `[L + 1, N]`.
        action, reward, done, truncated: the action and its outcome; see `Decisions`.
        carry: the carry at the first decision, leaves `[N, H]`.
        weight: own decisions per episode of the stratum, `[N]`.
    """

    turn: Turn
    action: jax.Array
    reward: jax.Array
    done: jax.Array
    truncated: jax.Array
    carry: Carry
    weight: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Student:
    """What changes from rollout to rollout.

    Attributes:
        params: the learner's network.
        target: the target network.
        opt_state: the optimiser's state.
        replay: the buffer's state; its items are `Sequences`.
        decided: every stratum's own decisions against its present profile, `[S]`.
        finished: every stratum's episodes against that profile, `[S]`.
    """

    params: Params
    target: Params
    opt_state: optax.OptState
    replay: TrajectoryBufferState[Sequences]
    decided: jax.Array
    finished: jax.Array


class DQN(Sampled):
    """The oracle: `DQN(game, policy, config)(jobs)`."""

    def __init__(self, game: Game, policy: Policy, config: DQNConfig):
        if not isinstance(game.action_space, Discrete):
            raise SettingsError("oracle dqn needs a finite number of actions")
        super().__init__(
            game,
            policy,
            config,
            sequence_length=config.rollout_length,
            act=epsilon_greedy,
        )
        self._buffer = flashbax.make_item_buffer(
            max_length=config.num_kept,
            min_length=1,
            sample_batch_size=config.num_sequences,
            add_batches=True,
        )

    def _start(self, initial: Params) -> Student:
        length = self._config.rollout_length
        turn = jax.eval_shape(self._rollout.turn, self._rollout.empty(), 0)
        blank = Sequences(
            turn=jax.tree.map(
                lambda leaf: jnp.zeros((length + 1, *leaf.shape[1:]), leaf.dtype), turn
            ),
            action=jnp.zeros(length, jnp.int32),
            reward=jnp.zeros(length),
            done=jnp.zeros(length, bool),
            truncated=jnp.zeros(length, bool),
            carry=self._rollout.policy.initial_carry(),
            weight=jnp.float32(0),
        )
        return Student(
            params=initial,
            target=initial,
            opt_state=self._optimizer.init(initial),
            replay=self._buffer.init(blank),
            decided=jnp.zeros(self._num_strata),
            finished=jnp.zeros(self._num_strata),
        )

    def _params(self, student: Student) -> Params:
        return student.params

    def _exploration(self, progress: jax.Array) -> jax.Array:
        config = self._config
        fallen = jnp.minimum(progress / config.exploration_share, 1.0)
        return config.exploration + fallen * (config.last_exploration - config.exploration)

    def _learn(
        self, student: Student, sample: Sample, progress: jax.Array, key: jax.Array
    ) -> Student:
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
        replay = self._buffer.add(student.replay, sequences(sample, weight))

        def step(carry: tuple[Params, Params, optax.OptState], key: jax.Array):
            params, target, opt_state = carry
            batch = self._sample(replay, key)
            gradient = jax.grad(self._loss)(params, target, batch, sample.levels)
            params, opt_state = self._step(params, opt_state, gradient)
            target = optax.incremental_update(params, target, config.target_rate)
            return (params, target, opt_state), None

        carry = (student.params, student.target, student.opt_state)
        (params, target, opt_state), _ = jax.lax.scan(
            step, carry, jax.random.split(key, config.num_batches)
        )
        return Student(
            params=params,
            target=target,
            opt_state=opt_state,
            replay=replay,
            decided=decided,
            finished=finished,
        )

    def _sample(self, replay: TrajectoryBufferState[Sequences], key: jax.Array) -> Sequences:
        """A batch of `num_sequences`, each as likely as any other in the buffer."""
        with jax.numpy_rank_promotion("allow"):  # flashbax needs it
            return time_first(self._buffer.sample(replay, key).experience)

    def _loss(
        self,
        params: Params,
        target: Params,
        batch: Sequences,
        levels: Sequence[Level] | None = None,
    ) -> jax.Array:
        """Mean squared error of the Q-values of the actions taken, weighted by sequence."""
        config = self._config
        q = self._q_values(params, batch, levels)  # [L + 1, N, A]
        goal = double_q_returns(
            jax.lax.stop_gradient(q),
            self._q_values(target, batch, levels),
            batch,
            gamma=config.gamma,
            trace_decay=config.trace_decay,
        )
        taken = jnp.take_along_axis(q[:-1], batch.action[..., None], axis=-1)[..., 0]
        burn_in = config.burn_in if levels is None else 0
        weight = trained_on(batch.turn, burn_in) * ~batch.truncated * batch.weight[None]  # [L, N]
        return (weight * jnp.square(taken - goal)).sum() / jnp.maximum(weight.sum(), 1e-12)

    def _q_values(
        self, params: Params, batch: Sequences, levels: Sequence[Level] | None
    ) -> jax.Array:
        """Q-values `[L + 1, N, A]` of replayed sequences."""
        turn = batch.turn
        q, _ = self._outputs(
            params, turn.observation, turn.last_action, turn.reset, batch.carry, levels
        )
        return q


def greedy(q: jax.Array, legal: jax.Array) -> jax.Array:
    """The best legal action, int `[...]`."""
    return jnp.where(legal, q, -jnp.inf).argmax(axis=-1)


def epsilon_greedy(q: jax.Array, legal: jax.Array, epsilon: jax.Array | float) -> MaskedCategorical:
    """A random legal action with probability `epsilon`, otherwise the best one."""
    random = legal / jnp.maximum(legal.sum(axis=-1, keepdims=True), 1)
    best = jax.nn.one_hot(greedy(q, legal), q.shape[-1])
    log_pi = jnp.log(jnp.maximum((1 - epsilon) * best + epsilon * random, 1e-30))
    return MaskedCategorical(log_pi=log_pi, legal=legal)


def double_q_returns(
    online: jax.Array, target: jax.Array, batch: Sequences, *, gamma: float, trace_decay: float
) -> jax.Array:
    """G of the module's docstring, `[L, N]`, from both networks' Q-values `[L + 1, N, A]`."""
    best = greedy(online, batch.turn.legal)  # [L + 1, N]
    value = jnp.take_along_axis(target, best[..., None], axis=-1)[..., 0]  # [L + 1, N]

    def backwards(after: jax.Array, step: tuple[jax.Array, ...]):
        reward, done, truncated, value, trace = step
        goal = jnp.where(truncated, value, reward + gamma * after * ~done)
        return jnp.where(trace, value + trace_decay * (goal - value), value), goal

    trace = batch.action == best[:-1]
    steps = (batch.reward, batch.done, batch.truncated, value[:-1], trace)
    _, goal = jax.lax.scan(backwards, value[-1], steps, reverse=True)
    return goal


def trained_on(turn: Turn, burn_in: int) -> jax.Array:
    """Which decisions of sequences are trained on, `[L, N]`: those after the warm-up, and those
    whose episode began within the sequence."""
    begun = jnp.cumsum(turn.reset[:-1], axis=0) > 0
    late = jnp.arange(len(begun)) >= burn_in
    return turn.valid[:-1] & (begun | late[:, None])


def decisions_per_episode(decided: jax.Array, finished: jax.Array, num_envs: int) -> jax.Array:
    """Own decisions per episode of each stratum, `[S]`: the weight of its sequences.

    Args:
        decided: own decisions since the stratum met its profile.
        finished: episodes since then.
        num_envs: environments of a stratum. Each is in the middle of an episode on average, and
            counts as half an episode. Otherwise long episodes would seem even longer.
    """
    return decided / (finished + 0.5 * num_envs)


def sequences(sample: Sample, weight: jax.Array) -> Sequences:
    """A rollout as items of the buffer, one per environment, leaves `[E, L, ...]`."""
    seen = sample.decisions
    turn = jax.tree.map(
        lambda steps, last: jnp.concatenate([steps, last[None]]).swapaxes(0, 1),
        Turn(**{field.name: getattr(seen, field.name) for field in dataclasses.fields(Turn)}),
        sample.next,
    )
    return Sequences(
        turn=turn,
        action=seen.action.T,
        reward=seen.reward.T,
        done=seen.done.T,
        truncated=seen.truncated.T,
        carry=jax.tree.map(lambda leaf: leaf[0], seen.carry),
        weight=weight,
    )


def time_first(items: Sequences) -> Sequences:
    """Items `[N, L, ...]` as `[L, N, ...]`. Carries and weights have no time axis."""
    steps = dataclasses.replace(items, carry=(), weight=())
    steps = jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), steps)
    return dataclasses.replace(steps, carry=items.carry, weight=items.weight)
