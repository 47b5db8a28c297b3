"""Distributions of actions against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from games.spaces import Box
from psro.policies.distributions import MaskedCategorical, TanhNormal

SPACE = Box((2,), -1.0, 3.0)


def normal(mean, log_std):
    shape = (len(mean), 2)
    return TanhNormal(
        mean=jnp.broadcast_to(jnp.array(mean)[:, None], shape),
        log_std=jnp.full(shape, log_std, jnp.float32),
        space=SPACE,
    )


def test_the_density_of_what_is_played_sums_to_one():
    """By the trapezoidal rule: p(played) d played, over a grid of u."""
    one = TanhNormal(mean=jnp.array([0.4]), log_std=jnp.array([-0.3]), space=Box((1,), -1.0, 3.0))
    u = jnp.linspace(-8, 8, 20_001)[:, None]
    density = np.exp(jax.vmap(one.log_prob)(u))
    played = np.asarray(one.played(u), np.float64)[:, 0]
    middles = (density[1:] + density[:-1]) / 2
    assert (middles * np.diff(played)).sum() == pytest.approx(1.0, abs=1e-3)
    assert played.min() >= -1 and played.max() <= 3


def test_an_action_at_the_edge_has_a_finite_log_probability_and_gradient():
    actions = jnp.array([[-200.0, 200.0], [-20.0, 9.5], [0.0, 60.0]])
    assert (np.asarray(normal([0.0] * 3, 0.0).played(actions))[:2, 0] == -1).all()

    def loss(mean, log_std):
        own = TanhNormal(mean=mean, log_std=log_std, space=SPACE)
        return own.log_prob(actions).sum() + own.entropy().sum()

    for log_std in (-5.0, 2.0):
        values = jax.value_and_grad(loss, argnums=(0, 1))(
            jnp.full((3, 2), 30.0), jnp.full((3, 2), log_std)
        )
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(values))


@pytest.mark.parametrize("log_std", [-3.0, 0.0, 0.7])
def test_the_entropy_is_the_mean_of_what_is_not_known(log_std):
    own = normal([0.0, 0.5, -2.0], log_std)
    drawn = jax.vmap(own.sample)(jax.random.split(jax.random.key(0), 20_000))
    surprise = -np.asarray(jax.vmap(own.log_prob)(drawn))
    error = surprise.std(axis=0) / np.sqrt(len(surprise))
    np.testing.assert_array_less(abs(surprise.mean(axis=0) - own.entropy()), 4 * error + 0.04)
    np.testing.assert_allclose(own.mode(), own.mean)


def test_illegal_numbers_are_never_sampled_and_have_no_entropy():
    legal = jnp.array([[True, False, True], [False, True, False]])
    own = MaskedCategorical.of(jnp.array([[0.0, 9.0, 0.0], [0.0, 1.0, 5.0]]), legal)
    drawn = np.asarray(jax.vmap(own.sample)(jax.random.split(jax.random.key(0), 200)))
    assert set(drawn[:, 0]) == {0, 2} and set(drawn[:, 1]) == {1}
    np.testing.assert_allclose(own.entropy(), [np.log(2), 0.0], atol=1e-6)
    assert own.mode()[1] == 1 and np.asarray(own.played(own.mode())).dtype == np.int32
