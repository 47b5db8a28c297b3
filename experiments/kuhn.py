"""Kuhn with default settings: exploitability by iteration for seeds 0 to 4, and wall time.

The first run starts from an empty compilation cache, the others from the one that it filled.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

TARGET = 0.005


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **{k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"},
            "XDG_CACHE_HOME": folder,
        }
        print("| seed | cache | seconds | at most 0.005 from iteration | last | by iteration |")
        print("|---|---|---|---|---|---|")
        for number, seed in enumerate((0, 0, 1, 2, 3, 4)):
            out = Path(folder) / f"run-{number}"
            command = [
                Path(sys.executable).parent / "psro",
                *("run", "--game", "kuhn_poker", "--seed", str(seed), "--out", str(out)),
            ]
            start = time.perf_counter()
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
            seconds = time.perf_counter() - start
            curve = pd.read_csv(out / "metrics.csv")["exploitability"]
            above = curve[curve > TARGET]
            first = "never" if curve.iloc[-1] > TARGET else str(above.index.max() + 1)
            print(
                f"| {seed} | {'warm' if number else 'cold'} | {seconds:.1f} | {first} | "
                f"{curve.iloc[-1]:.5f} | {' '.join(f'{value:.4f}' for value in curve)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
