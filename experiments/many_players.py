"""Many players and general-sum payoffs: the exact CCE gap by iteration, for exact best responses
and for recurrent PPO, on five games.

    python experiments/many_players.py [--oracles best_response ppo] [--iterations 40]

The meta-solver is the coarse correlated equilibrium of the largest Gini impurity (JPSRO, Marris et
al. 2021). With exact best responses the gap falls to zero when none of them gains any more.
"""

import argparse
import tempfile
import time
from pathlib import Path

import psro

GAMES = (
    "kuhn_poker(players=3)",
    "tiny_hanabi",
    "matrix_bos",
    "goofspiel(players=3,num_cards=3,imp_info=True,points_order=descending)",
    "sheriff",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--oracles", nargs="+", default=["best_response", "ppo"])
    parser.add_argument("--games", nargs="+", default=GAMES)
    parser.add_argument("--meta-solver", default="mgcce")
    parser.add_argument("--iterations", type=int, default=40)
    arguments = parser.parse_args()
    for oracle in arguments.oracles:
        for game in arguments.games:
            start = time.process_time()
            with tempfile.TemporaryDirectory() as folder:
                run = psro.run(
                    psro.RunConfig(
                        game=game,
                        oracle=oracle,
                        meta_solver=arguments.meta_solver,
                        iterations=arguments.iterations,
                        patience=arguments.iterations,
                    ),
                    Path(folder) / "run",
                )
            gaps = " ".join(f"{record.distance:.3g}" for record in run.records)
            print(
                f"{game}, {oracle}, {run.concept} gap: {gaps} ({run.ended} after "
                f"{run.records[-1].iteration} iterations, {time.process_time() - start:.0f} CPU s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
