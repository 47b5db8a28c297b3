"""Every variant of the PSRO family on ten games, at equal budgets.

    python experiments/leaderboard/leaderboard.py                   # run what is missing, then draw
    python experiments/leaderboard/leaderboard.py --shard 0/4       # a quarter of it, elsewhere
    python experiments/leaderboard/leaderboard.py --draw            # only the tables and figures

Two fields compete: `exact` has exact best responses as tables, which leaves nothing but the variant
to differ, and `ppo` recurrent networks that play episodes; `long` are recurrent runs of a few as
long as a published result took. A run ends with the first budget that is used up: iterations,
learner decisions (of both players together) or CPU seconds. Every run is one CSV file in --runs, by
field, game, variant and seed, and is not repeated; so the command can be stopped, and files of
several machines can be put together. Then results.csv, table.md and one figure a game are written
beside this file.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import multiprocessing
import os
import shutil
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
from draw import Published, draw

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
        Published(name="PSRO-PPO", exploitability=0.80, episodes=20 * 60_000),
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


def run(field: str, game: str, variant: str, seed: int, file: Path) -> str:
    """One run, to its file; returns a line about it."""
    begun = time.process_time()
    import psro
    from psro.exact import sequence_form
    from psro.runs.config import RunConfig
    from psro.runs.experiment import create
    from psro.variants.published import VARIANTS as KNOWN

    budget = LARGER.get((field, game), FIELDS[field])
    folder = Path(tempfile.mkdtemp(prefix="leaderboard-"))
    rows, error = [], ""
    try:
        name = GAMES[game]
        if game in ("skill", "disc"):
            name = str(folder / f"{game}.npy")
            np.save(name, matrix(game, seed))
        settings = {} if variant == DEFAULT else dict(KNOWN[variant].settings)
        if field == "exact":
            settings.pop("init", None)  # tables start from nothing
        oracle = settings.pop("oracle", "best_response" if field == "exact" else "ppo")
        own = settings.get("ppo", {})  # diversity terms want to know info states
        settings["ppo"] = {**(LONG if field == "long" else SHORT)[game], **own}
        config = RunConfig.from_json(
            {
                "game": name, "seed": seed, "oracle": oracle, "iterations": budget.iterations,
                "tolerance": 0.0, **settings,
            }
        )  # fmt: skip
        start = time.process_time()
        experiment = create(config, folder / "run")
        decisions = 0
        for record in experiment.train():
            decisions += sum(record.decisions)
            if oracle != "best_response" and record.iteration <= 1:
                start = time.process_time()
            used = time.process_time() - start
            rows.append(
                {
                    "iteration": record.iteration,
                    "decisions": decisions,
                    "cpu_seconds": used,
                    "all_cpu_seconds": time.process_time() - begun,
                    "exploitability": max(record.exploitability, 0.0),
                    "distance": record.distance,
                    "support": max(record.support_size),
                    "policies": record.size,
                }
            )
            if used > budget.cpu_seconds or decisions > budget.decisions:
                break
        plans = psro.load(folder / "run").plans
        least = sequence_form.population_exploitability(experiment.tree, plans)
        population = max(least.measured.exploitability, 0.0)
    except ValueError as refused:
        error, population = str(refused), np.nan
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table = pd.DataFrame(rows or [{}]).assign(
        field=field, game=game, variant=variant, seed=seed, error=error
    )
    table["population_exploitability"] = np.nan
    table.loc[table.index[-1], "population_exploitability"] = population
    aside = file.with_suffix(f".{os.getpid()}.tmp")
    table.to_csv(aside, index=False)
    aside.replace(file)
    last = f"{rows[-1]['exploitability']:.4f} after {rows[-1]['iteration']}" if rows else ""
    return f"{field} {game} {variant} {seed}: {last} {error}"


def run_many(jobs: list[tuple[str, str, str, int, Path]]) -> list[str]:
    return [run(*job) for job in jobs]


def start_worker() -> None:
    """One core a process: no variant gets another's."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    import jax

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "psro"
    jax.config.update("jax_compilation_cache_dir", str(cache / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    os.environ.setdefault("PSRO_TREE_CACHE", str(cache / "trees"))


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
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--draw", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    if not arguments.draw:
        shard, shards = map(int, arguments.shard.split("/"))
        jobs = [
            (field, game, variant, seed, folder / f"{variant}-{seed}.csv")
            for seed in arguments.seeds
            for field in arguments.fields
            for game in arguments.games
            for variant in arguments.variants
            if entered(field, game, variant)
            for folder in [arguments.runs / field / game]
        ][shard::shards]
        jobs = [job for job in jobs if not job[-1].exists()]
        for job in jobs:
            job[-1].parent.mkdir(parents=True, exist_ok=True)
        # A fresh process now and then: compiled code of finished runs is never given back.
        chunks = [jobs[first : first + 12] for first in range(0, len(jobs), 12)]
        start, done = time.monotonic(), 0
        with concurrent.futures.ProcessPoolExecutor(
            arguments.processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=start_worker,
            max_tasks_per_child=1,
        ) as pool:
            for lines in concurrent.futures.as_completed(
                [pool.submit(run_many, chunk) for chunk in chunks]
            ):
                done += len(lines.result())
                print("\n".join(lines.result()))
                print(f"{done} of {len(jobs)} in {time.monotonic() - start:.0f} s", flush=True)
    draw(arguments.runs, HERE, PUBLISHED)


if __name__ == "__main__":
    main()
