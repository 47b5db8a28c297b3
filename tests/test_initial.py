"""What best responses start from."""

import jax
import jax.numpy as jnp
import numpy as np
from probes import policy_for

import games
from psro.policies.initial import fusion, perturbed, previous, scratch
from psro.policies.population import Population


def test_starts():
    policy = policy_for(games.load("kuhn_poker"), hidden_size=4)
    keys = jax.random.split(jax.random.key(0), 8).reshape(4, 2)
    policies = [policy.init_many(each) for each in keys]
    population = Population.empty(4)
    for each in policies[:3]:
        population = population.add(each)
    weights = [np.array([0.5, 0.0, 0.5]), np.array([0.0, 1.0, 0.0])]

    def same(one, other):
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)

    same(scratch(policies[3], population, weights), policies[3])
    same(previous(policies[3], population, weights), policies[2])
    mean = [
        jax.tree.map(lambda a, c: 0.5 * a[0] + 0.5 * c[0], policies[0], policies[2]),
        jax.tree.map(lambda b: b[1], policies[1]),
    ]
    expected = jax.tree.map(lambda *leaves: jnp.stack(leaves), *mean)
    same(fusion(policies[3], population, weights), expected)
    shrunk = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, expected, policies[3])
    same(perturbed(policies[3], population, weights), shrunk)
