"""The most memory of one iteration late in a long run, in a game that nobody can enumerate.

    python experiments/sampled/memory.py [--game phantom_ttt] [--policies 100] [--hidden-size 256]

Each player's population is filled with untrained policies; their number and their sizes are those
of a long run. Then the last policies' payoffs are measured, and one best response for each player
trains against even mixtures of all, with the settings of a run but for the number of decisions.
"""

from __future__ import annotations

import argparse
import resource
import time

import jax
import numpy as np

from psro.metagame.meta_game import MetaGame
from psro.oracles import PPOConfig
from psro.oracles.base import Jobs
from psro.policies.population import Population
from psro.runs.config import RunConfig
from psro.runs.setup import Setup


def gigabytes() -> float:
    """The most memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def filled(setup: Setup, size: int) -> Population:
    """A population of `size` untrained policies for each player."""
    population = Population.empty(setup.capacity)
    for number in range(size):
        keys = jax.random.split(jax.random.key(number), setup.rules.num_players)
        population = population.add(setup.policy.init_many(keys))
    return population


def report(part: str, start: float) -> None:
    print(f"{part}: {time.process_time() - start:.0f} CPU s, {gigabytes():.2f} GB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--game", default="phantom_ttt")
    parser.add_argument("--policies", type=int, default=100, help="of each player")
    parser.add_argument("--hidden-size", type=int, default=256)
    parser.add_argument("--decisions", type=int, default=16_384)
    given = parser.parse_args()
    config = RunConfig(
        game=given.game,
        evaluation="sampled",
        iterations=given.policies - 1,
        hidden_size=given.hidden_size,
        payoff_episodes=128,
        ppo=PPOConfig(decisions=given.decisions, evaluations=1),
    )
    start = time.process_time()
    setup = Setup(config, given.game)
    population, players = filled(setup, given.policies), setup.rules.num_players
    last = population.size - 1
    report(f"{population.size} policies of {given.hidden_size} units for each player", start)
    known = MetaGame(
        payoffs=np.zeros((players, *(last,) * players)),
        standard_error=np.zeros((players, *(last,) * players)),
        episodes=np.zeros((last,) * players, np.int64),
    )
    setup.evaluator.put(known, population, [last], jax.random.key(1), lambda part: None)
    report(f"payoffs of policies number {last}", start)
    even = np.zeros((setup.capacity,) * (players - 1))
    even[(slice(population.size),) * (players - 1)] = population.size ** (1 - players)
    results = setup.oracle(
        Jobs.of_one_run(
            jax.random.key(2),
            player=np.arange(players),
            initial=population.members[last],
            populations=population.params,
            opponents=np.stack([even] * players),
        )
    )
    jax.block_until_ready(results.params)
    report("a best response for each player", start)


if __name__ == "__main__":
    main()
