"""What the memory cells cost on a CPU: a table, in the order of `CELLS`, with lstm as the measure.

For every cell: numbers in a carry and parameters of the cell; CPU microseconds for a step of one
environment (of 64 side by side), and for each decision of a training pass (loss of PPO, forward and
backward, sequences of 64 by 64 environments, as `Policy.unroll` does it); and how many times faster
the parallel pass trains than steps do, on 4,096 decisions in sequences of 8, 64 and 512.

CPU seconds of all threads, the least of `--repeats` runs, compiled before.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from games.spaces import Box, Discrete
from psro.policies.distributions import log_probabilities
from psro.policies.networks import CELLS
from psro.policies.policy import Params, Policy

OBSERVATIONS, ACTIONS = 24, 4
ENVS = 64
DECISIONS = 4_096
LENGTHS = (8, 64, 512)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cells", nargs="*", default=[*CELLS], help="names; by default all")
    parser.add_argument("--hidden-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    print(f"hidden size {arguments.hidden_size}, {jax.devices()[0].device_kind}")
    gains = "".join(f" | gain at {length}" for length in LENGTHS)
    print(f"| cell | carry | parameters | us / acting step | us / trained decision{gains} |")
    print("|---" * (5 + len(LENGTHS)) + "|")
    for name in arguments.cells:
        row = measured(name, arguments.hidden_size, arguments.repeats)
        print("| " + " | ".join([name, *row]) + " |", flush=True)


def measured(name: str, hidden_size: int, repeats: int) -> list[str]:
    """A cell's row."""
    policy = Policy(
        observation_space=Box((OBSERVATIONS,)),
        action_space=Discrete(ACTIONS),
        hidden_size=hidden_size,
        cell=name,
    )
    params = jax.jit(policy.init)(jax.random.key(0))
    carry = sum(
        leaf.size * (1 + np.iscomplexobj(leaf)) for leaf in jax.tree.leaves(policy.initial_carry())
    )
    size = sum(leaf.size for leaf in jax.tree.leaves(params.get("cell", {})))
    gains = []
    for length in LENGTHS:
        if not hasattr(CELLS[name], "scan"):
            gains.append("")
            continue
        with trained_by_scan(name, False):
            steps = training(policy, params, length, repeats)
        with trained_by_scan(name, True):
            gains.append(f"{steps / training(policy, params, length, repeats):.2f}")
    acting_step, trained = acting(policy, params, repeats), training(policy, params, 64, repeats)
    return [f"{carry:,}", f"{size:,}", f"{acting_step:.2f}", f"{trained:.2f}", *gains]


@contextlib.contextmanager
def trained_by_scan(name: str, parallel: bool) -> Iterator[None]:
    """Sequences of any length are trained by the parallel pass, or by steps."""
    cell = CELLS[name]
    before, cell.parallel_from = cell.parallel_from, 1 if parallel else float("inf")
    yield
    cell.parallel_from = before


def cpu_seconds(function: Callable[..., Any], *arguments: Any, repeats: int) -> float:
    """The least of `repeats` calls, after one that compiles."""
    least = float("inf")
    jax.block_until_ready(function(*arguments))
    for _ in range(repeats):
        start = time.process_time()
        jax.block_until_ready(function(*arguments))
        least = min(least, time.process_time() - start)
    return least


def acting(policy: Policy, params: Params, repeats: int) -> float:
    """Microseconds for a step of one environment: 100 steps of all, one after the other."""
    seen = np.random.default_rng(0).normal(size=(100, ENVS, OBSERVATIONS)).astype(np.float32)

    @jax.jit
    def act(params: Params, seen: jax.Array) -> tuple[Any, jax.Array]:
        def step(carry: tuple[Any, jax.Array], seen: jax.Array):
            memory, last = carry
            logits, value, memory = policy(params, seen, last, memory)
            return (memory, logits.argmax(axis=-1).astype(jnp.int32)), value

        start = policy.initial_carry((ENVS,)), jnp.full(ENVS, -1, jnp.int32)
        return jax.lax.scan(step, start, seen)

    return 1e6 * cpu_seconds(act, params, seen, repeats=repeats) / (100 * ENVS)


def training(policy: Policy, params: Params, length: int, repeats: int) -> float:
    """Microseconds for each decision of PPO's loss and its gradient."""
    rng, envs = np.random.default_rng(0), DECISIONS // length
    shape = length, envs
    batch = {
        "observation": rng.normal(size=(*shape, OBSERVATIONS)).astype(np.float32),
        "action": rng.integers(ACTIONS, size=shape).astype(np.int32),
        "advantage": rng.normal(size=shape).astype(np.float32),
        "reset": rng.random(shape) < 0.05,
    }

    @jax.jit
    def gradient(params: Params, batch: dict[str, jax.Array]) -> Params:
        last = jnp.concatenate([jnp.full((1, envs), -1, jnp.int32), batch["action"][:-1]])
        carry = policy.initial_carry((envs,))

        def loss(params: Params) -> jax.Array:
            logits, value = policy.unroll(params, batch["observation"], last, batch["reset"], carry)
            log_pi = log_probabilities(logits, jnp.ones(logits.shape, bool))
            taken = jnp.take_along_axis(log_pi, batch["action"][..., None], axis=-1)[..., 0]
            ratio = jnp.exp(taken - jax.lax.stop_gradient(taken))
            clipped = jnp.clip(ratio, 0.8, 1.2)
            advantage = batch["advantage"]
            surrogate = jnp.minimum(ratio * advantage, clipped * advantage)
            entropy = -(jnp.exp(log_pi) * log_pi).sum(axis=-1)
            return (0.5 * jnp.square(value - advantage) - surrogate - 0.01 * entropy).mean()

        return jax.grad(loss)(params)

    return 1e6 * cpu_seconds(gradient, params, batch, repeats=repeats) / DECISIONS


if __name__ == "__main__":
    main()
