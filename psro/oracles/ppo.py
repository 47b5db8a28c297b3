"""Recurrent PPO as a best response (arXiv:1707.06347), all jobs in one jitted call.

The objective is the expected return per episode when the opponents' profile is drawn from the
meta-strategy once per episode. Profiles are drawn for strata of environments; a stratum's decisions
are weighted by 1 / (episodes it finished), because by the renewal-reward theorem a stratum's sum
over decisions, divided by its number of episodes, is its expectation per episode, whereas a plain
mean over decisions would count a profile more, the shorter its episodes are.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax

from games.game import Game
from psro.oracles.base import Jobs, Results
from psro.policy import Params, Policy, log_probabilities
from psro.rollout import Actors, Decisions, Episodes, Rollout


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOConfig:
    """Recurrent PPO."""

    decisions: int = 16_384
    """The learner's own decisions per best response, rounded up to whole updates."""
    num_envs: int = 256
    """Environments of one job."""
    num_strata: int = 16
    """Groups of environments that share one opponent profile; it divides num_envs."""
    rollout_length: int = 8
    """Own decisions per environment between updates."""
    sequence_length: int = 8
    """Own decisions through which gradients flow; it divides rollout_length."""
    epochs: int = 4
    """Passes over every rollout."""
    num_minibatches: int = 4
    """Minibatches per epoch, of environments and never of time; it divides num_envs."""
    learning_rate: float = 1e-2
    """Adam's step size at the start; falls linearly to zero."""
    gamma: float = 1.0
    """Discount per own decision; below 1 the objective is no longer the game's."""
    gae_lambda: float = 0.95
    """Decay of generalised advantage estimation."""
    clip: float = 0.2
    """How far a probability ratio may move before it is clipped."""
    value_weight: float = 0.5
    """Weight of the value loss."""
    entropy_weight: float = 0.02
    """Weight of the entropy bonus at the start; falls linearly to zero."""
    max_gradient_norm: float = 0.5
    """Gradients are scaled down to this global norm."""
    temperature: float = 0.1
    """Softmax temperature of the finished policy, 1 being that of training. Some best response is
    always pure, and what exploration leaves over a policy is exploitable."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and not isinstance(value, int):
                raise TypeError(f"ppo.{field.name} = {value!r} must be a whole number")
        for name in (
            "decisions", "num_envs", "num_strata", "rollout_length", "sequence_length", "epochs",
            "num_minibatches", "learning_rate", "max_gradient_norm", "temperature",
        ):  # fmt: skip
            if not getattr(self, name) > 0:
                raise ValueError(f"ppo.{name} = {getattr(self, name)} must be above 0")
        for name in ("value_weight", "entropy_weight", "clip"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"ppo.{name} = {getattr(self, name)} must be at least 0")
        for name in ("gamma", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"ppo.{name} = {getattr(self, name)} must be between 0 and 1")
        for whole, part in (
            ("num_envs", "num_strata"),
            ("num_envs", "num_minibatches"),
            ("rollout_length", "sequence_length"),
        ):
            if getattr(self, whole) % getattr(self, part):
                raise ValueError(
                    f"ppo.{whole} = {getattr(self, whole)} is not a multiple of "
                    f"ppo.{part} = {getattr(self, part)}"
                )

    @property
    def batch_size(self) -> int:
        """Own decisions of one job in one update."""
        return self.num_envs * self.rollout_length

    @property
    def num_updates(self) -> int:
        return -(-self.decisions // self.batch_size)

    @property
    def num_steps(self) -> int:
        """Gradient steps of one best response."""
        return self.num_updates * self.epochs * self.num_minibatches


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Learner:
    """What changes from update to update within a job."""

    params: Params
    opt_state: optax.OptState
    actors: Actors
    profile: jax.Array  # [S], index into the flat opponent profiles
    decisions: jax.Array
    episodes: jax.Array
    diverged: jax.Array


class PPO:
    """The oracle: `PPO(game, policy, config)(key, jobs)`."""

    def __init__(self, game: Game, policy: Policy, config: PPOConfig):
        self._config = config
        self._num_opponents = game.num_players - 1
        self._policy = policy
        self._scale = 1.0 / max(game.max_return, 1e-9)  # rewards within [-1, 1]
        self._rollout = Rollout(
            game,
            policy,
            num_envs=config.num_envs,
            num_strata=config.num_strata,
            length=config.rollout_length,
            sequence_length=config.sequence_length,
        )
        # Flat: one vector to update instead of a dozen small arrays, less to compile and to run.
        self._optimizer = optax.flatten(
            optax.chain(
                optax.clip_by_global_norm(config.max_gradient_norm),
                optax.adam(
                    optax.linear_schedule(config.learning_rate, 0.0, config.num_steps), eps=1e-5
                ),
            )
        )
        self._train = jax.jit(jax.vmap(self._train_one, in_axes=(0, 0, 0, None, 0)))

    def __call__(self, key: jax.Array, jobs: Jobs) -> Results:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jobs.player)  # [J]
        # Summed on the host in float64, so that spare capacity cannot change a rounding.
        flat = np.asarray(jobs.opponents, np.float64).reshape(len(jobs.player), -1)
        cumulative = np.cumsum(flat, axis=1)
        cumulative = (cumulative / cumulative[:, -1:]).astype(np.float32)
        learner, metrics = self._train(
            keys, jobs.player, jobs.initial, jobs.populations, cumulative
        )
        return Results(
            params=self._policy.with_temperature(learner.params, self._config.temperature),
            decisions=np.asarray(learner.decisions),
            episodes=np.asarray(learner.episodes),
            diverged=np.asarray(learner.diverged),
            metrics={name: np.asarray(value)[:, -1] for name, value in metrics.items()},
        )

    def _train_one(
        self,
        key: jax.Array,
        player: jax.Array,
        initial: Params,
        populations: Params,
        cumulative: jax.Array,
    ) -> tuple[Learner, dict[str, jax.Array]]:
        """One job, start to end; metrics `[num_updates]`."""
        config = self._config
        learner = Learner(
            params=initial,
            opt_state=self._optimizer.init(initial),
            actors=self._rollout.empty(),
            profile=jnp.full(config.num_strata, -1),  # none yet: all strata restart
            decisions=jnp.int32(0),
            episodes=jnp.int32(0),
            diverged=jnp.bool_(False),
        )

        def one_update(learner: Learner, number: jax.Array):
            profile_key, restart_key, play_key, learn_key = jax.random.split(
                jax.random.fold_in(key, number), 4
            )
            profile = self._draw(cumulative, profile_key)
            actors = self._rollout.restart(learner.actors, profile != learner.profile, restart_key)
            opponents = self._opponents(populations, player, profile)
            actors, decisions, episodes = self._rollout(
                learner.params, opponents, player, actors, play_key
            )
            progress = number / config.num_updates
            params, opt_state, metrics = self._learn(
                learner.params, learner.opt_state, decisions, episodes, progress, learn_key
            )
            finite = jnp.isfinite(jax.flatten_util.ravel_pytree(params)[0]).all()
            keep = finite & ~learner.diverged
            params, opt_state = jax.tree.map(
                lambda new, old: jnp.where(keep, new, old),
                (params, opt_state),
                (learner.params, learner.opt_state),
            )
            learner = Learner(
                params=params,
                opt_state=opt_state,
                actors=actors,
                profile=profile,
                decisions=learner.decisions + decisions.valid.sum(),
                episodes=learner.episodes + episodes.count.sum().astype(jnp.int32),
                diverged=~keep,
            )
            return learner, metrics

        return jax.lax.scan(one_update, learner, jnp.arange(config.num_updates))

    def _draw(self, cumulative: jax.Array, key: jax.Array) -> jax.Array:
        """A profile for every stratum, int `[S]`, by systematic sampling: each comes up its
        expected number of times, rounded up or down, and few strata change between updates."""
        strata = jnp.arange(self._config.num_strata)
        points = (strata + jax.random.uniform(key)) / self._config.num_strata
        return jnp.minimum(jnp.searchsorted(cumulative, points, side="right"), len(cumulative) - 1)

    def _opponents(self, populations: Params, player: jax.Array, profile: jax.Array) -> Params:
        """Parameters of the opponents in every stratum, leaves `[Q, S, ...]`."""
        opponents = self._num_opponents
        capacity = jax.tree.leaves(populations)[0].shape[1]
        members = jnp.stack(jnp.unravel_index(profile, (capacity,) * opponents))  # [Q, S]
        seats = (player + 1 + jnp.arange(opponents)) % (opponents + 1)  # [Q]
        return jax.tree.map(lambda leaf: leaf[seats[:, None], members], populations)

    def _learn(
        self,
        params: Params,
        opt_state: optax.OptState,
        decisions: Decisions,
        episodes: Episodes,
        progress: jax.Array,
        key: jax.Array,
    ) -> tuple[Params, optax.OptState, dict[str, jax.Array]]:
        """`epochs` passes of minibatch steps over one rollout."""
        config = self._config
        advantage, target = advantages(
            decisions, self._scale, gamma=config.gamma, gae_lambda=config.gae_lambda
        )
        weight = decision_weights(decisions.valid, episodes.count, config.num_strata)
        mean = (weight * advantage).mean()
        spread = jnp.sqrt((weight * jnp.square(advantage - mean)).mean())
        advantage = (advantage - mean) / (spread + 1e-8)
        batch = Batch(decisions=decisions, advantage=advantage, target=target, weight=weight)
        batch = batch.cut(config.sequence_length)
        entropy_weight = config.entropy_weight * (1 - progress)

        def step(carry: tuple[Params, optax.OptState], envs: jax.Array):
            params, opt_state = carry
            gradient, metrics = jax.grad(self._loss, has_aux=True)(
                params, batch.take(envs), entropy_weight
            )
            change, opt_state = self._optimizer.update(gradient, opt_state, params)
            return (optax.apply_updates(params, change), opt_state), metrics

        keys = jax.random.split(key, config.epochs)
        order = jax.vmap(lambda key: jax.random.permutation(key, config.num_envs))(keys)
        order = order.reshape(config.epochs * config.num_minibatches, -1)
        (params, opt_state), metrics = jax.lax.scan(step, (params, opt_state), order)
        return params, opt_state, jax.tree.map(lambda each: each[-1], metrics)

    def _loss(
        self, params: Params, batch: Batch, entropy_weight: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Clipped surrogate, value error and entropy (arXiv:1707.06347, eq. 7 and 9), each a mean
        over decisions under their weights. L steps of N sequences."""
        config, seen = self._config, batch.decisions
        logits, value = self._policy.unroll(
            params, seen.observation, seen.last_action, seen.reset, seen.carry
        )
        log_pi = log_probabilities(logits, seen.legal)  # [L, N, A]
        log_prob = jnp.take_along_axis(log_pi, seen.action[..., None], axis=-1)[..., 0]
        log_ratio = jnp.where(seen.valid, log_prob - seen.log_prob, 0.0)
        ratio = jnp.exp(log_ratio)
        clipped = jnp.clip(ratio, 1 - config.clip, 1 + config.clip)
        surrogate = jnp.minimum(ratio * batch.advantage, clipped * batch.advantage)
        entropy = -jnp.where(seen.legal, jnp.exp(log_pi) * log_pi, 0.0).sum(axis=-1)
        value_error = jnp.square(value - batch.target)
        metrics = {
            "surrogate": (batch.weight * surrogate).mean(),
            "value_error": (batch.weight * value_error).mean(),
            "entropy": (batch.weight * entropy).mean(),
            "approximate_kl": (batch.weight * (ratio - 1 - log_ratio)).mean(),
        }
        loss = (
            config.value_weight * metrics["value_error"]
            - metrics["surrogate"]
            - entropy_weight * metrics["entropy"]
        )
        return loss, metrics


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Decisions and what to learn from them: `[T, E]`, after `cut` `[L, C, E]` (C sequences of L
    steps an environment), after `take` `[L, N]`."""

    decisions: Decisions
    advantage: jax.Array
    target: jax.Array
    weight: jax.Array

    def cut(self, sequence_length: int) -> Batch:
        """Consecutive steps stay together: `[T, E] -> [C, L, E] -> [L, C, E]`."""

        def cut(leaf: jax.Array) -> jax.Array:
            return leaf.reshape(-1, sequence_length, *leaf.shape[1:]).swapaxes(0, 1)

        return self._map(cut, lambda leaf: leaf)

    def take(self, envs: jax.Array) -> Batch:
        """All sequences of some environments, as N = C * len(envs) columns."""

        def columns(leaf: jax.Array) -> jax.Array:
            leaf = leaf[:, :, envs]
            return leaf.reshape(leaf.shape[0], -1, *leaf.shape[3:])

        def rows(leaf: jax.Array) -> jax.Array:  # carries: [C, E, H]
            return leaf[:, envs].reshape(-1, *leaf.shape[2:])

        return self._map(columns, rows)

    def _map(self, of_steps, of_carries) -> Batch:
        carry, end = self.decisions.carry, self.decisions.next_value
        steps = dataclasses.replace(
            self, decisions=dataclasses.replace(self.decisions, carry=(), next_value=())
        )
        steps = jax.tree.map(of_steps, steps)
        return dataclasses.replace(
            steps,
            decisions=dataclasses.replace(
                steps.decisions, carry=jax.tree.map(of_carries, carry), next_value=end
            ),
        )


def advantages(
    decisions: Decisions, scale: float, *, gamma: float, gae_lambda: float
) -> tuple[jax.Array, jax.Array]:
    """Generalised advantages and value targets (arXiv:1506.02438, eq. 16), `[T, E]`; rewards are
    multiplied by `scale`. An episode that ends after a step cuts the sum there."""

    def backwards(carry: tuple[jax.Array, jax.Array], step: tuple[jax.Array, ...]):
        advantage, next_value = carry
        reward, value, done = step
        error = reward * scale + gamma * next_value * ~done - value
        advantage = error + gamma * gae_lambda * advantage * ~done
        return (advantage, value), advantage

    last = (jnp.zeros_like(decisions.next_value), decisions.next_value)
    steps = (decisions.reward, decisions.value, decisions.done)
    _, advantage = jax.lax.scan(backwards, last, steps, reverse=True)
    return advantage, advantage + decisions.value


def decision_weights(valid: jax.Array, episodes: jax.Array, num_strata: int) -> jax.Array:
    """Weights of decisions `[T, E]`, mean 1, that make every stratum count per episode.

    Args:
        valid: `[T, E]`, which decisions are any.
        episodes: finished by each environment, `[E]`.
    """
    finished = episodes.reshape(num_strata, -1).sum(axis=1)  # [S]
    per_stratum = 1.0 / jnp.maximum(finished, 1.0)
    weight = valid * jnp.repeat(per_stratum, valid.shape[1] // num_strata)[None]
    return weight / jnp.maximum(weight.mean(), 1e-12)
