"""Kills `psro run` and `psro resume` at random moments, and checks what is left each time.

    python experiments/trust/kill.py --times 100

Every second kill is a SIGTERM, the others are SIGKILLs, in turn on Kuhn and Leduc poker, with exact
best responses and with recurrent PPO, and on games that are measured by episodes: phantom
tic-tac-toe by native rules, and Leduc poker on OpenSpiel's states. One run walks phantom
tic-tac-toe for exact figures. `--runs` names some of these. After each the folder must be loaded,
hold every iteration that was printed, and a copy of it, resumed, must end with the bits of a run
that nobody killed. SIGTERM must also leave no temporary file of its own and end with exit code 143,
or 0 where the run had ended by then.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psro
from psro.runs import experiment, storage

SMALL = psro.PPOConfig(decisions=16_384, num_envs=64, num_strata=4)
RUNS = {
    "Kuhn": psro.RunConfig(game="kuhn_poker", oracle="best_response", iterations=12, tolerance=0),
    "Leduc": psro.RunConfig(game="leduc_poker", oracle="best_response", iterations=60, tolerance=0),
    "Kuhn, PPO": psro.RunConfig(hidden_size=8, ppo=SMALL, iterations=12, tolerance=0),
    "Leduc, PPO": psro.RunConfig(
        game="leduc_poker", hidden_size=8, ppo=SMALL, iterations=8, tolerance=0
    ),
    "Phantom, native": psro.RunConfig(
        game="phantom_ttt", evaluation="sampled", backend="native", hidden_size=8, ppo=SMALL,
        iterations=8, tolerance=0,
    ),
    "Phantom, exact": psro.RunConfig(
        game="phantom_ttt", hidden_size=8, ppo=SMALL, iterations=2, tolerance=0
    ),
    "Leduc, hosted": psro.RunConfig(
        game="leduc_poker", evaluation="sampled", backend="openspiel", hidden_size=8,
        payoff_episodes=128, ppo=SMALL, iterations=6, tolerance=0,
    ),
}  # fmt: skip
"""Runs with so many iterations that each takes about as long as a process takes to start."""


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
        [sys.executable, "-m", "psro", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def finish(*arguments: str) -> float:
    """Lets a command end; the seconds from when training begins."""
    process = start(*arguments)
    began = time.monotonic()
    for line in process.stdout:
        if _begins(line):
            began = time.monotonic()
    assert process.wait() == 0, arguments
    process.stdout.close()
    return time.monotonic() - began


def _begins(line: str) -> bool:
    """Whether this is the head of the table of iterations."""
    return line.split()[:1] == ["iteration"]


def kill(folder: Path, like: Path, number: signal.Signals, after: float) -> tuple[int, int | None]:
    """Goes on with a run of the settings in the file `like` until the signal; the exit code and the
    last iteration printed. The moment is counted from when training begins, or from the start of
    the process (negative)."""
    if folder.exists():
        process = start("resume", str(folder))
    else:
        process = start("run", "--config", str(like), "--out", str(folder))
    try:
        printed = []
        if after >= 0:
            for line in process.stdout:
                printed.append(line)
                if _begins(line):
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
        finish("resume", str(copy))
        assert bits(copy) == whole, "resumed, it ends with other bits"
    return size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS))
    options = parser.parse_args()
    chance = random.Random(options.seed)
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as root:
        whole, seconds, folders = {}, {}, {}
        for name, config in ((name, RUNS[name]) for name in options.runs):
            place = Path(root) / name
            place.mkdir()
            (place / "config.json").write_text(json.dumps(dataclasses.asdict(config)))
            for out in ("first", "whole"):  # what is compiled stays in the commands' cache
                seconds[name] = finish(
                    *("run", "--config", str(place / "config.json"), "--out", str(place / out))
                )
            whole[name] = bits(place / "whole")
            folders[name] = place / "killed" / "run"
        for time_number in range(options.times):
            name = options.runs[time_number // 2 % len(options.runs)]
            number = (signal.SIGKILL, signal.SIGTERM)[time_number % 2]
            folder = folders[name]
            # One in five while Python starts, the others from the first iteration on.
            early = chance.random() < 0.2
            after = -chance.uniform(0.1, 2) if early else chance.uniform(0, seconds[name])
            before = temporary(folder)
            code, shown = kill(folder, Path(root) / name / "config.json", number, after)
            if number == signal.SIGTERM:  # a process that has not begun to run Python just dies
                assert code in (128 + number, -number, 0), f"exit code {code}"
                assert temporary(folder) <= before, "a temporary file is left"
            size = check(folder, shown, whole[name])
            ended = size == len(whole[name][0])
            moment = "before" if not size else "after" if ended else "amid"
            counts[f"{name}: {number.name}, {moment} its iterations"] += 1
            print(f"{time_number + 1}: {name}, {number.name}, {size} iterations", flush=True)
            if ended:
                shutil.rmtree(folder.parent)
    for name, count in sorted(counts.items()):
        print(f"{count:4} {name}")
    print(f"{options.times} kills; nothing was lost, every run resumed ends with the same bits")


if __name__ == "__main__":
    main()
