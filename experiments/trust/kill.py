"""Kills `psro run` and `psro resume` at random moments, and checks what is left each time.

    python experiments/trust/kill.py --times 100

Every second kill is a SIGTERM, the others are SIGKILLs, in turn on Kuhn and Leduc poker with exact
best responses. After each the folder must be loaded, hold every iteration that was printed, and a
copy of it, resumed here, must end with the bits of a run that nobody killed. SIGTERM must also
leave no temporary file of its own and end with exit code 143, or 0 where the run had ended by then.
"""

from __future__ import annotations

import argparse
import collections
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psro
from psro import experiment, storage

GAMES = {"kuhn_poker": 12, "leduc_poker": 60}
"""Games, with iterations such that a run takes about as long as a process takes to start."""


def config(game: str) -> psro.RunConfig:
    return psro.RunConfig(game=game, oracle="best_response", iterations=GAMES[game], tolerance=0.0)


def bits(folder: Path) -> tuple:
    """All that a run leaves, but for wall times."""
    tensors, info = storage.read_tensors(folder / "payoffs.safetensors")
    for record in info["records"]:
        del record["seconds"]
    policies = {path.name: path.read_bytes() for path in (folder / "policies").iterdir()}
    return (
        info["records"],
        {name: each.tobytes() for name, each in tensors.items()},
        policies,
        sorted(path.name for path in folder.iterdir() if path.suffix != ".png"),
    )


def start(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "psro.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def kill(folder: Path, game: str, number: signal.Signals, after: float) -> tuple[int, int | None]:
    """Goes on with the run until the signal; the exit code and the last iteration printed. The
    moment is counted from when training begins, or from the start of the process (negative)."""
    if folder.exists():
        process = start("resume", str(folder))
    else:
        options = ("--oracle", "best_response", "--iterations", str(GAMES[game]))
        process = start(
            *("run", "--game", game, *options, "--tolerance", "0", "--out", str(folder))
        )
    try:
        printed = []
        if after >= 0:
            for line in process.stdout:
                printed.append(line)
                if line.split()[:1] == ["iteration"]:  # the head of the table
                    break
        time.sleep(abs(after))
        process.send_signal(number)
        printed += process.stdout.read().splitlines()
        code = process.wait(60)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    shown = [int(line.split()[0]) for line in printed if line[:9].strip().isdigit()]
    return code, max(shown, default=None)


def temporary(folder: Path) -> set[Path]:
    return set(folder.parent.rglob("*.tmp"))


def check(folder: Path, shown: int | None, whole: tuple) -> int:
    """The iterations that the folder holds; AssertionError where something is lost."""
    if not folder.exists():
        assert shown is None, f"iteration {shown} was printed, and there is no folder"
        return 0
    size = len(experiment.reopen(folder).records)
    assert size > (-1 if shown is None else shown), f"{size} iterations of {shown} printed"
    with tempfile.TemporaryDirectory() as place:
        copy = shutil.copytree(folder, Path(place) / "copy")
        psro.resume(copy)
        assert bits(copy) == whole, "resumed, it ends with other bits"
    return size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as root:
        whole, seconds = {}, {}
        for game in GAMES:
            began = time.monotonic()
            whole[game] = bits(psro.run(config(game), Path(root) / game / "whole").folder)
            seconds[game] = time.monotonic() - began
        folders = {game: Path(root) / game / "killed" / "run" for game in GAMES}
        for time_number in range(options.times):
            game = list(GAMES)[time_number // 2 % 2]
            number = (signal.SIGKILL, signal.SIGTERM)[time_number % 2]
            folder = folders[game]
            # One in five while Python starts, the others from the first iteration on.
            early = chance.random() < 0.2
            after = -chance.uniform(0.1, 2) if early else chance.uniform(0, seconds[game] / 2)
            before = temporary(folder)
            code, shown = kill(folder, game, number, after)
            if number == signal.SIGTERM:  # a process that has not begun to run Python just dies
                assert code in (128 + number, -number, 0), f"exit code {code}"
                assert temporary(folder) <= before, "a temporary file is left"
            size = check(folder, shown, whole[game])
            moment = "before" if not size else "after" if size == GAMES[game] + 1 else "amid"
            counts[f"{game}, {number.name}, {moment} its iterations"] += 1
            print(f"{time_number + 1}: {game}, {number.name}, {size} iterations", flush=True)
            if moment == "after":
                assert bits(folder) == whole[game]
                shutil.rmtree(folder.parent)
    for name, count in sorted(counts.items()):
        print(f"{count:4} {name}")
    print(f"{options.times} kills; nothing was lost, every run resumed ends with the same bits")


if __name__ == "__main__":
    main()
