"""Kills workers, nodes and drivers at random moments, and checks that nothing is lost.

    python experiments/trust/workers.py --times 50
    python experiments/trust/workers.py --times 20 --executor ray --nodes 3

A run of several seeds, and one run that is measured by episodes, are trained by workers, in turn,
again and again. Every few seconds (--every) one of these is hit:

- a worker: SIGKILL, or SIGSTOP, after which it is given up;
- a node, with all its workers (`--executor ray`; another node joins);
- the driver: SIGKILL, or SIGTERM. The same command, with --or-resume, goes on.

When a run has ended, its folder must have the bits of a run that nobody disturbed, in one process.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

import psro
from psro.runs import seeds

sys.path.insert(0, str(Path(__file__).parents[1] / "scaling"))
from executors import bits  # noqa: E402

SMALL = psro.PPOConfig(decisions=16_384, num_envs=64, num_strata=4)
RUNS = {
    "seeds": psro.RunConfig(hidden_size=8, ppo=SMALL, iterations=6, tolerance=0),
    "sampled": psro.RunConfig(
        game="leduc_poker", evaluation="sampled", backend="tree", hidden_size=8,
        payoff_episodes=128, ppo=SMALL, iterations=5, tolerance=0,
    ),
}  # fmt: skip
SEEDS = {"seeds": 3, "sampled": None}
_WORKERS = ("psro.training.processes", "ray::_Actor")
"""How workers are called among the processes."""
_TRIES = 8
"""To start a node of Ray."""


class Cluster:
    """Nodes of Ray on this machine, one core each; without any, for processes."""

    def __init__(self, nodes: int):
        self._cluster = None
        if nodes:
            from ray.cluster_utils import Cluster

            head = {"num_cpus": 1, "include_dashboard": False}
            self._cluster = Cluster(initialize_head=True, head_node_args=head)
            self._others = [self._new_node() for _ in range(nodes - 1)]

    def options(self) -> list[str]:
        if self._cluster is None:
            return ["--executor", "processes", "--workers", "2"]
        return ["--executor", "ray", "--ray.address", self._cluster.address]

    def lose_a_node(self, dice: random.Random) -> None:
        """Kills a node that is not the head, and starts another."""
        node = self._others.pop(dice.randrange(len(self._others)))
        self._cluster.remove_node(node, allow_graceful=False)
        self._others.append(self._new_node())

    def _new_node(self) -> Any:
        """Another node. A busy machine may need more than the 30 seconds that Ray gives it."""
        for _ in range(_TRIES):
            try:
                return self._cluster.add_node(num_cpus=1)
            except Exception as error:  # Ray raises nothing more special
                why = error
        raise why

    def close(self) -> None:
        if self._cluster is not None:
            self._cluster.shutdown()


def start(name: str, folder: Path, settings: Path, options: list[str]) -> subprocess.Popen:
    count = [] if SEEDS[name] is None else ["--seeds", str(SEEDS[name])]
    arguments = ["run", "--config", str(settings), "--out", str(folder), "--or-resume"]
    return subprocess.Popen(
        [sys.executable, "-m", "psro", *arguments, *count, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def workers() -> list[psutil.Process]:
    """All workers that we, or our cluster, have started."""
    names = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(name in " ".join(child.cmdline()) for name in _WORKERS):
                names.append(child)
    return names


def hit(what: str, driver: subprocess.Popen, cluster: Cluster, dice: random.Random) -> bool:
    """Does it; False where there was nothing to hit."""
    if what == "node":
        cluster.lose_a_node(dice)
        return True
    if what.startswith("driver"):
        driver.send_signal(signal.SIGTERM if what.endswith("SIGTERM") else signal.SIGKILL)
        driver.wait()
        return True
    alive = workers()
    if not alive:
        return False
    number = signal.SIGSTOP if what.endswith("SIGSTOP") else signal.SIGKILL
    try:
        os.kill(dice.choice(alive).pid, number)
    except ProcessLookupError:
        return False
    return True


def trained(
    name: str,
    folder: Path,
    settings: Path,
    cluster: Cluster,
    dice: random.Random,
    kinds: list[str],
    every: float,
) -> Iterator[str]:
    """Trains to the end, and hits something `every` so many seconds. Yields what was hit."""
    driver = start(name, folder, settings, cluster.options())
    try:
        while True:
            try:
                code = driver.wait(dice.uniform(0.5, 2 * every))
            except subprocess.TimeoutExpired:
                if not kinds:
                    continue
                what = dice.choice(kinds)
                if not hit(what, driver, cluster, dice):
                    continue
                yield what
                if what.startswith("driver"):
                    driver = start(name, folder, settings, cluster.options())
                continue
            assert code == 0, driver.stderr.read().decode()
            return
    finally:
        driver.kill()
        driver.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--every", type=float, default=12.0, help="mean seconds between hits")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--executor", choices=["processes", "ray"], default="processes")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--stop", action="store_true", help="stop workers, too: two minutes each")
    options = parser.parse_args()
    dice, hits = random.Random(options.seed), collections.Counter()
    kinds = ["worker", "worker", "driver", "driver SIGTERM"]
    kinds += ["node", "node"] if options.executor == "ray" else []
    kinds += ["worker SIGSTOP"] if options.stop else []
    cluster = Cluster(options.nodes if options.executor == "ray" else 0)
    began, ended = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as name, contextlib.closing(cluster):
        place = Path(name)
        whole = {}
        for run, config in RUNS.items():
            (place / f"{run}.json").write_text(json.dumps(dataclasses.asdict(config)))
            if SEEDS[run] is None:
                psro.run(config, place / run)
            else:
                seeds.run_many(config, SEEDS[run], place / run)
            whole[run] = bits(place / run)
        while sum(hits.values()) < options.times:
            run = list(RUNS)[ended % len(RUNS)]
            folder = place / f"{run}-{ended}"
            settings = place / f"{run}.json"
            for what in trained(run, folder, settings, cluster, dice, kinds, options.every):
                hits[what] += 1
                if sum(hits.values()) >= options.times:
                    kinds.clear()  # the last run may end
                print(f"{time.monotonic() - began:7.1f} s  {run}: {what}", flush=True)
            assert bits(folder) == whole[run], f"{run} has other bits after {dict(hits)}"
            ended += 1
            print(f"{time.monotonic() - began:7.1f} s  {run}: ended, same bits", flush=True)
    print(f"{sum(hits.values())} hits, {dict(hits)}; {ended} runs ended, all with the same bits")


if __name__ == "__main__":
    main()
