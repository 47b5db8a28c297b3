"""Every memory cell: a step, a sequence, a parallel pass and a table are the same function."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from probes import policy_for

import games
from games.levels import levels
from psro.policies.networks import BUILT_IN, CELLS
from psro.policies.networks.cells import cell as cells
from psro.policies.networks.cells import ffm, mlstm, s5, shm
from psro.policies.networks.cells.parts import linear_recurrence

IN, HIDDEN, LENGTH, BATCH = 5, 8, 9, 3
SETTINGS = {"gtrxl": {"window": 4}, "gpt2": {"window": 4, "num_layers": 2}}
"""So that rings are full and written over."""
PARALLEL = [name for name, cell in CELLS.items() if hasattr(cell, "scan")]


def built(name, dtype="float32"):
    """A cell as graph and parameters."""
    settings = SETTINGS.get(name, {})
    return nnx.split(CELLS[name](IN, HIDDEN, dtype=dtype, rngs=nnx.Rngs(0), **settings))


def disturbed(params, seed):
    """Parameters away from where they begin, so that none is zero."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: leaf + 0.3 * rng.normal(size=leaf.shape).astype(np.float32), params
    )


def forgetful(cell):
    """As `Policy.forget`."""

    def forget(carry, where):
        start = cells.initial_carry(cell, HIDDEN, where.shape)
        return jax.tree.map(
            lambda new, old: jnp.where(
                where.reshape(*where.shape, *(1,) * (old.ndim - where.ndim)), new, old
            ),
            start,
            carry,
        )

    return forget


def stepped(cell, carry, x, reset):
    forget = forgetful(cell)
    return jax.lax.scan(
        lambda carry, inputs: cell(forget(carry, inputs[1]), inputs[0]), carry, (x, reset)
    )


def inputs(length=LENGTH, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(length, BATCH, IN)).astype(np.float32)
    reset = rng.random((length, BATCH)) < 0.25
    reset[:, 0], reset[0] = False, [False, True, False]  # one without, and one from the start
    return x, reset


@functools.cache
def everything(name):
    """All that the tests look at, compiled once."""
    graph, fresh = built(name)
    rounded, _ = built(name, "bfloat16")
    policies = [disturbed(fresh, seed) for seed in range(2)]
    x, reset = inputs()
    earlier, _ = inputs(3, seed=1)

    def run(params):
        cell = nnx.merge(graph, params)
        start = cells.initial_carry(cell, HIDDEN, (BATCH,))
        start, _ = stepped(cell, start, earlier, np.zeros((3, BATCH), bool))
        return start, *stepped(cell, start, x, reset)

    def loss(params, length):
        cell = nnx.merge(graph, params)
        start = cells.initial_carry(cell, HIDDEN, (1,))
        long = inputs(length)[0][:, :1]
        _, y = stepped(cell, start, long, np.zeros((length, 1), bool))
        return jnp.square(y).mean()

    @jax.jit
    def compute(policies, fresh):
        starts, carries, outputs = jax.vmap(run)(jax.tree.map(lambda *p: jnp.stack(p), *policies))
        second = jax.tree.map(lambda leaf: leaf[1], (starts, carries, outputs))
        cell = nnx.merge(graph, policies[1])
        result = {
            "start": second[0],
            "stepped": second[1:],
            "bfloat16": stepped(nnx.merge(rounded, policies[1]), second[0], x, reset),
            "gradient": jax.grad(loss)(fresh, 512),
        }
        if name in PARALLEL:
            result["scanned"] = cell.scan(second[0], x, reset)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlstm, "CHUNK", 4)  # and chunks follow each other
        for module in (ffm, s5, shm):  # as on accelerators
            patch.setattr(module, "on_cpu", lambda: False)
        return jax.device_get(compute(policies, fresh))


def assert_close(one, other, atol=2e-5):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=atol, rtol=1e-4)


def test_the_names_are_known_before_jax_is_loaded():
    assert tuple(CELLS) == BUILT_IN


@pytest.mark.parametrize("name", PARALLEL)
def test_a_parallel_pass_is_the_steps(name):
    """From a carry that is not the initial one, with resets in the middle, of the second of two
    policies that stepped side by side."""
    results = everything(name)
    assert_close(results["scanned"], results["stepped"])


@pytest.mark.parametrize("steps", [3, 20])
def test_an_unrolled_loop_is_the_loop(monkeypatch, steps):
    """As on accelerators, with fewer and with more steps than are joined."""
    cell = nnx.merge(*built("gru"))
    carry = cells.initial_carry(cell, HIDDEN, (BATCH,))
    keys = jax.random.split(jax.random.key(0))
    x = jax.random.normal(keys[0], (steps, BATCH, IN))
    reset = jax.random.bernoulli(keys[1], 0.3, (steps, BATCH))
    monkeypatch.setattr(cells, "on_cpu", lambda: False)
    joined = cells.unroll(cell, carry, x, reset, forgetful(cell))
    assert_close(joined, stepped(cell, carry, x, reset))


def test_a_linear_recurrence_by_steps_is_that_by_associative_scan():
    rng, shape = np.random.default_rng(0), (LENGTH, BATCH, 2)
    decay, change = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    reset = inputs()[1]
    states = {
        way: jax.jit(linear_recurrence, static_argnums=4)(decay, change, change[0], reset, way)
        for way in (False, True)
    }
    np.testing.assert_allclose(states[True], states[False], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        states[True][2, 0], by_hand(decay, change, change[0], 3)[0], rtol=1e-4
    )


def by_hand(decay, change, state, steps):
    for step in range(steps):
        state = decay[step] * state + change[step]
    return state


@pytest.mark.parametrize("name", CELLS)
def test_gradients_through_512_steps_are_finite_and_reach_every_parameter(name):
    for leaf in jax.tree.leaves(everything(name)["gradient"]):
        assert np.isfinite(leaf).all() and (leaf.any() or name == "none")


@pytest.mark.parametrize("name", CELLS)
def test_bfloat16_rounds_products_and_not_the_carry(name):
    results = everything(name)
    (carry, y), (rounded, rounded_y) = results["stepped"], results["bfloat16"]
    assert y.dtype == np.float32 and np.abs(y).max() > 0.1
    for a, b in zip(jax.tree.leaves(carry), jax.tree.leaves(rounded), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
    assert 0 < np.abs(y - rounded_y).max() < 0.1


@functools.cache
def leduc():
    tree = games.load("leduc_poker")
    return tree, jax.tree.map(lambda leaf: leaf[0], levels(tree))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in ("xlstm", "gpt2", "dnc") else name
        for name in CELLS  # the longest to compile
    ],
)
def test_a_sequence_is_the_table(name):
    """Two ways through Leduc, one after the other, give the logits and values that tabulation
    gives at their info states."""
    tree, own = leduc()
    policy = policy_for(tree, cell=name, hidden_size=HIDDEN)
    params = disturbed(policy.init(jax.random.key(0)), 0) | {"temperature": np.float32(1)}
    rows = [np.random.default_rng(0).integers(len(own[-1].parent), size=(2, 8))]
    for level in own[:0:-1]:
        rows.insert(0, level.parent[rows[0]])  # [2, 8] at every depth

    def along_the_ways(field):
        by_level = [getattr(level, field)[at] for level, at in zip(own, rows, strict=True)]
        return np.concatenate(np.stack(by_level, axis=1))

    seen, last = along_the_ways("observation"), along_the_ways("last_action")
    reset = np.zeros(seen.shape[:2], bool)
    reset[len(own)] = True

    @jax.jit
    def compute(params):
        start = policy.initial_carry((8,))
        return policy.tabulate(params, own), policy.unroll(params, seen, last, reset, start)

    table, unrolled = compute(params)
    for by_level, sequence in zip(table, unrolled, strict=True):
        for way in range(2):
            for depth, at in enumerate(rows):
                np.testing.assert_allclose(
                    sequence[way * len(own) + depth], by_level[depth][at[way]], atol=3e-5, rtol=1e-4
                )


@pytest.mark.parametrize("name", CELLS)
def test_parameters_may_be_numpys(name):
    """As they are in a population, also where a traced function reads them as constants."""
    graph, fresh = built(name)
    cell = nnx.merge(graph, jax.tree.map(np.asarray, fresh))
    carry = cells.initial_carry(cell, HIDDEN, (BATCH,))
    x = np.zeros((BATCH, IN), np.float32)
    _, y = jax.eval_shape(lambda carry, x: cell(carry, x), carry, x)
    assert y.shape == (BATCH, HIDDEN)
