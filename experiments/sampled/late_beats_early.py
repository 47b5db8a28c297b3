"""Late populations against early ones of one run, by episodes: late ones should win.

    psro run --game phantom_ttt --out phantom
    python experiments/sampled/late_beats_early.py phantom

Each part of the populations plays the meta-strategy of its own meta-game, in every seat. The line
of each later part has its mean return over the seats against the first part, with its 95 %
interval.
"""

from __future__ import annotations

import argparse
import time

import psro
from psro.measure.cross_play import between_members
from psro.training.record import QUANTILE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="+", help="sampled or exact runs of networks")
    parser.add_argument("--early", type=int, default=2, help="policies of the first part")
    parser.add_argument("--steps", type=int, default=2, help="how many later parts")
    parser.add_argument("--episodes", type=int, default=16_384, help="of each seating")
    given = parser.parse_args()
    for folder in given.folder:
        run, start = psro.load(folder), time.process_time()
        size = run.meta_game.size
        if size <= given.early:
            parser.error(f"{folder} has {size} policies for each player, --early must be less")
        sizes = {
            given.early + (size - given.early) * step // given.steps
            for step in range(1, given.steps + 1)
        }
        for later in sorted(sizes - {given.early}):
            played = between_members(run, range(given.early), range(later), episodes=given.episodes)
            mean, half = played.average[1, 0], QUANTILE * played.average_error[1, 0]
            verdict = "wins" if mean > half else "loses" if mean < -half else "is not told apart"
            print(
                f"{run.config.game}, seed {run.config.seed}: the mixture of the first {later} "
                f"policies against that of the first {given.early}: {mean:+.4f} ± {half:.4f}, it "
                f"{verdict}",
                flush=True,
            )
        print(f"  {time.process_time() - start:.0f} CPU s")


if __name__ == "__main__":
    main()
