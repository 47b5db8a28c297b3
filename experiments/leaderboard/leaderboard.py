"""Every variant of the PSRO family on ten games, at equal budgets.

    python experiments/leaderboard/leaderboard.py                   # run what is missing, then draw
    python experiments/leaderboard/leaderboard.py --shard 0/4       # a quarter of it, elsewhere
    python experiments/leaderboard/leaderboard.py --executor ray --ray.address auto   # a cluster
    python experiments/leaderboard/leaderboard.py --draw            # only the tables and figures

Two fields compete: `exact` has exact best responses as tables, which leaves nothing but the variant
to differ, and `ppo` recurrent networks that play episodes; `long` are recurrent runs of a few as
long as a published result took. A run ends with the first budget that is used up: iterations,
learner decisions (of both players together) or CPU seconds of training. Every run is one CSV file
in --runs, by field, game, variant and seed, and is not repeated; so the command can be stopped, and
files of several machines can be put together. Then results.csv, table.md and one figure a game are
written beside this file.

Runs are tasks of workers (--executor), and this process alone writes files. A run has the same
figures on every executor, but for its CPU seconds, and for where they end it (--cpu-seconds inf).
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import os
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from draw import Published, draw

if TYPE_CHECKING:
    from psro.runs.entry import Entry
    from psro.training.executor_settings import ExecutorConfig
    from psro.training.pool import Task

# JAX is imported after its threads are set (`one_core_each`).

HERE = Path(__file__).parent

GAMES = {
    "kuhn": "kuhn_poker",
    "leduc": "leduc_poker",
    "liars_dice": "liars_dice(numdice=1)",
    "goofspiel_4": "goofspiel(imp_info=True,num_cards=4,points_order=descending)",
    "goofspiel_5": "goofspiel(imp_info=True,num_cards=5,points_order=descending)",
    "battleship": "battleship(board_width=2,board_height=2,ship_sizes=[1],ship_values=[1],"
    "num_shots=2,allow_repeated_shots=False)",
    "repeated_rps": "repeated_game(stage_game=matrix_rps(),num_repetitions=4)",
    "skill": "skill",
    "disc": "disc",
}
"""Of `skill` and `disc` every seed has a game of its own."""

EXECUTORS = ("local", "processes", "ray")
RUNS_A_PROCESS = 12
DEFAULT = "default"
"""What `psro run` does by default."""
VARIANTS = [
    DEFAULT, "psro", "self_play", "last_k", "fictitious_play", "psro_prd", "psro_rrd", "psro_qre",
    "alpha_psro", "psro_rn", "odo", "ado", "apsro", "epsro", "sp_psro", "xdo", "dpp_psro", "bd_rd",
    "psd_psro", "fusion_psro", "p2sro", "dch", "neupl", "global_psro", "jpsro_cce", "jpsro_ce",
]  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """What a run may use; the first that is used up ends it. CPU seconds leave out compiling and
    the first iteration, where there is anything to compile."""

    iterations: int
    cpu_seconds: float
    decisions: float = float("inf")


FIELDS = {
    "exact": Budget(iterations=40, cpu_seconds=5.0),
    "ppo": Budget(iterations=60, cpu_seconds=10.0, decisions=600_000),
    "long": Budget(iterations=1_000, cpu_seconds=300.0, decisions=12_500_000),
}
LARGER = {("ppo", "liars_dice"): Budget(iterations=60, cpu_seconds=20.0, decisions=600_000)}
"""Where the field's budget is a few iterations."""

NO_MEMORY = {"skill", "disc"}
"""One decision an episode, and nothing to see: recurrent networks are not played."""
LARGE = {"liars_dice"}
"""Games of which an oracle's few decisions see a small part: networks run over decisions, not info
states (`ppo.tabulated`)."""
SHORT = {game: {"tabulated": game not in LARGE} for game in GAMES}
LONG = {
    "leduc": {"tabulated": True, "decisions": 65_536},
    "liars_dice": {"tabulated": False, "decisions": 131_072},
}
"""The games of the field `long`, and its settings of ppo: longer best responses for longer runs."""
NETWORKS = {"neupl"}
"""Variants without tables: they compete with the recurrent field, on the whole tree, unsampled."""
BEYOND = {("neupl", "liars_dice")}
"""One iteration takes 50 CPU seconds there, and 500 to compile."""


PUBLISHED = {
    "kuhn": [Published(name="PSRO-PPO", exploitability=0.062)],
    "leduc": [
        Published(name="P2SRO-SAC", exploitability=0.46, episodes=0.6e6),
        Published(name="SP-PSRO-DQN", exploitability=0.62, episodes=1e6),
        Published(name="PSRO-DQN", exploitability=1.10, episodes=1e6),
        Published(name="PSRO-PPO", exploitability=0.80, episodes=2 * 20 * 60_000),  # 0.80 to 0.84
        Published(name="PSRO-DQN", exploitability=0.15, episodes=22e6),
        Published(name="APSRO-DQN", exploitability=0.17, episodes=22e6),
    ],
    "liars_dice": [
        Published(name="SP-PSRO", exploitability=0.15, episodes=30e6),
        Published(name="PSRO", exploitability=0.12, episodes=80e6),
    ],
    "repeated_rps": [
        Published(name="PSRO", exploitability=0.73),
        Published(name="SP-PSRO, last iterate", exploitability=0.60),
    ],
    "battleship": [
        Published(name="PSRO", exploitability=1.56),
        Published(name="SP-PSRO", exploitability=0.70),
    ],
}
"""The least of a published range, with the least of its episodes."""


def matrix(name: str, seed: int) -> np.ndarray:
    """Zero-sum payoffs [200, 200] of a game of skill (Czarnecki et al. 2020, arXiv:2004.09468) or
    of a disc game (Balduzzi et al. 2019, arXiv:1901.08106), of returns up to about 1."""
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if name == "skill":
        skill, luck = generator.normal(size=200), generator.normal(size=(200, 200))
        payoffs = (skill[:, None] - skill + luck - luck.T) / 2
    else:
        radius, angle = np.sqrt(generator.uniform(size=200)), generator.uniform(0, 2 * np.pi, 200)
        x, y = radius * np.cos(angle), radius * np.sin(angle)
        payoffs = np.outer(x, y) - np.outer(y, x)
    return payoffs / np.abs(payoffs).max()


def entered(field: str, game: str, variant: str) -> bool:
    """Whether a variant plays a game in a field."""
    if field == "long":
        return game in LONG and variant == DEFAULT
    if field == "exact":
        return variant not in NETWORKS
    return game not in NO_MEMORY and (variant, game) not in BEYOND


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One run, and the file for what comes of it."""

    field: str
    game: str
    variant: str
    seed: int
    file: Path


def task_of(job: Job, budget: Budget) -> Task:
    """The run as a task of a worker (`psro.runs.entry`)."""
    from psro.runs.config import RunConfig
    from psro.runs.entry import Limits, entry_task
    from psro.variants.published import VARIANTS as KNOWN

    name, file = GAMES[job.game], None
    if job.game in ("skill", "disc"):
        content = io.BytesIO()
        np.save(content, matrix(job.game, job.seed))
        name, file = f"{job.game}.npy", (".npy", content.getvalue())
    settings = {} if job.variant == DEFAULT else dict(KNOWN[job.variant].settings)
    if job.field == "exact":
        settings.pop("init", None)  # tables start from nothing
    oracle = settings.pop("oracle", "best_response" if job.field == "exact" else "ppo")
    own = settings.get("ppo", {})  # diversity terms want to know info states
    settings["ppo"] = {**(LONG if job.field == "long" else SHORT)[job.game], **own}
    config = RunConfig.from_json(
        {
            "game": name, "seed": job.seed, "oracle": oracle, "iterations": budget.iterations,
            "tolerance": 0.0, **settings,
        }
    )  # fmt: skip
    limits = Limits(
        cpu_seconds=budget.cpu_seconds,
        decisions=budget.decisions,
        uncounted=0 if oracle == "best_response" else 2,
    )
    return entry_task(config, limits, file)


def write(job: Job, entry: Entry) -> str:
    """Writes the job's file, and returns a line about it."""
    decisions = np.cumsum([sum(record.decisions) for record in entry.records])
    rows = [
        {
            "iteration": record.iteration,
            "decisions": total,
            "cpu_seconds": counted,
            "all_cpu_seconds": all_of_them,
            "exploitability": max(record.exploitability, 0.0),
            "distance": record.distance,
            "support": max(record.support_size),
            "policies": record.size,
        }
        for record, total, counted, all_of_them in zip(
            entry.records, decisions, entry.cpu_seconds, entry.all_cpu_seconds, strict=True
        )
    ]
    of = {name: getattr(job, name) for name in ("field", "game", "variant", "seed")}
    table = pd.DataFrame(rows or [{}]).assign(**of, error=entry.error or "")
    table["population_exploitability"] = np.nan
    table.loc[table.index[-1], "population_exploitability"] = entry.population_exploitability
    aside = job.file.with_suffix(f".{os.getpid()}.tmp")
    table.to_csv(aside, index=False)
    aside.replace(job.file)
    last = f"{rows[-1]['exploitability']:.4f} after {rows[-1]['iteration']}" if rows else ""
    return f"{' '.join(map(str, of.values()))}: {last} {entry.error or ''}"


def jobs_of(arguments: argparse.Namespace) -> list[Job]:
    """What is missing in this shard."""
    shard, shards = map(int, arguments.shard.split("/"))
    jobs = [
        Job(
            field=field, game=game, variant=variant, seed=seed,
            file=arguments.runs / field / game / f"{variant}-{seed}.csv",
        )
        for seed in arguments.seeds
        for field in arguments.fields
        for game in arguments.games
        for variant in arguments.variants
        if entered(field, game, variant)
    ][shard::shards]  # fmt: skip
    return [job for job in jobs if not job.file.exists()]


def run(jobs: Sequence[Job], executing: ExecutorConfig, most: Mapping[str, float]) -> None:
    """Runs them. `most` replaces parts of every budget."""
    from psro.training.worker import completed

    tasks = [
        task_of(
            job, dataclasses.replace(LARGER.get((job.field, job.game), FIELDS[job.field]), **most)
        )
        for job in jobs
    ]
    start = time.monotonic()
    # A fresh process now and then: compiled code of finished runs is never given back.
    with executing.open(renew=RUNS_A_PROCESS) or contextlib.nullcontext() as pool:
        for done, (place, entry) in enumerate(completed(tasks, pool), start=1):
            if isinstance(entry, Exception):
                raise entry
            print(write(jobs[place], entry))
            print(f"{done} of {len(jobs)} in {time.monotonic() - start:.0f} s", flush=True)


def one_core_each() -> None:
    """One core a process, of this one and its workers: no variant gets another's. The caches are
    those of the command."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    from psro.cli import process

    process.use_caches()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fields", nargs="*", default=list(FIELDS), choices=FIELDS)
    parser.add_argument("--games", nargs="*", default=list(GAMES), choices=GAMES)
    parser.add_argument("--variants", nargs="*", default=VARIANTS, choices=VARIANTS)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--shard", default="0/1", help="i/n: every n-th run, from the i-th on")
    parser.add_argument("--runs", type=Path, default=HERE / "runs")
    parser.add_argument("--executor", choices=EXECUTORS, default="processes")
    parser.add_argument(
        "--workers", type=int, help="by default 2, on a cluster all it has room for"
    )
    parser.add_argument("--ray.address", dest="ray_address", help="as in psro run")
    parser.add_argument("--iterations", type=int, help="in the place of every budget's")
    parser.add_argument("--cpu-seconds", type=float, help="in the place of every budget's")
    drawing = parser.add_mutually_exclusive_group()
    drawing.add_argument("--draw", action="store_true", help="run nothing")
    drawing.add_argument("--no-draw", action="store_true", help="draw nothing")
    arguments = parser.parse_args()
    if not arguments.draw:
        one_core_each()
        from psro.training.executor_settings import ExecutorConfig

        workers = arguments.workers or (2 if arguments.executor == "processes" else None)
        executing = ExecutorConfig(
            executor=arguments.executor, workers=workers, ray_address=arguments.ray_address
        )
        most = {name: getattr(arguments, name) for name in ("iterations", "cpu_seconds")}
        jobs = jobs_of(arguments)
        for job in jobs:
            job.file.parent.mkdir(parents=True, exist_ok=True)
        run(jobs, executing, {name: value for name, value in most.items() if value is not None})
    if not arguments.no_draw:
        draw(arguments.runs, HERE, PUBLISHED)


if __name__ == "__main__":
    main()
