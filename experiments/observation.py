"""Information-state tensor or observation tensor as the policy's input?

Best responses by PPO with default settings, but for the number of decisions, against fixed
opponents: networks with random, opinionated preferences, drawn anew for each input and seed. The
share of the exact gain is
(achieved - before) / (best response - before), before being the untrained network.
"""

import argparse
import time

import jax
import numpy as np
import pandas as pd

import games
from games.tree_game import TreeGame
from psro import exact
from psro.oracles import PPO, ExactView, Jobs, PPOConfig
from psro.policies.policy import Policy, Tabulator, at_temperature

GAMES = ("kuhn_poker", "leduc_poker", "liars_dice(numdice=1)")


def measure(name: str, observation: str, seeds: int, decisions: int) -> pd.DataFrame:
    tree = games.load(name, observation=observation)
    policy = Policy(
        observation_space=tree.observation_space,
        action_space=tree.action_space,
        hidden_size=32,
        cell="lstm",
    )
    tabulate = Tabulator(policy, tree)
    oracle = PPO(TreeGame(tree), policy, PPOConfig(decisions=decisions))

    rows = []
    for seed in range(seeds):
        keys = jax.random.split(jax.random.key(seed), 4)
        opponents = at_temperature(policy.init_many(keys[:2]), 0.02)
        initial = policy.init_many(keys[2:])
        plans = [
            exact.realization_plan(player, behaviour)
            for player, behaviour in zip(tree.players, tabulate(opponents), strict=True)
        ]
        gains, reach = zip(*(exact.gains_and_reach(tree, p, plans) for p in range(2)), strict=True)
        jobs = Jobs.of_one_run(
            jax.random.key(100 + seed),
            player=np.arange(2),
            initial=initial,
            populations=jax.tree.map(lambda leaf: leaf[:, None], opponents),
            opponents=np.ones((2, 1)),
            exact=ExactView(gains=gains, reach=reach, mixture=[plans] * 2, bonus=None),
        )

        def values(params, gains=gains):
            return [
                gain @ exact.realization_plan(player, behaviour)
                for gain, player, behaviour in zip(
                    gains, tree.players, tabulate(params), strict=True
                )
            ]

        start = time.perf_counter()
        results = oracle(jobs)
        seconds = time.perf_counter() - start
        before, achieved = values(initial), values(results.params)
        best = [exact.best_response_to(tree.players[p], gains[p]).value for p in range(2)]
        for p in range(2):
            rows.append(
                {
                    "game": name,
                    "observation": observation,
                    "inputs": tree.observation_size,
                    "seed": seed,
                    "player": p,
                    "share": (achieved[p] - before[p]) / (best[p] - before[p]),
                    "seconds": seconds,
                }
            )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--decisions", type=int, default=65_536)
    parser.add_argument("--games", nargs="+", default=GAMES)
    arguments = parser.parse_args()
    print("| game | input | entries | share of the exact gain: mean ± standard error | least |")
    print("|---|---|---|---|---|")
    for name in arguments.games:
        for observation in games.OBSERVATIONS:
            share = measure(name, observation, arguments.seeds, arguments.decisions)
            inputs, share = share["inputs"].iloc[0], share["share"]
            print(
                f"| {name} | {observation} | {inputs} | {share.mean():.4f} ± "
                f"{share.std() / np.sqrt(len(share)):.4f} | {share.min():.4f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
