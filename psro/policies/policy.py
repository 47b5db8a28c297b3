"""Recurrent policies as pure functions: acting, unrolling a sequence, tabulating a tree.

The network takes one step per own decision of its player. The input is the player's observation and
its own previous action. The carry starts each episode as the cell's initial carry. So a carry is a
function of the player's own action-observation history. Acting, training and tabulating must give
the same carry (`tests/test_policy.py`).

A policy is a softmax of its network's logits over a temperature. The temperature is 1 in training.
A finished policy has the oracle's temperature. Where actions are a box, the temperature multiplies
the variance: a normal density to the power 1 / T is the normal density of T times the variance.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from games.levels import Level, by_level, in_order, levels
from games.spaces import Box, Discrete, Space
from games.tree import GameTree, PlayerTree
from psro import exact
from psro.errors import SettingsError
from psro.policies.distributions import Distribution, MaskedCategorical, TanhNormal
from psro.policies.jax_settings import own_settings
from psro.policies.networks import RecurrentNetwork
from psro.policies.networks.cells.cell import Carry, unroll
from psro.policies.networks.cells.parts import restarted
from psro.policies.networks.central import Seen
from psro.policies.networks.heads import LOG_STD, check_actions, num_outputs
from psro.policies.networks.settings import NetworkConfig

Params = Any
"""A nested dict of float32 arrays, one network's parameters, with the policy's `temperature []`."""


def at_temperature(params: Params, temperature: float) -> Params:
    """The policies of the same networks at another temperature, leaves `[...]` of one shape."""
    return params | {"temperature": jnp.full_like(params["temperature"], temperature)}


class Policy:
    """A `RecurrentNetwork` without its parameters. They are the first argument of every call."""

    network_type = RecurrentNetwork

    def __init__(
        self,
        *,
        observation_space: Space,
        action_space: Box | Discrete,
        hidden_size: int,
        cell: str,
        dtype: str = "float32",
        network: NetworkConfig | None = None,
    ):
        if hidden_size < 1:
            raise SettingsError(f"hidden_size = {hidden_size} must be at least 1")
        check_actions(action_space)
        network = network or NetworkConfig()

        def build(key: jax.Array) -> RecurrentNetwork:
            return self.network_type(
                observation_space=observation_space,
                action_space=action_space,
                hidden_size=hidden_size,
                cell=cell,
                dtype=dtype,
                network=network,
                rngs=nnx.Rngs(key),
            )

        self.observation_space, self.action_space = observation_space, action_space
        self.normalises = network.normalize_observations
        self.central = network.critic != "own"
        self.settings = {
            "observation_space": observation_space,
            "action_space": action_space,
            "hidden_size": hidden_size,
            "cell": cell,
            "dtype": dtype,
            "network": network,
        }
        self._build = build
        shapes = nnx.eval_shape(lambda: build(jax.random.key(0)))
        self._graph, _ = nnx.split(shapes)
        self._start = jax.device_get(jax.jit(lambda: shapes.initial_carry(()))())
        self._init = jax.jit(lambda keys: jax.lax.map(self.init, keys))

    def __reduce__(self):
        return functools.partial(type(self), **self.settings), (), {"central": self.central}

    @property
    def architecture(self) -> tuple[Any, ...]:
        """What tells networks apart: parameters of one fit every other that is equal."""
        return type(self), repr(sorted(self.settings.items()))

    def init(self, key: jax.Array) -> Params:
        """Parameters of a fresh network. On a CPU do not `vmap` it: see `init_many`."""
        return self._init_network(key) | {"temperature": jnp.ones((), jnp.float32)}

    def _init_network(self, key: jax.Array) -> Params:
        return _named(nnx.to_pure_dict(nnx.state(self._build(key))))

    def init_many(self, keys: jax.Array) -> Params:
        """Fresh networks for `keys [N]`, leaves `[N, ...]`, made one after another. On a CPU, a
        `vmap` over orthogonal initialisers deadlocks: its QR runs in the thread pool that waits.
        """
        return self._init(keys)

    def initial_carry(self, batch_shape: tuple[int, ...] = ()) -> Carry:
        """The cell's own carry at the start of an episode, leaves `[*batch_shape, ...]`."""
        return jax.tree.map(
            lambda start: jnp.broadcast_to(start, (*batch_shape, *start.shape)), self._start
        )

    def no_action(self, batch_shape: tuple[int, ...] = ()) -> jax.Array:
        """The last action before the first: -1, int32 `[*batch_shape]`; of a `Box` its middle,
        float32 `[*batch_shape, *shape]`, which the network sees as zeros."""
        space = self.action_space
        if isinstance(space, Discrete):
            return jnp.full(batch_shape, -1, jnp.int32)
        return jnp.full((*batch_shape, *space.shape), (space.low + space.high) / 2, jnp.float32)

    @property
    def num_outputs(self) -> int:
        """The number of entries of a decision's outputs."""
        return num_outputs(self.action_space)

    def distribution(self, outputs: jax.Array, legal: jax.Array | None) -> Distribution:
        """What a decision's outputs `[..., num_outputs]` say about its action. `legal [..., A]` is
        True where an action may be played; None if actions are a box."""
        space = self.action_space
        if isinstance(space, Discrete):
            return MaskedCategorical.of(outputs, legal)
        mean, log_std = jnp.split(outputs, 2, axis=-1)
        return TanhNormal(mean=mean, log_std=log_std, space=space)

    def forget(self, carry: Carry, where: jax.Array) -> Carry:
        """The initial carry where `where [...]` is True, otherwise `carry`. Leaves of the carry may
        have more leading axes than `where`."""
        return restarted(self._start, carry, where)

    def __call__(
        self, params: Params, observation: Any, last_action: jax.Array, carry: Carry
    ) -> tuple[jax.Array, jax.Array, Carry]:
        """One own decision: outputs `[..., num_outputs]` (see `distribution`; logits of numbers),
        value `[...]` and the next carry."""
        network = self._network(params)
        memory, carry = network.remember(network.encode(observation, last_action), carry)
        logits, value = self._heads(network, params, memory)
        return logits, value, carry

    def unroll(
        self,
        params: Params,
        observation: Any,
        last_action: jax.Array,
        reset: jax.Array,
        carry: Carry,
    ) -> tuple[jax.Array, jax.Array]:
        """A sequence of own decisions, time first: outputs as in `__call__`, `[T, B, ...]`, and
        values `[T, B]`.

        `carry` is the carry before step 0. Where `reset [T, B]` is True an episode begins at that
        step, and the cell gets the initial carry.
        """
        return self.unroll_on(params, observation, last_action, reset, carry)[:2]

    def unroll_on(
        self,
        params: Params,
        observation: Any,
        last_action: jax.Array,
        reset: jax.Array,
        carry: Carry,
    ) -> tuple[jax.Array, jax.Array, Carry]:
        """As `unroll`, and the carry after the last step."""
        network = self._network(params)
        features = network.encode(observation, last_action)
        carry, memory = unroll(network.cell, carry, features, reset, self.forget)
        return *self._heads(network, params, memory), carry

    def value_of(
        self,
        params: Params,
        value: jax.Array,
        observation: Any,
        last_action: jax.Array,
        others: Seen | tuple[()],
    ) -> jax.Array:
        """The values `[...]` that advantages are taken from: `value`, of the own memory, or those
        of a central critic, which sees what `others` saw and did, leaves `[..., Q, *shape]`."""
        if not self.central:
            return value
        return self.judge(params, observation, last_action, others)[0]

    def with_own_values(self) -> Self:
        """The same network, whose values are of the own memory (`value_of`)."""
        result = copy.copy(self)
        result.central = False
        return result

    def judge(
        self, params: Params, observation: Any, last_action: jax.Array, others: Seen
    ) -> tuple[jax.Array, jax.Array]:
        """A central critic's values `[...]`, and those of all actions `[..., A]`."""
        return self._network(params).judge((observation, last_action), others)

    def tabulate(
        self, params: Params, levels: Sequence[Level]
    ) -> tuple[list[jax.Array], list[jax.Array]]:
        """Logits `[W, A]` and values `[W]` at every info state of one player, level by level. An
        info state takes the carry that its parent info state returned."""
        network = self._network(params)
        carry, memories = self.initial_carry(levels[0].last_action.shape), []
        for depth, level in enumerate(levels):
            if depth:
                carry = jax.tree.map(lambda leaf, at=level.parent: leaf[at], carry)
            features = network.encode(level.observation, level.last_action)
            memory, carry = network.remember(features, carry)
            memories.append(memory)
        heads = [self._heads(network, params, memory) for memory in memories]
        return [logits for logits, _ in heads], [values for _, values in heads]

    def _network(self, params: Params) -> RecurrentNetwork:
        network = {name: leaf for name, leaf in params.items() if name != "temperature"}
        return nnx.merge(self._graph, _numbered(network))

    def _heads(
        self, network: RecurrentNetwork, params: Params, memory: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Outputs at the policy's temperature, and values `[...]`. The temperature is not trained:
        its gradient is zero."""
        outputs, value = network.heads(memory)
        temperature = jax.lax.stop_gradient(params["temperature"])
        if isinstance(network.action_space, Discrete):
            return outputs / temperature, value
        mean, log_std = jnp.split(outputs, 2, axis=-1)
        log_std = jnp.clip(log_std, *LOG_STD) + 0.5 * jnp.log(temperature)
        return jnp.concatenate([mean, log_std], axis=-1), value


def _named(params: Params) -> Params:
    """Parameters by names alone: NNX numbers the members of a list, and files keep names only."""
    if not isinstance(params, dict):
        return params
    return {str(name): _named(value) for name, value in params.items()}


def _numbered(params: Params) -> Params:
    """The inverse of `_named`."""
    if not isinstance(params, dict):
        return params
    return {
        int(name) if name.isdigit() else name: _numbered(value) for name, value in params.items()
    }


class TablePolicy:
    """A policy that is a table: its parameters are logits `[W, A]` by level. A population holds and
    tabulates it like a network. It cannot act in an environment."""

    def __init__(self, tree: GameTree):
        self._shapes = [level.legal.shape[1:] for level in levels(tree)]

    def init_many(self, keys: jax.Array) -> Params:
        """Uniform policies for `keys [N]`, leaves `[N, W, A]`."""
        return {
            f"level_{depth:02d}": jnp.zeros((len(keys), *shape))
            for depth, shape in enumerate(self._shapes)
        }

    def from_plan(self, tree: GameTree, player: int, plan: np.ndarray) -> Params:
        """The table of a realization plan `[S]`, leaves `[W, A]`. It is exact where the plan is
        pure, and uniform where the plan never leads."""
        with np.errstate(divide="ignore"):
            logits = np.log(exact.behaviour(tree.players[player], plan))
        logits = np.maximum(logits, -1e9)  # exp(-1e9) is zero
        return {
            f"level_{depth:02d}": jnp.asarray(rows)
            for depth, rows in enumerate(by_level(tree, player, logits))
        }

    def tabulate(
        self, params: Params, levels: Sequence[Level]
    ) -> tuple[list[jax.Array], list[jax.Array]]:
        """Logits `[W, A]` and zeros `[W]`, as `Policy.tabulate`."""
        logits = [params[f"level_{depth:02d}"] for depth in range(len(levels))]
        return logits, [jnp.zeros(level_logits.shape[0]) for level_logits in logits]


class Lookup:
    """Acts by a table with the parameters `{"logits": [R, A], "value": [R]}`, one level after the
    other. The observation is the number of the row (`games.levels.rows`). It has no memory."""

    def initial_carry(self, batch_shape: tuple[int, ...] = ()) -> Carry:
        return ()

    def no_action(self, batch_shape: tuple[int, ...] = ()) -> jax.Array:
        return jnp.full(batch_shape, -1, jnp.int32)

    def distribution(self, outputs: jax.Array, legal: jax.Array) -> MaskedCategorical:
        return MaskedCategorical.of(outputs, legal)

    def forget(self, carry: Carry, where: jax.Array) -> Carry:
        return ()

    def __call__(
        self, table: Params, row: jax.Array, last_action: jax.Array, carry: Carry
    ) -> tuple[jax.Array, jax.Array, Carry]:
        """Logits `[..., A]` and value `[...]` at rows `[...]`. The carry is empty."""
        return table["logits"][row], table["value"][row], ()


class Tabulator:
    """Evaluates recurrent policies at every info state of a tree. A call takes one policy per
    player."""

    def __init__(self, policy: Policy | TablePolicy, tree: GameTree):
        self._tree = tree
        self._levels = levels(tree)
        self._tabulate = jax.jit(jax.vmap(policy.tabulate))

    @own_settings()
    def __call__(self, params: Params) -> list[np.ndarray]:
        """Behaviours, float64 `[S_p]` for each player p, of policies with leaves `[P, ...]`."""
        logits, _ = self._tabulate(params, self._levels)
        return [
            _behaviour(
                player, in_order(self._tree, p, [level_logits[p] for level_logits in logits])
            )
            for p, player in enumerate(self._tree.players)
        ]

    @own_settings()
    def values(self, params: Params) -> list[np.ndarray]:
        """The value head's output at every info state, float32 `[I_p]` for each player p."""
        _, values = self._tabulate(params, self._levels)
        return [
            in_order(self._tree, p, [level_values[p] for level_values in values])
            for p in range(self._tree.num_players)
        ]


def _behaviour(player: PlayerTree, logits: np.ndarray) -> np.ndarray:
    """Softmax over the legal actions, in float64, flat over sequences `[S]`."""
    masked = np.where(player.legal, logits.astype(np.float64), -np.inf)  # [I, A]
    weights = np.exp(masked - masked.max(axis=1, keepdims=True))
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    return np.concatenate([[1.0], probabilities[player.info_state[1:], player.action[1:]]])


def stack(params: Sequence[Params]) -> Params:
    """Stacks PyTrees of the same structure along a new leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
