"""NashConv of one policy: `psro.exact` beside OpenSpiel's Python and C++, in one process.

For every game a uniform and a random tabular policy (Dirichlet(1) at every info state). All four
get the same probabilities, each in the form that it reads fastest, and all are given the game
already loaded:

    ours          realization plans of both behaviours, then `exact.exploitability`; the compiled
                  tree is kept, and what compiling it takes once is in a column of its own
    C++, kept     `pyspiel.TabularBestResponse`, which keeps its tree as ours does, one a player,
                  given the new policy, plus `pyspiel.expected_returns`
    C++           `pyspiel.nash_conv` of a `pyspiel.TabularPolicy`; builds its tree on every call
    Python        `open_spiel.python.algorithms.exploitability.nash_conv` of a `TabularPolicy`

A time is the least of several calls, as many as fit into `--seconds` but for the first: what the
machine takes when nothing else disturbs it. CPU seconds are of the same calls, all threads.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import pyspiel
from open_spiel.python import policy as openspiel_policy
from open_spiel.python.algorithms import exploitability as openspiel_exploitability

import games
from games.readers.openspiel import load_openspiel
from psro import exact

GAMES = (
    "kuhn_poker",
    "leduc_poker",
    "liars_dice(numdice=1)",
    "goofspiel(imp_info=True,num_cards=4,points_order=descending)",
)


def least(function: Callable[[], float], seconds: float) -> tuple[float, float, float]:
    """Its value, and the least wall and CPU seconds of one call."""
    walls, cpus, end = [], [], time.perf_counter() + seconds
    while not walls or time.perf_counter() < end:
        wall, cpu = time.perf_counter(), time.process_time()
        value = function()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return value, min(walls), min(cpus)


def random_behaviour(player: games.PlayerTree, generator: np.random.Generator) -> np.ndarray:
    """Action probabilities uniform on the simplex at every info state, `[S]`."""
    weight = generator.exponential(size=player.num_sequences)
    total = np.bincount(player.info_state[1:], weights=weight[1:])
    return np.concatenate([[1.0], weight[1:] / total[player.info_state[1:]]])


def ways(
    tree: games.GameTree, game: pyspiel.Game, behaviours: list[np.ndarray]
) -> dict[str, Callable[[], float]]:
    """The four, each a function that computes the NashConv of `behaviours`, `[S_p]` a player."""
    python = openspiel_policy.tabular_policy_from_callable(
        game, games.TreePolicy(tree, dict(enumerate(behaviours)))
    )
    cpp = openspiel_policy.python_policy_to_pyspiel_policy(python)
    responses = [
        pyspiel.TabularBestResponse(game, player, cpp) for player in range(game.num_players())
    ]
    root = game.new_initial_state()

    def ours() -> float:
        plans = [
            exact.realization_plan(player, behaviour)
            for player, behaviour in zip(tree.players, behaviours, strict=True)
        ]
        return exact.exploitability(tree, plans).nash_conv

    def kept() -> float:
        for response in responses:
            response.set_policy(cpp)
        best = [response.value_from_state(root) for response in responses]
        return sum(best) - sum(pyspiel.expected_returns(root, cpp, -1, True))

    return {
        "ours": ours,
        "C++, kept": kept,
        "C++": lambda: pyspiel.nash_conv(game, cpp),
        "Python": lambda: openspiel_exploitability.nash_conv(game, python),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--games", nargs="+", default=GAMES, metavar="GAME")
    parser.add_argument("--seconds", type=float, default=2.0, help="of every measurement, at most")
    parser.add_argument("--seed", type=int, default=0, help="of the random policy")
    arguments = parser.parse_args()
    print(
        "| game | histories | compiled once, s | policy | NashConv | greatest difference | way | "
        "wall, ms | CPU, ms | CPU times ours |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in arguments.games:
        start = time.process_time()
        tree = games.load(name)
        compiled = time.process_time() - start
        uniform = [exact.uniform_behaviour(player) for player in tree.players]
        generator = np.random.default_rng(arguments.seed)
        random = [random_behaviour(player, generator) for player in tree.players]
        for which, behaviours in (("uniform", uniform), ("random", random)):
            measured = {
                way: least(function, arguments.seconds)
                for way, function in ways(tree, load_openspiel(name), behaviours).items()
            }
            value, _, cpu_of_ours = measured["ours"]
            difference = max(abs(value - theirs) for theirs, *_ in measured.values())
            for way, (_, wall, cpu) in measured.items():
                print(
                    f"| {name} | {tree.num_histories:,} | {compiled:.2f} | {which} | {value:.6f} | "
                    f"{difference:.0e} | {way} | {1e3 * wall:.2f} | {1e3 * cpu:.2f} | "
                    f"{cpu / cpu_of_ours:,.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
