"""How far is PPO from this machine's arithmetic? Floating-point operations against the matrix rate.

    python experiments/speed/floor.py
    python experiments/speed/floor.py --jobs 1 8 64 --hidden-sizes 64 256 --dtypes float32 bfloat16

The floor of a decision is the network's multiplications in rollout (the learner's step, and the
opponents' steps while it waits: as many moves as the others make) and in the update (forward and
backward, three times a forward pass, in every epoch), at the rate of a large matrix product of the
same type in this process. bfloat16 is for accelerators: a CPU only imitates it. Seconds are CPU
seconds of all threads on a CPU and wall seconds on an accelerator, compilation excluded. A call is
the oracle's part of one iteration, for all jobs.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np

import games
from games.tree_game import TreeGame
from psro import exact
from psro.oracles import PPO, ExactView, Jobs, PPOConfig
from psro.policies.networks import DTYPES
from psro.policies.policy import Policy


def seconds() -> float:
    on_cpu = jax.devices()[0].platform == "cpu"
    return time.process_time() if on_cpu else time.perf_counter()


def matrix_rate(dtype: str) -> float:
    """Floating-point operations per second of a product."""
    size = 2048 if jax.devices()[0].platform == "cpu" else 8192
    a = jnp.ones((size, size), dtype)
    product = jax.jit(lambda a: a @ a)
    product(a).block_until_ready()
    start = seconds()
    for _ in range(5):
        product(a).block_until_ready()
    return 5 * 2 * size**3 / (seconds() - start)


def forward_operations(inputs: int, hidden: int, actions: int, cell: str) -> int:
    """Of one decision: encoder, cell, heads; a multiplication and an addition are two."""
    gates = {"lstm": 4, "gru": 3}[cell]
    return 2 * ((inputs + actions) * hidden + gates * 2 * hidden * hidden + hidden * (actions + 1))


def measure(
    tree: games.GameTree, *, cell: str, hidden_size: int, dtype: str, num_jobs: int, decisions: int
) -> tuple[float, float, float]:
    """The learners' decisions per second, the floor's, and the seconds of a call."""
    policy = Policy(
        observation_space=tree.observation_space,
        action_space=tree.action_space,
        hidden_size=hidden_size,
        cell=cell,
        dtype=dtype,
    )
    config = PPOConfig(decisions=decisions)
    oracle = PPO(TreeGame(tree), policy, config)
    plans = [exact.realization_plan(each, exact.uniform_behaviour(each)) for each in tree.players]
    players = np.arange(num_jobs, dtype=np.int32) % 2
    gains, reach = zip(*(exact.gains_and_reach(tree, p, plans) for p in players), strict=True)
    members = policy.init_many(jax.random.split(jax.random.key(0), 2))
    jobs = Jobs.of_one_run(
        jax.random.key(0),
        player=players,
        initial=jax.tree.map(lambda leaf: leaf[players], members),
        populations=jax.tree.map(lambda leaf: leaf[:, None], members),
        opponents=np.ones((num_jobs, 1)),
        exact=ExactView(gains=gains, reach=reach, mixture=None, bonus=None),
    )
    oracle(jobs)  # compiles
    start = seconds()
    results = oracle(jobs)
    took = seconds() - start
    forward = forward_operations(tree.observation_size, hidden_size, tree.num_actions, cell)
    floor = matrix_rate(dtype) / (forward * (2 + 3 * config.epochs))
    return results.decisions.sum() / took, floor, took


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--game", default="leduc_poker", help="of two players")
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--hidden-sizes", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--dtypes", nargs="+", default=["float32"], choices=DTYPES)
    parser.add_argument("--jobs", type=int, nargs="+", default=[2])
    parser.add_argument("--decisions", type=int, default=65_536, help="of each job")
    arguments = parser.parse_args()
    tree = games.load(arguments.game)
    print(f"{jax.devices()[0].device_kind}, {arguments.game}, {arguments.cell}")
    print("| jobs | hidden | dtype | decisions per s | floor's | of the floor | s per call |")
    print("|---|---|---|---|---|---|---|")
    for dtype in arguments.dtypes:
        for hidden_size in arguments.hidden_sizes:
            for num_jobs in arguments.jobs:
                rate, floor, took = measure(
                    tree,
                    cell=arguments.cell,
                    hidden_size=hidden_size,
                    dtype=dtype,
                    num_jobs=num_jobs,
                    decisions=arguments.decisions,
                )
                print(
                    f"| {num_jobs} | {hidden_size} | {dtype} | {rate:,.0f} | {floor:,.0f} | "
                    f"{rate / floor:.0%} | {took:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
