"""The exact best response, cloned into a network, in a game that is not enumerated."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax

from games.form import Form
from games.game import Game
from games.info_states import InfoStates
from psro import exact
from psro.errors import SettingsError
from psro.oracles.base import Jobs, Results
from psro.oracles.optimizer import exact_optimizer
from psro.oracles.settings import DistillConfig
from psro.policies.distributions import log_probabilities
from psro.policies.policy import Params, Policy, at_temperature
from psro.policies.tabulation import ChunkedTabulator, expanded

BATCH = 2_048
"""Info states of one gradient step."""


class DistillOnForm:
    """The oracle: `DistillOnForm(game, policy, config)(jobs)`.

    The loss is that of `psro.oracles.distill.Distill`: the cross entropy with the best response's
    action, where the weight of an info state is the square root of what the worst action there
    would cost. There are too many info states for one step. So each step draws `BATCH` of them with
    probabilities in proportion to their weights, and unrolls the network along the player's own
    decisions that lead to each. There are `steps` steps. The value of the finished policy is exact.
    """

    tabular = False
    conditional = False
    enumerated = True
    world_model = False

    def __init__(self, game: Game, policy: Policy, config: DistillConfig):
        if game.form is None:
            raise SettingsError("oracle distill needs a game that is measured exactly")
        self._form: Form = game.form
        self._policy, self._config = policy, config
        self._length = max(player.num_levels for player in self._form.players)
        self._tabulate = ChunkedTabulator(policy)
        self._optimizer = exact_optimizer(config, config.steps)
        self._step = jax.jit(self._updated)

    def __call__(self, jobs: Jobs) -> Results:
        seeds = jax.device_get(jax.random.key_data(jobs.key))
        params, values, diverged = [], [], []
        for job, player in enumerate(np.asarray(jobs.player)):
            initial = jax.tree.map(lambda leaf, job=job: np.asarray(leaf)[job], jobs.initial)
            rng = np.random.default_rng([*map(int, seeds[job].ravel()), int(player)])
            learned = self._learned(initial, int(player), jobs.exact.gains[job], rng)
            sound = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(learned))
            params.append(learned if sound else initial)
            diverged.append(not sound)
            values.append(self._value(params[-1], int(player), jobs.exact.gains[job]))
        none = np.zeros(len(jobs), int)
        return Results(
            params=jax.tree.map(lambda *leaves: np.stack(leaves), *params),
            decisions=none,
            episodes=none,
            diverged=np.array(diverged),
            curve=np.array(values)[:, None],
        )

    def _learned(
        self, initial: Params, player: int, gains: np.ndarray, rng: np.random.Generator
    ) -> Params:
        """A job's network, at the finished temperature."""
        states = self._form.players[player]
        best = exact.best_response_to(states, gains)
        _, spread = exact.action_values(states, gains)
        weights = best.plan[states.parent] * np.sqrt(spread)
        matters = np.flatnonzero(weights)
        params = at_temperature(initial, 1.0)
        optimizer = self._optimizer.init(params)
        if len(matters):
            cumulative = np.cumsum(weights[matters])
            for _ in range(self._config.steps):
                points = (np.arange(BATCH) + rng.uniform(size=BATCH)) / BATCH * cumulative[-1]
                drawn = np.searchsorted(cumulative, points, side="right")
                rows = matters[np.minimum(drawn, len(matters) - 1)]
                params, optimizer = self._step(
                    params, optimizer, *self._paths(states, rows), _action(states, best.plan, rows)
                )
        return jax.device_get(at_temperature(params, self._config.temperature))

    def _paths(self, states: InfoStates, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """What the network sees on the way to info states `rows [B]`, which are the last step:
        observations `[L, B, O]`, own last actions, whether the memory begins there `[L, B]`, and
        the legal actions of the last step `[B, A]`."""
        path = np.empty((self._length, len(rows)), np.int64)
        path[-1] = rows
        for step in reversed(range(self._length - 1)):
            before = states.info_state[states.parent[np.maximum(path[step + 1], 0)]]
            path[step] = np.where(path[step + 1] < 0, -1, before)
        there = path >= 0
        known = np.where(there, path, rows)  # what comes before the first decision is forgotten
        observation = states.observe(known.ravel())
        last_action = states.action[states.parent[known]].astype(np.int32)
        first = there & np.concatenate([np.ones((1, len(rows)), bool), ~there[:-1]])
        legal = np.zeros((len(rows), states.num_actions), bool)
        at, sequences = expanded(states.first_sequence, rows)
        legal[at, states.action[sequences]] = True
        shape = (self._length, len(rows), *observation.shape[1:])
        return observation.reshape(shape), last_action, first, legal

    def _updated(self, params, optimizer, observation, last_action, reset, legal, action):
        def loss(params: Params) -> jax.Array:
            carry = self._policy.initial_carry((BATCH,))
            outputs, _ = self._policy.unroll(params, observation, last_action, reset, carry)
            log_pi = log_probabilities(outputs[-1], legal)
            return -jnp.take_along_axis(log_pi, action[:, None], axis=1).mean()

        change, optimizer = self._optimizer.update(jax.grad(loss)(params), optimizer, params)
        return optax.apply_updates(params, change), optimizer

    def _value(self, params: Params, player: int, gains: np.ndarray) -> float:
        """What a policy earns, exactly."""
        states = self._form.players[player]
        one = jax.tree.map(lambda leaf: np.asarray(leaf)[None], params)
        (behaviour,) = self._tabulate(one, states)
        return float(gains @ exact.realization_plan(states, behaviour))


def _action(states: InfoStates, plan: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The action that a pure plan plays at info states that it reaches, int32 `[B]`."""
    _, sequences = expanded(states.first_sequence, rows)
    return states.action[sequences[plan[sequences] > 0]].astype(np.int32)
