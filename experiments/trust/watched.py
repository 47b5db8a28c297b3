"""What `psro watch` costs the run that it watches.

    python experiments/trust/watched.py --times 5

The same run, with exact best responses, alone and watched, in turns: by the command `psro watch`
and a client that asks twice as often as its page does, for the version every second and for the
document when that has changed. Printed are the ratios of CPU seconds of the run's own process and
of wall seconds, watched to alone: their median, least and greatest; and whether all folders are the
same, bit for bit.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from kill import bits, start

GAMES = {"kuhn_poker": 200, "leduc_poker": 80}
"""Games, with iterations such that a run takes some five seconds."""
PSRO = (sys.executable, "-m", "psro")


def run(game: str, iterations: int, folder: Path, watched: bool) -> tuple[float, float, int]:
    """CPU seconds and wall seconds of a run, and how often the page's document was fetched."""
    options = ["--oracle", "best_response", "--tolerance", "0", "--patience", str(iterations)]
    began = time.monotonic()
    process = subprocess.Popen(
        [*PSRO, "run", "--game", game, "--iterations", str(iterations), *options]
        + ["--out", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    client = Client(folder) if watched else None
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    fetched = client.stop() if client else 0
    assert process.returncode == 0, f"exit code {process.returncode}"
    return usage.ru_utime + usage.ru_stime, wall, fetched


class Client:
    """`psro watch` and somebody who looks at its page, as soon as the folder is there."""

    def __init__(self, folder: Path):
        self._folder, self._over, self._fetched = folder, threading.Event(), 0
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> int:
        """How many documents were fetched."""
        self._over.set()
        self._thread.join()
        return self._fetched

    def _look(self) -> None:
        while not self._folder.exists() and not self._over.wait(0.05):
            pass
        watcher = start("watch", str(self._folder))
        try:
            url, version = watcher.stdout.readline().split()[0], None
            while not self._over.wait(1):
                now = _get(f"{url}version")
                if now != version:
                    version, self._fetched = now, self._fetched + 1
                    _get(f"{url}document.json")
        finally:
            watcher.terminate()
            watcher.wait()
            watcher.stdout.close()


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as response:
        return response.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5, help="pairs of runs a game")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        for game, iterations in GAMES.items():
            run(game, iterations, Path(root) / game, watched=False)  # fills the caches
            expected, ratios = bits(Path(root) / game), []
            for number in range(options.times):
                measured = {}
                for watched in (False, True) if number % 2 else (True, False):
                    folder = Path(root) / f"{game}-{number}-{watched}"
                    measured[watched] = run(game, iterations, folder, watched)
                    assert bits(folder) == expected, "the folder has other bits"
                (cpu, wall, _), (watched_cpu, watched_wall, fetched) = (
                    measured[False],
                    measured[True],
                )
                assert fetched > 0, "nobody has looked"
                ratios.append((watched_cpu / cpu, watched_wall / wall))
                print(
                    f"{game}: CPU {cpu:.2f} s, watched {watched_cpu:.2f} s; wall {wall:.2f} s, "
                    f"watched {watched_wall:.2f} s; {fetched} documents fetched",
                    flush=True,
                )
            for name, values in zip(("CPU", "wall"), zip(*ratios, strict=True), strict=True):
                print(
                    f"{game}, {name} watched / alone: median {statistics.median(values):.3f}, "
                    f"{min(values):.3f} to {max(values):.3f}"
                )
            print(f"{game}: all {2 * options.times} folders are the same, bit for bit")


if __name__ == "__main__":
    main()
