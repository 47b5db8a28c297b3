"""Seconds of the exact measures: the game's value by linear program, CFR+, the least exploitable
mixture of a population, gaps of a joint meta-strategy.

    python experiments/speed/measures.py --policies 100 --cfr 1000

Two populations of each player: best responses of fictitious play, which are sparse, and random
policies, which reach every info state and are the program's worst case. CPU seconds are of all
threads; one call of each.
"""

import argparse
import itertools
import time
from collections.abc import Callable

import numpy as np

import games
from psro import exact
from psro.exact import sequence_form
from psro.exact.cfr import cfr_plus
from psro.metagame import joint_gaps
from psro.metagame.exact_meta_game import ExactMetaGame
from psro.metagame.strategy import MetaStrategy

GAMES = ("kuhn_poker", "leduc_poker", "liars_dice(numdice=1)")


def fictitious_play(tree: games.GameTree, count: int) -> list[np.ndarray]:
    """`count` policies a player: uniform play, then best responses to the average so far."""
    plans = [
        [exact.realization_plan(player, exact.uniform_behaviour(player))] for player in tree.players
    ]
    for _ in range(count - 1):
        average = [np.mean(each, axis=0) for each in plans]
        for p in range(tree.num_players):
            plans[p].append(exact.best_response(tree, p, average).plan)
    return [np.stack(each) for each in plans]


def random_policies(tree: games.GameTree, count: int) -> list[np.ndarray]:
    """`count` policies a player, uniform on the simplex at every info state."""
    generator = np.random.default_rng(0)
    result = []
    for player in tree.players:
        weight = generator.exponential(size=(count, player.num_sequences))
        total = np.add.reduceat(weight, player.first_sequence[:-1], axis=1)
        behaviours = np.ones_like(weight)
        behaviours[:, 1:] = weight[:, 1:] / total[:, player.info_state[1:]]
        result.append(exact.realization_plan(player, behaviours))
    return result


def timed(label: str, function: Callable[[], str]) -> None:
    """Prints what the function reports, and its wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    said = function()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"  {label:<34} {wall:9.3f} s, {cpu:9.3f} s of CPU   {said}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--games", nargs="+", default=GAMES)
    parser.add_argument("--policies", type=int, default=100, help="policies a player")
    parser.add_argument("--cfr", type=int, default=1000, help="iterations of CFR+")
    arguments = parser.parse_args()
    for name in arguments.games:
        tree = games.load(name)
        print(name)

        def program(tree=tree) -> str:
            found = sequence_form.equilibrium(tree)
            return f"value {found.value[0]:.10f}, NashConv {found.nash_conv:.1e}"

        def cfr(tree=tree) -> str:
            plans = next(itertools.islice(cfr_plus(tree), arguments.cfr - 1, None))
            measured = exact.exploitability(tree, plans)
            return f"value {measured.value[0]:.7f}, exploitability {measured.exploitability:.1e}"

        timed("value by linear program", program)
        timed(f"{arguments.cfr} iterations of CFR+", cfr)
        for kind, make in {"best responses": fictitious_play, "random": random_policies}.items():
            plans = make(tree, arguments.policies)
            meta_game = ExactMetaGame.of(tree, plans)
            joint = np.random.default_rng(0).dirichlet(np.ones(meta_game.payoffs[0].size))
            strategy = MetaStrategy.of(joint.reshape(meta_game.payoffs[0].shape))

            def population(tree=tree, plans=plans) -> str:
                found = sequence_form.population_exploitability(tree, plans).measured
                return f"exploitability {found.exploitability:.6f}"

            def coarse(meta_game=meta_game, strategy=strategy) -> str:
                gap = joint_gaps.coarse_correlated_gap(meta_game, strategy).gap
                return f"gap {gap:.6f}"

            def fine(meta_game=meta_game, strategy=strategy) -> str:
                return f"gap {joint_gaps.correlated_gap(meta_game, strategy).gap:.6f}"

            timed(f"population of {arguments.policies}, {kind}", population)
            timed("  CCE gap of a random joint", coarse)
            timed("  CE gap of a random joint", fine)


if __name__ == "__main__":
    main()
