"""Uniform play measured exactly in games in the dark, 10^2 to 3·10^10 histories: what it takes.

    python experiments/large/uniform.py            # boards up to phantom tic-tac-toe and dark hex
    python experiments/large/uniform.py --abrupt   # also the two abrupt games

CPU seconds are of all threads of this process.
"""

from __future__ import annotations

import argparse
import resource
import time

from games.walked import walked_rules
from games.walked.tree import WalkedTree
from psro import exact
from psro.measure import simple_play

GAMES = [
    "dark_hex(num_rows=2,num_cols=2)",
    "dark_hex(num_rows=2,num_cols=3)",
    "dark_hex(num_rows=2,num_cols=4)",
    "phantom_ttt",
    "dark_hex(board_size=3)",
]
ABRUPT = ["phantom_ttt(gameversion=abrupt)", "dark_hex(board_size=3,gameversion=adh)"]
COLUMNS = (
    "game", "histories", "info states", "value", "best 0", "best 1", "exploitability",
    "build CPU s", "walk CPU s", "wall s", "10^9 histories/CPU s", "form GB", "peak GB",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--abrupt", action="store_true", help="also the two large abrupt games")
    names = GAMES + ABRUPT * parser.parse_args().abrupt
    small = WalkedTree.of(walked_rules("dark_hex(num_rows=2,num_cols=2,gameversion=adh)"))
    small.walk(simple_play.uniform(small))  # loads compiled code
    print("\t".join(COLUMNS))
    for name in names:
        begin = time.process_time()
        form = WalkedTree.of(walked_rules(name))
        built = time.process_time() - begin
        plans = simple_play.uniform(form)
        cpu, wall = time.process_time(), time.perf_counter()
        gains = form.walk(plans)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        value = gains[0] @ plans[0]
        best = list(map(exact.best_response_value, form.players, gains))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{name}\t{form.num_histories}\t{form.num_info_states}\t"
            f"{value:.6f}\t{best[0]:.6f}\t{best[1]:.6f}\t{sum(best) / 2:.6f}\t"
            f"{built:.2f}\t{cpu:.4f}\t{wall:.2f}\t"
            f"{form.num_histories / cpu / 1e9:.3f}\t{form.nbytes / 1e9:.3f}\t{peak:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
