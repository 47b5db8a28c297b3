"""The same runs on every executor: the same bits, at which cost?

    python experiments/scaling/executors.py --runs leduc --on local processes:1 processes:2 ray:2

Each run is trained on each executor, in a process of its own, and once before, which is not
counted: the first fills the cache of compiled code. `local:N` is this process on N cores alone.
`ray:N` is a cluster of N nodes of one core each on this machine (`ray.cluster_utils`). Printed,
beside what the first executor took, and appended to executors.csv beside this file:

- bits: a digest of all that the folders hold, but for wall seconds;
- seconds: from when the workers begin to start, to the last commit;
- training seconds: from the first iteration on disk to the last;
- cpu: processor seconds of all processes together, those of Ray included.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil

import psro
from psro.cli import process
from psro.runs import experiment, seeds, storage
from psro.runs.config import RunConfig
from psro.training.executor_settings import ExecutorConfig
from psro.training.pool import Pool
from psro.variants.published import VARIANTS

HERE = Path(__file__).parent
LEDUC = psro.RunConfig(game="leduc_poker", iterations=5, tolerance=0)
PHANTOM = psro.RunConfig(
    game="phantom_ttt", evaluation="sampled", iterations=3, tolerance=0, payoff_error=0.05,
    ppo=psro.PPOConfig(decisions=65_536),
)  # fmt: skip
SHORT = {"iterations": 3, "tolerance": 0.0, "ppo": {"decisions": 8_192, "tabulated": False}}
LEADERBOARD = [
    (RunConfig.from_json({**VARIANTS[variant].settings, **SHORT, "game": game}), 2)
    for variant in ("psro", "fictitious_play", "p2sro")
    for game in ("kuhn_poker", "leduc_poker")
]
RUNS = {
    "leduc": [(LEDUC, None)],
    "phantom_ttt": [(PHANTOM, None)],
    "seeds": [(dataclasses.replace(LEDUC, iterations=10), 12)],
    "long seeds": [(dataclasses.replace(LEDUC, iterations=30), 12)],
    "longer seeds": [(dataclasses.replace(LEDUC, iterations=50), 12)],
    "leaderboard": LEADERBOARD,
}
"""Lists of runs by name, and the numbers of their seeds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """Runs on one executor; see the head of this file."""

    run: str
    executor: str
    bits: str
    seconds: float
    training_seconds: float
    cpu: float


def bits(folder: Path) -> str:
    """A digest of one run, or of all runs in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        tensors, info = storage.read_tensors(path)
        for record in info.get("records", []):
            del record["seconds"]
        info.pop("sha256")  # of the file, wall seconds included
        digest.update(json.dumps(info, sort_keys=True).encode())
        for name in sorted(tensors):
            digest.update(name.encode() + tensors[name].tobytes())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def opened(executor: str) -> Iterator[Pool | None]:
    """The workers of `processes:2`, `ray:4` or `local`."""
    name, _, workers = executor.partition(":")
    if name == "local":
        yield None
    elif name == "processes":
        with ExecutorConfig(executor=name, workers=int(workers)).open() as pool:
            yield pool
    else:
        with cluster(int(workers)) as address:
            settings = ExecutorConfig(executor=name, workers=int(workers), ray_address=address)
            with settings.open() as pool:
                yield pool


@contextlib.contextmanager
def cluster(nodes: int) -> Iterator[str]:
    """A cluster on this machine; its address."""
    from ray.cluster_utils import Cluster

    own = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(nodes - 1):
            own.add_node(num_cpus=1)
        yield own.address
    finally:
        own.shutdown()


def cpu() -> float:
    """Processor seconds of this process and of all that it has started."""
    used = sum(os.times()[:4])
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            used += sum(child.cpu_times()[:4])
    return used


def measure(run: str, executor: str) -> Measured:
    process.use_caches()
    process.use_all_cores()
    with tempfile.TemporaryDirectory() as place:
        with opened(executor) as pool:
            began, cpu_began, first = time.monotonic(), cpu(), None
            for number, (config, count) in enumerate(RUNS[run]):
                folder = Path(place) / str(number)
                if count is None:
                    steps = experiment.create(config, folder).train(pool)
                else:
                    steps = seeds.create_many(config, count, folder).train(pool)
                for _ in steps:
                    first = first or time.monotonic()
            ended = time.monotonic()
            used = cpu() - cpu_began
        return Measured(
            run=run, executor=executor, bits=bits(Path(place)), seconds=ended - began,
            training_seconds=ended - first, cpu=used,
        )  # fmt: skip


_HELD = "import os; os.sched_setaffinity(0, {cores}); os.execv({command}[0], {command})"


def measured_apart(run: str, executor: str) -> Measured:
    """In a process of its own."""
    command = [sys.executable, __file__, "--one", run, executor]
    name, _, cores = executor.partition(":")
    if name == "local" and cores:  # before anything has counted them
        some = sorted(os.sched_getaffinity(0))[: int(cores)]
        command = [sys.executable, "-c", _HELD.format(cores=some, command=command)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=["leduc", "phantom_ttt"])
    parser.add_argument("--on", nargs="+", default=["local", "processes:1", "processes:2"])
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--warm", action="store_true", help="the cache is filled already")
    parser.add_argument("--one", nargs=2, metavar=("RUN", "EXECUTOR"))
    options = parser.parse_args()
    if options.one:
        print(json.dumps(dataclasses.asdict(measure(*options.one))))
        return
    for run in options.runs:
        first = None
        for number in range(0 if options.warm else -1, options.times):  # the first fills the cache
            for executor in options.on:
                measured = measured_apart(run, executor)
                if number < 0:
                    continue
                first = first or measured
                print(
                    f"{run:12} {executor:12} {measured.bits} {measured.seconds:8.1f} s "
                    f"{measured.training_seconds:8.1f} s training {measured.cpu:8.1f} cpu s: "
                    f"{first.seconds / measured.seconds:.2f} times as fast as {first.executor}, "
                    f"{measured.cpu / first.cpu - 1:+.1%} cpu",
                    flush=True,
                )
                path = HERE / "executors.csv"
                row = pd.DataFrame([dataclasses.asdict(measured)])
                row.to_csv(path, mode="a", header=not path.exists(), index=False)


if __name__ == "__main__":
    main()
