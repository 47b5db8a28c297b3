"""CPU seconds (user and system) from typing a command to its end, on a saved run on Kuhn poker.

With `--peer PATH`, the root of another checkout of this repository, each command runs in both in
turn, and the ratio of the medians is printed.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def commands(run: Path, picture: Path) -> dict[str, list[str]]:
    """Arguments of Python, by what a person would call it."""
    return {
        "psro --help": ["-m", "psro", "--help"],
        "psro runn": ["-m", "psro", "runn"],
        "import psro": ["-c", "import psro"],
        "psro.run, not called": ["-c", "import psro; psro.run"],
        "psro eval": ["-m", "psro", "eval", str(run)],
        "psro plot": ["-m", "psro", "plot", str(run), "--out", str(picture)],
    }


def cpu_seconds(arguments: list[str], checkout: Path) -> float:
    """User and system seconds of one process that imports the package from a checkout."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="root of another checkout")
    parser.add_argument("--times", type=int, default=5, help="runs of each command")
    arguments = parser.parse_args()
    checkouts = [ROOT, *([arguments.peer.resolve()] if arguments.peer else [])]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        made = ["-m", "psro", "run", "--oracle", "best_response", "--iterations", "4"]
        cpu_seconds([*made, "--out", str(run)], checkouts[-1])  # which both can read
        print("| command | CPU seconds |" + (" peer | ratio |" if arguments.peer else ""))
        print("|---|---|" + ("---|---|" if arguments.peer else ""))
        for name, typed in commands(run, Path(folder) / "curve.png").items():
            seconds: list[list[float]] = [[] for _ in checkouts]
            for _ in range(arguments.times):
                for taken, checkout in zip(seconds, checkouts, strict=True):
                    taken.append(cpu_seconds(typed, checkout))
            own, *peer = map(statistics.median, seconds)
            beside = f" {peer[0]:.2f} | {own / peer[0]:.2f} |" if peer else ""
            print(f"| {name} | {own:.2f} |{beside}", flush=True)


if __name__ == "__main__":
    main()
