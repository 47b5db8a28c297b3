"""What 1, 10, 100 and 1,000 machines would do, by a model that is fed with what was measured.

    python experiments/scaling/cluster.py --measure   # what a task costs here: cluster.json
    python experiments/scaling/cluster.py --validate  # the model against 1, 2, 4 and 8 workers
    python experiments/scaling/cluster.py --project   # the projections

The model is a simulation of `psro.training.pool`: workers do tasks, one driver hands them out,
takes their results one after another, and commits. A chain is a run: its next iteration can begin
when the last one is on disk. Machines fail at random; their tasks are found to be lost after a
while, and done again.

Measured, by --measure: seconds until a worker is ready; seconds of the driver for each task and
for each MiB that is sent; seconds in which a worker builds a run and loads its compiled code.
Measured elsewhere: seconds of every iteration of the leaderboard's recurrent runs
(experiments/leaderboard/runs), and of one iteration of abrupt dark hex (docs/measured.md). Assumed:
how often machines fail, and how long they are away.

The validation replays the iterations of 12 leaderboard runs on real workers, which sleep for as
long as an iteration took (times --pace) and return as many bytes. So it tests the pool and the
driver, and other work on the machine counts for little.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import heapq
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
KNOWN = HERE / "cluster.json"
RUNS = HERE.parent / "leaderboard" / "runs" / "ppo"
MIB = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """Tasks side by side, and what the driver does when all of them are done.

    Attributes:
        tasks: seconds of each on one worker.
        mib: MiB that the driver sends and receives for each.
        driver: seconds of the driver afterwards.
    """

    tasks: tuple[float, ...]
    mib: float = 0.0
    driver: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chain:
    """A run.

    Attributes:
        stages: one after another.
        context: runs of one context share their game and network, and so their code.
    """

    stages: Sequence[Stage]
    context: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Costs:
    """What tasks cost besides their own seconds, all in seconds.

    Attributes:
        start: until a worker is ready.
        build: in which a worker builds a run's game and network, and loads compiled code.
        task: of the driver, for each task.
        mib: of the driver, for each MiB.
        commit: of the driver, for each iteration.
    """

    start: float
    build: float
    task: float
    mib: float
    commit: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failures:
    """How machines fail.

    Attributes:
        hours: mean hours between two failures of one machine; 0 for none.
        notice: seconds until the driver knows that its tasks are lost.
        away: seconds until it is there again.
    """

    hours: float = 0.0
    notice: float = 30.0
    away: float = 300.0


class Simulation:
    """Chains on machines.

    Args:
        chains: what is to be done.
        machines: their number.
        cores: workers of each.
        costs: of tasks.
        failures: of machines.
        at_once: chains that are under way at once; None for one a worker, so that a worker seldom
            builds another run.
        seed: of failures.
    """

    def __init__(
        self,
        chains: Sequence[Chain],
        machines: int,
        cores: int,
        costs: Costs,
        failures: Failures = Failures(),
        *,
        at_once: int | None = None,
        seed: int = 0,
    ):
        self._chains, self._costs, self._failures = chains, costs, failures
        self._dice = random.Random(seed)
        self._cores, self._workers = cores, machines * cores
        self._events: list[tuple[float, int, str, tuple]] = []
        self._count = 0
        self._driver = 0.0  # when it is free
        self._built: list[set[int]] = [set() for _ in range(self._workers)]
        self._life = [0] * self._workers  # how often each has begun
        self._free: list[int] = []
        self._waiting: collections.deque[tuple[int, float]] = collections.deque()
        self._fresh = collections.deque(range(len(chains)))
        self._place = [0] * len(chains)
        self._missing = [0] * len(chains)
        self._usual: dict[int, int] = {}
        self._busy: dict[int, tuple[int, float, float]] = {}
        self._left = len(chains)
        self.working, self.lost, self.failed = 0.0, 0.0, 0
        for _ in range(min(at_once or 0, len(chains))):
            self._begin(self._fresh.popleft())
        for worker in range(self._workers):
            self._later(costs.start, "ready", worker, 0)
        if failures.hours:
            for machine in range(machines):
                self._later(self._until_failure(), "fails", machine)

    def _until_failure(self) -> float:
        return self._dice.expovariate(1 / (3600 * self._failures.hours))

    def _later(self, when: float, kind: str, *about) -> None:
        self._count += 1
        heapq.heappush(self._events, (when, self._count, kind, about))

    def run(self) -> float:
        """Seconds until the last commit."""
        now = 0.0
        while self._left:
            now, _, kind, about = heapq.heappop(self._events)
            getattr(self, f"_{kind}")(now, *about)
        return max(now, self._driver)

    def _ready(self, now: float, worker: int, life: int) -> None:
        if self._life[worker] == life:
            self._free.append(worker)
            self._hand_out(now)

    def _hand_out(self, now: float) -> None:
        while self._free and (self._waiting or self._fresh):
            worker = self._free.pop()
            own = next((t for t in self._waiting if self._usual.get(t[0], worker) == worker), None)
            if own is not None:
                self._waiting.remove(own)
            elif self._waiting and (not self._fresh or self._stage(self._waiting[0][0])):
                own = self._waiting.popleft()
            elif self._fresh:
                self._begin(self._fresh.popleft())
                own = self._waiting.pop()
            else:
                own = self._waiting.popleft()
            self._send(now, worker, *own)

    def _stage(self, chain: int) -> Stage:
        return self._chains[chain].stages[self._place[chain]]

    def _begin(self, chain: int) -> None:
        stage = self._stage(chain)
        self._missing[chain] = len(stage.tasks)
        self._waiting.extend((chain, seconds) for seconds in stage.tasks)

    def _send(self, now: float, worker: int, chain: int, seconds: float) -> None:
        costs = self._costs
        self._driver = (
            max(self._driver, now) + costs.task / 2 + self._stage(chain).mib * costs.mib / 2
        )
        context = self._chains[chain].context
        build = 0.0 if context in self._built[worker] else costs.build
        self._built[worker].add(context)
        self._usual[chain] = worker
        end = self._driver + build + seconds
        self._busy[worker] = (chain, seconds, self._driver)
        self._later(end, "done", worker, self._life[worker], chain, seconds)

    def _done(self, now: float, worker: int, life: int, chain: int, seconds: float) -> None:
        if self._life[worker] != life:
            return
        costs, stage = self._costs, self._stage(chain)
        self.working += seconds
        del self._busy[worker]
        self._driver = max(self._driver, now) + costs.task / 2 + stage.mib * costs.mib / 2
        self._missing[chain] -= 1
        if not self._missing[chain]:
            self._driver += stage.driver + costs.commit
            self._place[chain] += 1
            if self._place[chain] == len(self._chains[chain].stages):
                self._left -= 1
            else:
                self._begin(chain)
        self._later(self._driver, "ready", worker, life)

    def _fails(self, now: float, machine: int) -> None:
        self.failed += 1
        failures = self._failures
        for worker in range(machine * self._cores, (machine + 1) * self._cores):
            self._life[worker] += 1
            self._built[worker].clear()
            if worker in self._free:
                self._free.remove(worker)
            if worker in self._busy:
                chain, seconds, since = self._busy.pop(worker)
                self.lost += max(0.0, now - since)
                self._later(now + failures.notice, "again", chain, seconds)
            again = now + failures.away + self._costs.start
            self._later(again, "ready", worker, self._life[worker])
        self._later(now + failures.away + self._until_failure(), "fails", machine)

    def _again(self, now: float, chain: int, seconds: float) -> None:
        self._waiting.appendleft((chain, seconds))
        self._hand_out(now)


# What there is to do


def leaderboard_runs() -> dict[tuple[str, str, int], list[float]]:
    """Seconds of every iteration of the leaderboard's recurrent runs, by game, variant and seed."""
    import pandas as pd

    runs = {}
    for path in sorted(RUNS.rglob("*.csv")):
        table = pd.read_csv(path)
        if len(table) > 1:
            game, variant, seed = table.game[0], table.variant[0], int(table.seed[0])
            runs[game, variant, seed] = table.cpu_seconds.diff().fillna(0.0).clip(lower=0).tolist()
    return runs


def leaderboard(mib: float, variants: int = 25, games: int = 14, seeds: int = 10) -> list[Chain]:
    """Chains of a leaderboard of this size. The games that were not measured are as those that
    were, and so are further seeds."""
    runs = leaderboard_runs()
    names = [sorted({run[n] for run in runs}) for n in (0, 1)]
    chains = []
    for number in range(variants * games * seeds):
        seed, rest = number % seeds, number // seeds
        game = names[0][rest % games % len(names[0])]
        variant = names[1][rest // games % len(names[1])]
        alike = [run for run in runs if run[:2] == (game, variant)]
        alike = alike or [run for run in runs if run[0] == game]
        seconds = runs[alike[seed % len(alike)]]
        stages = [Stage(tasks=(each,), mib=mib) for each in seconds]
        chains.append(Chain(stages=stages, context=rest))
    return chains


def dark_hex(iterations: int, levels: int = 1, openings: int = 81) -> list[Chain]:
    """One run on abrupt dark hex, measured exactly after every iteration. By docs/measured.md, of
    116 CPU seconds of three iterations 94 % train (two best responses each), 6 % play matches.
    Tabulating takes some 70 seconds, by policies, and walking some 150, by openings."""
    response, matches, tabulating, walk = 0.94 * 116 / 6, 0.06 * 116 / 3, 70.0, 150.0
    stages: list[Stage] = []
    for number in range(1, iterations + 1):
        calls, policies = 2 * number + 1, 2 * (number + 1)
        stages += [
            Stage(tasks=(response,) * 2 * levels, mib=1.0),
            Stage(tasks=(matches / calls,) * calls, mib=1.0, driver=0.2),
            Stage(tasks=(tabulating / policies,) * policies, mib=24.0),
            Stage(tasks=(walk / openings,) * openings, mib=48.0, driver=1.0),
        ]
    return [Chain(stages=stages)]


# What is measured


def rest(seconds: float, size: int = 0, blob: object = None) -> bytes:
    """A task that takes this long, and returns so many bytes."""
    time.sleep(seconds)
    return bytes(size)


def resting_pool(workers: int):
    """Real workers that may do `rest`."""
    from psro.training import processes
    from psro.training.pool import Pool
    from psro.training.worker import versions

    processes._MAIN = (
        f"from psro.training import worker; worker.OWN += ('cluster',); {processes._MAIN}"
    )
    return Pool(processes.Processes([{}] * workers), versions())


def measure() -> Costs:
    """Costs on this machine, in wall seconds: it should have nothing else to do."""
    import statistics

    from psro.training.pool import Task

    def task(size: int = 0, blob: object = None) -> Task:
        return Task(function="cluster:rest", arguments={"seconds": 0.0, "size": size, "blob": blob})

    began = time.monotonic()
    with resting_pool(1) as pool:
        pool.run([task()])
        start = time.monotonic() - began
        turns, loads = [], []
        for _ in range(300):
            since = time.monotonic()
            pool.run([task()])
            turns.append(time.monotonic() - since)
        for _ in range(10):
            since = time.monotonic()
            pool.run([task(32 * MIB, bytes(32 * MIB))])
            loads.append((time.monotonic() - since) / 64)
    turn = statistics.median(turns)
    build, commit = measure_run()
    return Costs(start=start, build=build, task=turn, mib=statistics.median(loads), commit=commit)


def measure_run() -> tuple[float, float]:
    """Seconds in which a worker builds a run and loads its code, and of a commit: the first two
    iterations of Leduc poker, whose code is in the cache, less those of the third and fourth."""
    import tempfile

    from psro.cli import process
    from psro.runs import seeds
    from psro.runs.config import RunConfig
    from psro.runs.experiment import Experiment
    from psro.training.executor_settings import ExecutorConfig

    process.use_caches()
    config = RunConfig(game="leduc_poker", iterations=4, tolerance=0)
    commits: list[float] = []
    commit = Experiment._commit

    def timed(self, *arguments) -> None:
        since = time.monotonic()
        commit(self, *arguments)
        commits.append(time.monotonic() - since)

    Experiment._commit = timed
    for _ in range(2):  # the first fills the cache
        with (
            tempfile.TemporaryDirectory() as place,
            ExecutorConfig(executor="processes", workers=1).open() as pool,
        ):
            runs = seeds.create_many(config, 1, Path(place) / "run")
            laps = [time.monotonic()]
            for _ in runs.train(pool):
                laps.append(time.monotonic())
    first, second, third, fourth = (b - a for a, b in zip(laps[:4], laps[1:5], strict=True))
    return max(0.0, first + second - third - fourth), sorted(commits)[len(commits) // 2]


def validate(costs: Costs, counts: Sequence[int], pace: float) -> None:
    from psro.training.pool import Task

    runs = [s for (game, _, seed), s in leaderboard_runs().items() if game == "leduc" and not seed][
        :12
    ]
    runs = [[pace * each for each in seconds[1:16]] for seconds in runs]
    size = 256 << 10
    chains = [
        Chain(stages=[Stage(tasks=(each,), mib=size / MIB) for each in seconds]) for seconds in runs
    ]
    quick = dataclasses.replace(costs, start=0.0, build=0.0, commit=0.0)
    total = sum(map(sum, runs))
    print(f"12 runs of {len(runs[0])} iterations, {total:.1f} s of tasks")
    print(f"{'workers':>8} {'measured s':>11} {'model s':>9} {'error':>7} {'efficiency':>11}")
    for workers in counts:
        model = Simulation(chains, workers, 1, quick, at_once=len(chains)).run()
        with resting_pool(workers) as pool:
            wake = Task(function="cluster:rest", arguments={"seconds": 2.0})
            pool.run([wake] * workers)
            began, place, owners = time.monotonic(), [0] * len(runs), {}

            def submit(run: int, pool=pool, place=place, owners=owners) -> None:
                seconds = runs[run][place[run]]
                task = Task(
                    function="cluster:rest", arguments={"seconds": seconds, "size": size}, owner=run
                )
                owners[pool.submit(task)] = run

            for run in range(len(runs)):
                submit(run)
            while owners:
                number, _ = pool.finished()
                run = owners.pop(number)
                place[run] += 1
                if place[run] < len(runs[run]):
                    submit(run)
            took = time.monotonic() - began
        print(
            f"{workers:8} {took:11.2f} {model:9.2f} {model / took - 1:+7.1%} "
            f"{total / workers / took:11.1%}"
        )


def project(costs: Costs, cores: int) -> None:
    failures = Failures(hours=24.0 * 7)
    for name, chains in (
        ("leaderboard, 25 variants x 14 games x 10 seeds", leaderboard(mib=0.25)),
        ("abrupt dark hex, one run of 12 iterations", dark_hex(12)),
        ("abrupt dark hex, pipeline of 8 levels", dark_hex(12, levels=8)),
    ):
        total = sum(sum(stage.tasks) for chain in chains for stage in chain.stages)
        print(f"\n{name}: {total / 3600:.2f} hours of one core, {cores} cores a machine")
        print("machines    hours  faster  efficiency  failures     lost  a driver for each machine")
        alone = None
        for machines in (1, 10, 100, 1_000):
            model = Simulation(chains, machines, cores, costs, failures)
            seconds = model.run()
            alone = alone or seconds
            apart = max(
                Simulation(part, 1, cores, costs, failures, seed=n).run()
                for n in range(machines)
                if (part := chains[n::machines])
            )
            print(
                f"{machines:8,} {seconds / 3600:8.3f} {alone / seconds:7.1f} "
                f"{total / (seconds * machines * cores):11.1%} {model.failed:9} "
                f"{model.lost / max(total, 1e-9):8.2%} "
                f"{apart / 3600:8.3f} h, {alone / apart:.1f} times"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for option in ("measure", "validate", "project"):
        parser.add_argument(f"--{option}", action="store_true")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--pace", type=float, default=1.0)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.measure:
        KNOWN.write_text(json.dumps(dataclasses.asdict(measure()), indent=1) + "\n")
        print(KNOWN.read_text())
    costs = Costs(**json.loads(KNOWN.read_text()))
    if options.validate:
        validate(costs, options.workers, options.pace)
    if options.project:
        project(costs, options.cores)


if __name__ == "__main__":
    sys.modules["cluster"] = sys.modules["__main__"]  # as workers import it
    main()
