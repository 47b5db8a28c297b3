"""A world model with an actor and a critic (DreamerV3, Hafner et al. 2023, arXiv:2301.04104).

The state of the world, as one player knows it at its decision, is y and z. y is the output of a
memory cell. z is a vector of categorical variables ("latents"), one-hot and concatenated:

    y_t       = cell(z_{t-1}, a_{t-1})               deterministic
    z_t       ~ q(z | y_t, o_t)                      posterior: has seen the observation
    z_t       ~ p(z | y_t)                           prior: has not
    r_t, c_t  = reward, continuation (y_t, z_t, a_t)           before o_{t+1}

A step is an own decision of the player. What chance and the other players do in between is part of
the world. **Reward and continuation are predicted before the next observation**, unlike in the
paper. In games an episode ends without another observation. Returns are linear in the reward, so
its expectation given (y_t, z_t, a_t) is all that they need. The prior is that of decisions that
follow, because only those are seen.

**What an action earns depends on the state**: a card decides whether a bet is good. Where neither
the action nor the state alone says anything about the reward, the gradient of a small network that
adds them up is zero, and it stays where it began. So the heads of what follows an action multiply
the two (`Outcome`).

**Acting.** A player that acts takes the mode of the posterior, where training samples. So the carry
(the cell's, and z) is a function of the player's own history, and the policy can be tabulated
exactly. The history of modes is the likeliest of those that training samples. The
*probabilities* as a latent would be deterministic too, but training never shows them to the heads.

Axes: H hidden units, L latents of C classes, A actions; batch axes lead.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from games.spaces import Box, Discrete, Space, size_of
from psro.policies.networks.cells import CELLS
from psro.policies.networks.cells.cell import Carry, initial_carry
from psro.policies.networks.encoders import centred, flattened
from psro.policies.networks.heads import num_outputs
from psro.policies.networks.recurrent import check_known
from psro.policies.networks.two_hot import NUM_BINS, mean, symlog

UNIMIX = 0.01
"""Share of the uniform distribution in every latent, so that no divergence is infinite, and in what
the actor plays in training."""

_FACTORS = 16
"""The most factors of an action that `Outcome` multiplies with."""

Features = tuple[jax.Array, jax.Array]
"""The embedded observation `[..., H]`, and the last action as a vector `[..., A]`."""


def _start(scale: float) -> nnx.initializers.Initializer:
    """The first weights of a layer, with so many times the usual variance."""
    if not scale:
        return nnx.initializers.zeros
    return nnx.initializers.variance_scaling(scale, "fan_in", "truncated_normal")


def with_one(x: jax.Array) -> jax.Array:
    """Vectors `[..., N]` with one more entry, which is 1."""
    return jnp.concatenate([x, jnp.ones_like(x[..., :1])], axis=-1)


class MLP(nnx.Module):
    """One hidden layer of H units, normalised: `[..., enter]` to `[..., leave]`, float32."""

    def __init__(
        self, enter: int, hidden: int, leave: int, *, scale: float = 1.0, dtype: str, rngs: nnx.Rngs
    ):
        self.hidden = nnx.Linear(enter, hidden, dtype=dtype, rngs=rngs)
        self.norm = nnx.RMSNorm(hidden, rngs=rngs)
        self.out = nnx.Linear(hidden, leave, kernel_init=_start(scale), dtype=dtype, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = nnx.silu(self.norm(self.hidden(x).astype(jnp.float32)))
        return self.out(hidden).astype(jnp.float32)


class Outcome(nnx.Module):
    """What follows an action in a state: `[..., leave]`, float32, linear in the products of the
    hidden units and of the action's factors. The factors of a number are its one-hot vector, so
    that each action has outputs of its own; those of real numbers are 1 and the numbers. More than
    `_FACTORS` are replaced by so many learned ones."""

    def __init__(
        self,
        enter: int,
        hidden: int,
        leave: int,
        action_space: Box | Discrete,
        *,
        scale: float,
        dtype: str,
        rngs: nnx.Rngs,
    ):
        size = action_space.size
        self.is_box = isinstance(action_space, Box)
        factors = min(size + self.is_box, _FACTORS)
        many = size + self.is_box > _FACTORS
        self.embedding = nnx.Linear(size, factors, dtype=dtype, rngs=rngs) if many else None
        self.hidden = nnx.Linear(enter + size, hidden, dtype=dtype, rngs=rngs)
        self.norm = nnx.RMSNorm(hidden, rngs=rngs)
        self.out = nnx.Linear(
            (hidden + 1) * factors, leave, kernel_init=_start(scale), dtype=dtype, rngs=rngs
        )

    def __call__(self, state: jax.Array, action: jax.Array) -> jax.Array:
        """Of states `[..., S]` and actions as vectors `[..., A]`."""
        hidden = self.hidden(jnp.concatenate([state, action], axis=-1)).astype(jnp.float32)
        hidden = with_one(nnx.silu(self.norm(hidden)))  # [..., H + 1]
        factors = with_one(action) if self.is_box else action
        if self.embedding is not None:
            factors = self.embedding(action).astype(jnp.float32)
        products = hidden[..., :, None] * factors[..., None, :]
        products = products.reshape(*products.shape[:-2], -1)
        return self.out(products).astype(jnp.float32)


class RSSM(nnx.Module):
    """The recurrent state-space model: y and z. Its carry is (the cell's carry, z `[..., L * C]`).
    At the start of an episode z is zero, and the last action is none."""

    def __init__(
        self,
        hidden_size: int,
        num_actions: int,
        *,
        cell: str,
        latents: int,
        classes: int,
        dtype: str,
        rngs: nnx.Rngs,
    ):
        self.hidden_size = hidden_size
        self.latents, self.classes = latents, classes
        size = latents * classes
        self.enter = nnx.Linear(size + num_actions, hidden_size, dtype=dtype, rngs=rngs)
        self.enter_norm = nnx.RMSNorm(hidden_size, rngs=rngs)
        self.core = CELLS[cell](hidden_size, hidden_size, dtype=dtype, rngs=rngs)
        self.prior_head = MLP(hidden_size, hidden_size, size, dtype=dtype, rngs=rngs)
        self.posterior_head = MLP(2 * hidden_size, hidden_size, size, dtype=dtype, rngs=rngs)

    def initial_carry(self, batch_shape: tuple[int, ...]) -> Carry:
        """Leaves `[*batch_shape, ...]`."""
        start = initial_carry(self.core, self.hidden_size, batch_shape)
        return start, jnp.zeros((*batch_shape, self.latents * self.classes))

    def advance(self, carry: Carry, action: jax.Array) -> tuple[Carry, jax.Array]:
        """The cell's next carry and y `[..., H]`, after an action as a vector `[..., A]`."""
        memory, z = carry
        x = self.enter(jnp.concatenate([z, action], axis=-1)).astype(jnp.float32)
        return self.core(memory, nnx.silu(self.enter_norm(x)))

    def prior(self, y: jax.Array) -> jax.Array:
        """log p(z | y), `[..., L, C]`."""
        return self._log_probabilities(self.prior_head(y))

    def posterior(self, y: jax.Array, embedded: jax.Array) -> jax.Array:
        """log q(z | y, o), `[..., L, C]`."""
        return self._log_probabilities(self.posterior_head(jnp.concatenate([y, embedded], axis=-1)))

    def observe(
        self, carry: Carry, features: Features, key: jax.Array | None = None
    ) -> tuple[Carry, tuple[jax.Array, jax.Array]]:
        """The next carry, y `[..., H]`, and log q `[..., L, C]`. With a key z is sampled, and its
        gradient is that of the probabilities (straight through); without, it is the mode."""
        embedded, last_action = features
        memory, y = self.advance(carry, last_action)
        log_q = self.posterior(y, embedded)
        return (memory, draw(log_q, key)), (y, log_q)

    def __call__(self, carry: Carry, features: Features) -> tuple[Carry, jax.Array]:
        """A step of the player that acts: the next carry, and its state `[..., H + L * C]`."""
        carry, (y, _) = self.observe(carry, features)
        return carry, jnp.concatenate([y, carry[1]], axis=-1)

    def _log_probabilities(self, logits: jax.Array) -> jax.Array:
        logits = logits.reshape(*logits.shape[:-1], self.latents, self.classes)
        probabilities = jax.nn.softmax(logits, axis=-1)
        return jnp.log((1 - UNIMIX) * probabilities + UNIMIX / self.classes)


def draw(log_probabilities: jax.Array, key: jax.Array | None) -> jax.Array:
    """Latents `[..., L * C]`, one-hot: a sample, or without a key the mode."""
    if key is None:
        classes = log_probabilities.argmax(axis=-1)
    else:
        classes = jax.random.categorical(key, log_probabilities)
    chosen = jax.nn.one_hot(classes, log_probabilities.shape[-1])
    if key is not None:  # the gradient of the sample is that of the probabilities
        probabilities = jnp.exp(log_probabilities)
        chosen = chosen + probabilities - jax.lax.stop_gradient(probabilities)
    return chosen.reshape(*chosen.shape[:-2], -1)


class WorldModel(nnx.Module):
    """Everything that Dreamer learns. To a `Policy` it is a network like `RecurrentNetwork`, which
    uses the encoder, the RSSM (as its cell), the actor and the critic."""

    def __init__(
        self,
        *,
        observation_space: Space,
        action_space: Box | Discrete,
        hidden_size: int,
        cell: str,
        latents: int,
        classes: int,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        check_known(cell, dtype)
        self.observation_space = observation_space
        self.action_space = action_space
        seen, state = size_of(observation_space), hidden_size + latents * classes

        def mlp(enter: int, leave: int, scale: float = 1.0) -> MLP:
            return MLP(enter, hidden_size, leave, scale=scale, dtype=dtype, rngs=rngs)

        def outcome(leave: int, scale: float = 1.0) -> Outcome:
            return Outcome(
                state, hidden_size, leave, action_space, scale=scale, dtype=dtype, rngs=rngs
            )

        self.encoder = mlp(seen, hidden_size)
        self.cell = RSSM(
            hidden_size,
            action_space.size,
            cell=cell,
            latents=latents,
            classes=classes,
            dtype=dtype,
            rngs=rngs,
        )
        self.decoder = mlp(state, seen)
        self.reward_head = outcome(NUM_BINS, 0.0)
        self.continue_head = outcome(1)
        numbers = isinstance(action_space, Discrete)
        self.legal_head = mlp(state, action_space.size) if numbers else None
        self.policy_head = mlp(state, num_outputs(action_space), 0.01)
        self.value_head = mlp(state, NUM_BINS, 0.0)

    def initial_carry(self, batch_shape: tuple[int, ...]) -> Carry:
        """The RSSM's at the start of an episode, leaves `[*batch_shape, ...]`."""
        return self.cell.initial_carry(batch_shape)

    def target(self, observation: Any) -> jax.Array:
        """What the decoder predicts: symlog of the flat observation, `[..., O]`."""
        return symlog(flattened(self.observation_space, observation).astype(jnp.float32))

    def encode(self, observation: Any, last_action: jax.Array) -> Features:
        """What a step of the RSSM gets. The last action is a value of the action space; -1 is
        none."""
        embedded = nnx.silu(self.encoder(self.target(observation)))
        return embedded, centred(self.action_space, last_action)

    def remember(self, features: Features, carry: Carry) -> tuple[jax.Array, Carry]:
        """One step of the RSSM: the state `[..., H + L * C]` and the next carry."""
        carry, state = self.cell(carry, features)
        return state, carry

    def heads(self, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The actor's outputs `[..., num_outputs]` and the critic's mean `[...]`."""
        return self.policy_head(state), mean(self.value_head(state))

    def outcome(self, state: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What follows actions as vectors `[..., A]` in states `[..., S]`: logits of the reward's
        bins `[..., NUM_BINS]`, and the logit that the episode goes on `[...]`."""
        return self.reward_head(state, action), self.continue_head(state, action)[..., 0]

    def legal(self, state: jax.Array) -> jax.Array | None:
        """Which actions are likely to be legal, bool `[..., A]`; all, where none seems to be. None
        if actions are a box."""
        if self.legal_head is None:
            return None
        legal = self.legal_head(state) > 0
        return legal | ~legal.any(axis=-1, keepdims=True)
