"""Neural fictitious self-play (NFSP; Heinrich and Silver 2016, arXiv:1603.01121)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from games.game import Game
from psro.oracles.job import Losses, Sample, mean_losses
from psro.oracles.on_policy import episode_weights, orders
from psro.oracles.q_learning import double_q_returns, epsilon_greedy
from psro.oracles.replay import check_numbers, weighted_mean
from psro.oracles.rollout import Actors, Rollout
from psro.oracles.self_play.beside import Beside
from psro.oracles.self_play.learner import Networks, Progress, Run, SelfPlay, State, falling
from psro.oracles.self_play.reservoir import Reservoir
from psro.oracles.self_play_settings import NFSPConfig
from psro.oracles.sequences import Sequences, sequences, time_first, trained_on
from psro.policies.distributions import MaskedCategorical
from psro.policies.networks.cells.cell import Carry
from psro.policies.observed import observed
from psro.policies.policy import Params, Policy, at_temperature

_AVERAGE = -1.0
"""The amount of exploration that says: act as a policy, not by values."""


def _act(
    outputs: jax.Array, legal: jax.Array | None, exploration: jax.Array | float
) -> MaskedCategorical:
    """Epsilon-greedy by the values of the first network, or as its policy."""
    own, _ = jnp.split(outputs, 2, axis=-1)
    greedy = epsilon_greedy(own, legal, jnp.maximum(exploration, 0.0)).log_pi
    policy = MaskedCategorical.of(own, legal).log_pi
    return MaskedCategorical(log_pi=jnp.where(exploration < 0, policy, greedy), legal=legal)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Student:
    """The states of both optimisers, and the reservoir."""

    average: optax.OptState
    values: optax.OptState
    reservoir: Reservoir[Sequences]


class NFSP(SelfPlay[NFSPConfig]):
    """Each player has two networks (algorithm 1 of the paper). Q is a best response to the others'
    average policies, by Q-learning. Pi is the average of all its best responses so far, by
    supervised learning from a reservoir M of their actions:

        L(Q)  = E[(r + max over a' of Q(h', a') - Q(h, a))^2],
        L(Pi) = E over (h, a) in M of - log Pi(a | h).

    Opponents play Q in a share `anticipatory` of the episodes, and otherwise Pi. The policy to play
    is Pi. The second policy that is kept is Q at a low temperature.

    Differences. A learner plays its best response in all its own rollouts, and not only in that
    share: the data of Pi are the same, and Q learns from its own play alone. Q learns from fresh
    episodes, without a memory and a target network, by Watkins's Q(lambda) (as `psro.oracles.pqn`).
    No memory is kept between iterations. An iteration begins with a reservoir that Pi itself
    refills by playing: it was fitted to the last one, so both hold the same actions in expectation,
    up to what Pi has not learned. From there the reservoir goes on as if all items of earlier
    iterations had been seen.
    """

    def __init__(self, game: Game, policy: Policy, config: NFSPConfig, **settings: Any):
        check_numbers(config.name, game)
        super().__init__(game, policy, config, **settings)

    def _make_rollout(self, game: Game) -> Rollout:
        strata = self._config.num_strata
        rollout = self._rollout_of(game, Beside(self._policy), num_strata=strata, act=_act)
        return rollout.against(self._policy)

    def _acting(self, networks: Networks) -> Networks:
        """The best response acts, and the average policy watches."""
        average, values = networks
        return values, average

    def _facing(self, networks: Networks) -> Params:
        average, values = networks
        strata, config = self._config.num_strata, self._config
        best = round(config.anticipatory * strata)
        values = at_temperature(values, config.temperature)

        def mixed(first: jax.Array, second: jax.Array) -> jax.Array:
            chosen = (jnp.arange(strata) < best).reshape(-1, *(1,) * (first.ndim - 1))
            return jnp.where(chosen[None], first[:, None], second[:, None])

        return jax.tree.map(mixed, values, average)

    def _begin(self, run: Run, rollout: Rollout, scale: jax.Array, key: jax.Array) -> State:
        """With a full reservoir, which the average policies have filled."""
        state = super()._begin(run, rollout, scale, key)
        config, learners = self._config, self._learners
        players = len(self._seats) // learners
        average, _ = state.networks
        playing = dataclasses.replace(state, networks=(average, average))

        def fill(state: State, number: jax.Array) -> tuple[State, Sequences]:
            fill_key = jax.random.fold_in(key, number)
            return self._items(state, fill_key, jnp.float32(_AVERAGE), rollout, scale)

        fills = jnp.arange(config.num_fills, dtype=jnp.int32)
        played, items = jax.lax.scan(fill, playing, fills)  # leaves [F, M, players * E, ...]
        items = jax.tree.map(
            lambda leaf: jnp.moveaxis(leaf, 0, 1).reshape(learners, -1, *leaf.shape[3:]), items
        )
        begin, end = run.progress
        before = begin / jnp.maximum(end - begin, 1e-9) * config.num_updates
        seen = jnp.full(learners, before * players * config.num_envs)
        student = Student(
            average=jax.vmap(self._optimizer.init)(average),
            values=jax.vmap(self._optimizer.init)(state.networks[1]),
            reservoir=Reservoir(items=items, seen=seen),
        )
        return dataclasses.replace(played, networks=state.networks, student=student)

    def _items(
        self, state: State, key: jax.Array, exploration: jax.Array, rollout: Rollout, scale: Any
    ) -> tuple[State, Sequences]:
        """The players' rollouts as sequences of each learner, `[M, players * E, ...]`."""
        state, decisions, episodes = self._play(state, key, exploration, rollout)
        decisions = dataclasses.replace(decisions, reward=decisions.reward * scale)
        never = jnp.zeros(self._config.num_strata, bool)
        weight = jax.vmap(lambda count: episode_weights(count, self._config.num_strata))

        def of_player(decisions, episodes, actors: Actors, seat, weight) -> Sequences:
            sample = Sample(
                decisions=decisions,
                episodes=episodes,
                next=rollout.turn(actors, seat),
                restarted=never,
            )
            return sequences(sample, weight)

        items = jax.vmap(of_player)(
            decisions, episodes, state.actors, jnp.asarray(self._seats), weight(episodes.count)
        )
        learners = self._learners
        items = jax.tree.map(lambda leaf: leaf.reshape(learners, -1, *leaf.shape[2:]), items)
        return state, items

    def _update(
        self, state: State, key: jax.Array, progress: Progress, rollout: Rollout, scale: jax.Array
    ) -> tuple[State, Losses]:
        play_key, learn_key = jax.random.split(key)
        config = self._config
        exploration = falling(config.exploration, config.last_exploration, progress)
        state, items = self._items(state, play_key, exploration, rollout, scale)
        networks, student, losses = jax.vmap(self._both, in_axes=(0, 0, 0, 0, None))(
            state.networks, state.student, items, self._keys(learn_key), progress
        )
        state = dataclasses.replace(state, networks=networks, student=student)
        return state, mean_losses(losses)

    def _both(
        self,
        networks: Networks,
        student: Student,
        items: Sequences,
        key: jax.Array,
        progress: Progress,
    ) -> tuple[Networks, Student, Losses]:
        """Both networks of a learner after its sequences `[N, ...]`."""
        config, (average, values) = self._config, networks
        keys = jax.random.split(key, 4)
        order = orders(keys[0], config.epochs, config.num_minibatches, len(items.weight))
        values, values_state, q_losses = self._steps(
            self._q_loss, values, student.values, lambda envs: _taken(items, envs), order, progress
        )
        reservoir = student.reservoir.add(items, keys[1])
        batches = jax.random.split(keys[2], config.num_batches)
        average, average_state, losses = self._steps(
            self._average_loss, average, student.average,
            lambda key: reservoir.sample(config.num_sequences, key), batches, progress,
        )  # fmt: skip
        seen, counts = items.turn.observation, items.turn.valid
        networks = observed(self._policy, average, (average, values), seen, counts)
        student = Student(average=average_state, values=values_state, reservoir=reservoir)
        return networks, student, {"q": q_losses.mean(), "average": losses.mean()}

    def _steps(
        self,
        loss: Callable[[Params, Sequences], jax.Array],
        params: Params,
        opt_state: optax.OptState,
        batch: Callable[[jax.Array], Sequences],
        chosen: jax.Array,
        progress: Progress,
    ) -> tuple[Params, optax.OptState, jax.Array]:
        """Gradient steps, one on the batch of each entry of `chosen`."""

        def step(carry: tuple[Params, optax.OptState], which: jax.Array):
            value, gradient = jax.value_and_grad(loss)(carry[0], time_first(batch(which)))
            return self._step(*carry, gradient, progress), value

        (params, opt_state), losses = jax.lax.scan(step, (params, opt_state), chosen)
        return params, opt_state, losses

    def _q_loss(self, params: Params, batch: Sequences) -> jax.Array:
        turn = batch.turn
        q, _ = self._policy.unroll(
            params, turn.observation, turn.last_action, turn.reset, batch.carry[0]
        )  # [L + 1, N, A]
        held = jax.lax.stop_gradient(q)
        goal = double_q_returns(held, held, batch, gamma=1.0, trace_decay=self._config.trace_decay)
        taken = jnp.take_along_axis(q[:-1], batch.action[..., None], axis=-1)[..., 0]
        weight = turn.valid[:-1] * ~batch.truncated * batch.weight[None]
        return weighted_mean(weight, jnp.square(taken - goal))

    def _average_loss(self, params: Params, batch: Sequences) -> jax.Array:
        turn = jax.tree.map(lambda leaf: leaf[:-1], batch.turn)
        outputs, _ = self._policy.unroll(
            params, turn.observation, turn.last_action, turn.reset, batch.carry[1]
        )
        log_prob = self._policy.distribution(outputs, turn.legal).log_prob(batch.action)
        weight = trained_on(batch.turn, self._config.burn_in) * batch.weight[None]
        return weighted_mean(weight, -log_prob)

    def _own_carry(self, carry: tuple[Carry, Carry]) -> Carry:
        return carry[0]

    def _finished(self, networks: Networks) -> Networks:
        average, values = networks
        return average, at_temperature(values, self._config.temperature)


def _taken(items: Sequences, chosen: jax.Array) -> Sequences:
    return jax.tree.map(lambda leaf: leaf[chosen], items)
