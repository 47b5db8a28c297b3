"""Extensive-form double oracle with exact best responses (McAleer et al. 2021, arXiv:2103.06426):
exploitability and CPU seconds by iteration.

    python experiments/xdo.py --game leduc_poker [--method linear_program] [--iterations 200]

Every iteration solves the game that is restricted to the actions which earlier best responses play,
and adds both players' best responses to that equilibrium; the first are to uniform play.
"""

import argparse
import time

import games
from psro import exact
from psro.restricted_game import allowed, solve


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--game", default="leduc_poker")
    parser.add_argument("--method", default="auto", choices=["auto", "linear_program", "cfr_plus"])
    parser.add_argument("--precision", type=float, default=1e-3, help="of CFR+: NashConv")
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--tolerance", type=float, default=1e-6, help="exploitability to stop at")
    arguments = parser.parse_args()
    tree = games.load(arguments.game)
    plans = [
        exact.realization_plan(player, exact.uniform_behaviour(player)) for player in tree.players
    ]
    masks = None
    start = time.process_time()
    print("iteration exploitability restricted_nash_conv info_states terminals method cpu_seconds")
    for iteration in range(1, arguments.iterations + 1):
        added = [
            allowed(player, exact.best_response(tree, p, plans).plan[None])
            for p, player in enumerate(tree.players)
        ]
        masks = (
            added if masks is None else [old | new for old, new in zip(masks, added, strict=True)]
        )
        solution = solve(tree, masks, method=arguments.method, precision=arguments.precision)
        plans = solution.plans
        exploitability = exact.exploitability(tree, plans).exploitability
        smaller = solution.restricted.tree
        print(
            f"{iteration} {exploitability:.3g} {solution.measured.nash_conv:.3g} "
            f"{smaller.num_info_states} {smaller.num_terminals} {solution.method} "
            f"{time.process_time() - start:.2f}",
            flush=True,
        )
        if exploitability < arguments.tolerance:
            break
    print(f"the whole game has {tree.num_info_states} info states, {tree.num_terminals} terminals")


if __name__ == "__main__":
    main()
