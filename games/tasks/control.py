"""CartPole and Pendulum without velocities, and with noise, as in POPGym.

The mechanics are Gymnasium's (Barto, Sutton and Anderson 1983 for CartPole).
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from games.solo import Moved, Solo
from games.spaces import Box, Discrete

_GRAVITY, _CART, _POLE, _HALF_LENGTH, _FORCE, _SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
_MOST_X, _MOST_ANGLE = 2.4, 12 * math.pi / 180
_LEAST_REWARD = -16.2736044
"""Of Gymnasium's Pendulum; POPGym's rewards are between -1 and 1, over the episode's length."""


class CartPole(Solo):
    """Shows the cart's place and the pole's angle, not how fast they change."""

    def __init__(self, name: str, *, length: int, noise: float = 0.0):
        super().__init__(
            name,
            observation_space=Box((2,), -2 * _MOST_X, 2 * _MOST_X),
            action_space=Discrete(2),
            max_length=length,
            max_return=1.0,
        )
        self._noise = noise

    def _begin(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        key, noise_key = jax.random.split(key)
        inner = jax.random.uniform(key, (4,), minval=-0.05, maxval=0.05)
        return inner, self._shown(inner, noise_key)

    def _go(self, inner: jax.Array, action: jax.Array, key: jax.Array) -> Moved:
        x, x_speed, angle, angle_speed = inner
        force = jnp.where(action == 1, _FORCE, -_FORCE)
        cosine, sine = jnp.cos(angle), jnp.sin(angle)
        mass = _CART + _POLE
        pushed = (force + _POLE * _HALF_LENGTH * jnp.square(angle_speed) * sine) / mass
        angle_gain = (_GRAVITY * sine - cosine * pushed) / (
            _HALF_LENGTH * (4 / 3 - _POLE * jnp.square(cosine) / mass)
        )
        x_gain = pushed - _POLE * _HALF_LENGTH * angle_gain * cosine / mass
        inner = inner + _SECONDS * jnp.stack([x_speed, x_gain, angle_speed, angle_gain])
        return Moved(
            inner=inner,
            observation=self._shown(inner, key),
            reward=jnp.float32(1 / self.max_length),
            terminal=(jnp.abs(inner[0]) > _MOST_X) | (jnp.abs(inner[2]) > _MOST_ANGLE),
            truncated=jnp.bool_(False),
        )

    def _shown(self, inner: jax.Array, key: jax.Array) -> jax.Array:
        return _noisy(inner[::2], self._noise, jnp.array([2 * _MOST_X, 2 * _MOST_ANGLE]), key)


class Pendulum(Solo):
    """Shows the cosine and the sine of the angle, not how fast it changes."""

    def __init__(self, name: str, *, length: int, noise: float = 0.0):
        super().__init__(
            name,
            observation_space=Box((2,), -1.0, 1.0),
            action_space=Box((1,), -2.0, 2.0),
            max_length=length,
            max_return=1.0,
        )
        self._noise = noise

    def _begin(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        key, noise_key = jax.random.split(key)
        most = jnp.array([math.pi, 1.0])
        inner = jax.random.uniform(key, (2,), minval=-most, maxval=most)
        return inner, self._shown(inner, noise_key)

    def _go(self, inner: jax.Array, action: jax.Array, key: jax.Array) -> Moved:
        angle, speed = inner
        torque = jnp.clip(action[0], -2.0, 2.0)
        turned = jnp.mod(angle + math.pi, 2 * math.pi) - math.pi
        cost = jnp.square(turned) + 0.1 * jnp.square(speed) + 0.001 * jnp.square(torque)
        speed = jnp.clip(speed + 0.05 * (15.0 * jnp.sin(angle) + 3.0 * torque), -8.0, 8.0)
        inner = jnp.stack([angle + 0.05 * speed, speed])
        return Moved(
            inner=inner,
            observation=self._shown(inner, key),
            reward=(1 - cost / (-_LEAST_REWARD / 2)) / self.max_length,
            terminal=jnp.bool_(False),
            truncated=jnp.bool_(False),
        )

    def _shown(self, inner: jax.Array, key: jax.Array) -> jax.Array:
        seen = jnp.stack([jnp.cos(inner[0]), jnp.sin(inner[0])])
        return _noisy(seen, self._noise, jnp.ones(2), key)


def _noisy(seen: jax.Array, noise: float, most: jax.Array, key: jax.Array) -> jax.Array:
    """An observation with Gaussian noise of this standard deviation, clipped as in POPGym."""
    if not noise:
        return seen
    return jnp.clip(seen + noise * jax.random.normal(key, seen.shape), -most, most)
