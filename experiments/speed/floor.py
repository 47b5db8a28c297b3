"""How far is PPO from this machine's arithmetic? Floating-point operations against the matrix rate.

The floor of a decision is the network's multiplications in rollout (the learner's step, and the
opponents' steps while it waits: as many moves as the others make) and in the update (forward and
backward, three times a forward pass, in every epoch), at the rate of a large float32 matrix product
in this process. The rate measured divides decisions by CPU seconds, compilation excluded.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np

import games
from games.tree_game import TreeGame
from psro import exact
from psro.oracles import PPO, Jobs, PPOConfig
from psro.policy import Policy


def matrix_rate(size: int = 2048) -> float:
    """Floating-point operations per CPU second of a float32 product."""
    a = jnp.ones((size, size))
    product = jax.jit(lambda a: a @ a)
    product(a).block_until_ready()
    start = time.process_time()
    for _ in range(5):
        product(a).block_until_ready()
    return 5 * 2 * size**3 / (time.process_time() - start)


def forward_operations(inputs: int, hidden: int, actions: int, cell: str) -> int:
    """Of one decision: encoder, cell, heads; a multiplication and an addition are two."""
    gates = {"lstm": 4, "gru": 3}[cell]
    return 2 * ((inputs + actions) * hidden + gates * 2 * hidden * hidden + hidden * (actions + 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--game", default="leduc_poker")
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--hidden-sizes", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--decisions", type=int, default=65_536)
    arguments = parser.parse_args()
    tree = games.load(arguments.game)
    plans = [exact.realization_plan(each, exact.uniform_behaviour(each)) for each in tree.players]
    print("| hidden | decisions per CPU s | floor's | of the floor | GF/s of products |")
    print("|---|---|---|---|---|")
    for hidden in arguments.hidden_sizes:
        policy = Policy(
            observation_size=tree.observation_size,
            num_actions=tree.num_actions,
            hidden_size=hidden,
            cell=arguments.cell,
        )
        config = PPOConfig(decisions=arguments.decisions)
        oracle = PPO(TreeGame(tree), policy, config)
        members = policy.init_many(jax.random.split(jax.random.key(0), 2))
        gains, reach = zip(*(exact.gains_and_reach(tree, p, plans) for p in range(2)), strict=True)
        jobs = Jobs(
            player=jnp.arange(2, dtype=jnp.int32),
            initial=members,
            populations=jax.tree.map(lambda leaf: leaf[:, None], members),
            opponents=np.ones((2, 1)),
            gains=gains,
            reach=reach,
        )
        jax.block_until_ready(oracle(jax.random.key(0), jobs).params)
        start = time.process_time()
        results = oracle(jax.random.key(1), jobs)
        jax.block_until_ready(results.params)
        measured = results.decisions.sum() / (time.process_time() - start)
        rate = matrix_rate()
        forward = forward_operations(
            tree.observation_size, hidden, tree.num_actions, arguments.cell
        )
        floor = rate / (forward * (2 + 3 * config.epochs))
        print(
            f"| {hidden} | {measured:,.0f} | {floor:,.0f} | {measured / floor:.0%} | "
            f"{rate / 1e9:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
