"""What an accelerator does with recurrent PPO: decisions a second, and the share of the device.

    python experiments/speed/accelerator.py --out FOLDER    # one GPU: under eight minutes
    python experiments/speed/accelerator.py --reduced       # small sizes, on any machine

Parts (`--parts`), each a table of tabs:

- `matrix`: the rate of one large matrix product, float32 (as JAX multiplies by default) and
  bfloat16, on random numbers. It is the ceiling that shares are taken of.
- `ppo`: best responses on Leduc and on phantom tic-tac-toe against a population of four networks,
  by episodes alone. For each LSTM width, number of jobs (best responses in one call), environments
  of all jobs together, and dtype: the learners' own decisions a second of wall time, and the useful
  operations as a share of the matrix rate of this dtype. A second counts from arguments on the host
  to results on the host. Compiling is left out, and reported beside. Programs compile in threads.
- `run`: seconds from nothing to exploitability 0.05 on Leduc: the command `psro run` in a process
  of its own, with compiling, exact evaluation and saving.
- `profile`: the kernels of one call of each of `--sizes` (by default of the first size), by their
  share of the device's time.

Useful operations of a decision: one forward pass of the learner's network, one of an opponent's
where there is one, and three (forward, and backward as two) in each of the epochs. A forward pass
is what XLA counts for one decision. Passes that masks throw away do not count.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import glob
import gzip
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # parts run in several processes

import jax
import jax.numpy as jnp
import numpy as np

from games.readers.opening import open_game
from psro.oracles import ORACLES, Jobs, PPOConfig
from psro.policies.policy import Policy

PARTS = ("matrix", "run", "ppo", "profile")
DTYPES = ("float32", "bfloat16")
LEDUC, PHANTOM = "leduc_poker", "phantom_ttt"
MEMBERS = 4
"""Policies of the opponent."""
MATRIX = 8192
"""Rows and columns of the matrices that are multiplied."""
MOST_ENVS = 65_536


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """What one call trains. `envs` are those of all jobs together."""

    game: str
    hidden: int
    jobs: int
    envs: int
    dtype: str

    @property
    def key(self) -> str:
        return f"{self.game}:{self.hidden}:{self.jobs}:{self.envs}:{self.dtype}"


def sizes(reduced: bool) -> list[Size]:
    """The most telling ones first: what is left when the minutes are over is not measured."""
    if reduced:
        return [
            Size(game=game, hidden=16, jobs=jobs, envs=64, dtype=dtype)
            for game, jobs, dtype in ((LEDUC, 1, "float32"), (PHANTOM, 2, "bfloat16"))
        ]
    envs, names = MOST_ENVS, (LEDUC, PHANTOM)
    order = [
        *itertools.product(names, (128,), (8,), (envs,), DTYPES),
        *itertools.product(names, (64, 256), (8,), (envs,), DTYPES),
        *itertools.product(names, (128,), (1, 64), (envs,), DTYPES[:1]),
        *itertools.product(names, (128,), (1,), (1_024, 8_192), DTYPES[:1]),
        *itertools.product(names, (64, 256), (1, 64), (envs,), DTYPES[:1]),
        *itertools.product(names, (64, 128, 256), (1, 64), (envs,), DTYPES[1:]),
    ]
    names = [field.name for field in dataclasses.fields(Size)]
    return [Size(**dict(zip(names, values, strict=True))) for values in order]


class Program:
    """One size, ready to be compiled and run."""

    def __init__(self, size: Size, arguments: argparse.Namespace):
        self.size = size
        backend = "auto" if size.game == LEDUC else "native"
        game = open_game(size.game, evaluation="sampled", backend=backend).game
        policy = Policy(
            observation_space=game.observation_space,
            action_space=game.action_space,
            hidden_size=size.hidden,
            cell="lstm",
            dtype=size.dtype,
        )
        per_update = size.envs // size.jobs * arguments.rollout_length
        self.config = PPOConfig(
            decisions=per_update * arguments.updates,
            evaluations=1,
            num_envs=size.envs // size.jobs,
            num_strata=min(16, size.envs // size.jobs),
            rollout_length=arguments.rollout_length,
            sequence_length=arguments.rollout_length,
            epochs=arguments.epochs,
            num_minibatches=arguments.num_minibatches,
        )
        self.oracle = ORACLES["ppo"](game, policy, self.config)
        networks = policy.init_many(jax.random.split(jax.random.key(0), 2 * MEMBERS))
        network = jax.tree.map(lambda leaf: leaf[0], networks)
        self.parameters = sum(int(leaf.size) for leaf in jax.tree.leaves(network))
        self.forward = forward_operations(policy, network)
        self.jobs = Jobs.of_one_run(
            jax.random.key(0),
            player=np.arange(size.jobs) % game.num_players,
            initial=jax.tree.map(
                lambda leaf: np.broadcast_to(leaf, (size.jobs, *leaf.shape)), network
            ),
            populations=jax.tree.map(
                lambda leaf: np.asarray(leaf).reshape(2, MEMBERS, *leaf.shape[1:]), networks
            ),
            opponents=np.full((size.jobs, MEMBERS), 1 / MEMBERS),
        )
        self.seconds_compiling = np.nan

    def compile(self) -> Program:
        begin = time.perf_counter()
        self.oracle.compile(self.jobs)
        self.seconds_compiling = time.perf_counter() - begin
        return self

    def run(self, seed: int) -> tuple[int, float]:
        """Own decisions of all learners, and seconds."""
        key = jnp.broadcast_to(jax.random.key(seed), self.size.jobs)
        jobs = dataclasses.replace(self.jobs, key=key)
        begin = time.perf_counter()
        results = self.oracle(jobs)
        decisions = int(np.asarray(results.decisions, np.int64).sum())
        if not np.isfinite(jax.tree.leaves(results.params)[0]).all():
            raise RuntimeError(f"{self.size.key}: not finite")
        return decisions, time.perf_counter() - begin

    @property
    def operations(self) -> float:
        """Useful operations of one decision."""
        return self.forward * (2 + 3 * self.config.epochs)


def forward_operations(policy: Policy, network: Any) -> float:
    """What XLA counts for one decision of a batch."""
    batch, space = 128, policy.observation_space
    compiled = (
        jax.jit(policy)
        .lower(
            network,
            jnp.zeros((batch, *space.shape), jnp.float32),
            policy.no_action((batch,)),
            policy.initial_carry((batch,)),
        )
        .compile()
    )
    analysis = compiled.cost_analysis()
    analysis = analysis[0] if isinstance(analysis, list) else analysis
    return float(analysis["flops"]) / batch


def matrix_rates(size: int, repeats: int = 20) -> Iterator[tuple[str, float]]:
    """Operations a second of a square matrix product, by dtype."""
    for dtype in DTYPES:
        left, right = (
            jax.random.normal(jax.random.key(n), (size, size), dtype=dtype) for n in (0, 1)
        )
        multiply = jax.jit(lambda left, right: left @ right)
        multiply(left, right).block_until_ready()
        times = []
        for _ in range(3):
            begin = time.perf_counter()
            for _ in range(repeats):
                result = multiply(left, right)
            result.block_until_ready()
            times.append((time.perf_counter() - begin) / repeats)
        yield dtype, 2 * size**3 / sorted(times)[1]


def measure_ppo(arguments: argparse.Namespace, rates: dict[str, float], end: float) -> list[dict]:
    """A row for each size. All are compiled first, in threads, so that nothing compiles while
    another program is timed. From `end` on no size is begun."""
    todo = chosen(arguments)
    with concurrent.futures.ThreadPoolExecutor(arguments.threads) as pool:
        futures = [pool.submit(prepared, size, arguments, end) for size in todo]
    say("game", "hidden", "jobs", "envs", "dtype", "parameters", "compile s", "decisions/s",
        "spread", "Mops/decision", "share of matrix rate")  # fmt: skip
    return [
        outcome(size, future, arguments, rates) for size, future in zip(todo, futures, strict=True)
    ]


def prepared(size: Size, arguments: argparse.Namespace, end: float = np.inf) -> Program:
    if time.perf_counter() > end:
        raise TimeoutError("not begun, the minutes are over")
    return Program(size, arguments).compile()


def outcome(
    size: Size,
    future: concurrent.futures.Future[Program],
    arguments: argparse.Namespace,
    rates: dict[str, float],
) -> dict:
    """Times a compiled program, and prints its row. A size that fails is a row, too."""
    try:
        program = future.result()
        program.run(0)
        speeds = sorted(
            decisions / seconds
            for decisions, seconds in (program.run(1 + n) for n in range(arguments.repeats))
        )
    except Exception as error:  # out of memory, say
        say(f"# {size.key}: {type(error).__name__}: {str(error)[:200]}")
        return {**dataclasses.asdict(size), "error": str(error)[:1000]}
    speed = speeds[len(speeds) // 2]
    share = speed * program.operations / rates[size.dtype] if rates else np.nan
    say(size.game, size.hidden, size.jobs, size.envs, size.dtype, program.parameters,
        f"{program.seconds_compiling:.1f}", f"{speed:,.0f}", f"{speeds[-1] / speeds[0]:.2f}",
        f"{program.operations / 1e6:.2f}", f"{share:.2%}")  # fmt: skip
    return {
        **dataclasses.asdict(size),
        "parameters": program.parameters,
        "seconds_compiling": program.seconds_compiling,
        "decisions_per_second": speed,
        "spread": speeds[-1] / speeds[0],
        "operations_per_decision": program.operations,
        "share_of_matrix_rate": share,
    }


def chosen(arguments: argparse.Namespace) -> list[Size]:
    every = sizes(arguments.reduced)
    return [size for size in every if not arguments.sizes or size.key in arguments.sizes]


def measure_run(arguments: argparse.Namespace) -> dict:
    """`psro run` from nothing to an exploitability on Leduc."""
    with tempfile.TemporaryDirectory() as folder:
        out, caches = Path(folder, "run"), Path(folder, "caches")
        command = [
            sys.executable, "-m", "psro", "run", "--config", "experiments/leduc_ppo.toml",
            "--tolerance", "0.05", "--patience", "1000", "--seed", "0", "--out", str(out),
            *(("--iterations", "1", "--ppo.decisions", "2048") if arguments.reduced else ()),
            *arguments.run_options,
        ]  # fmt: skip
        begin = time.perf_counter()
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=arguments.run_seconds,
                env=os.environ | {"XDG_CACHE_HOME": str(caches)},
            )  # fmt: skip
            words = (done.stdout + done.stderr)[-400:] if done.returncode else ""
        except subprocess.TimeoutExpired:
            words = f"stopped after {arguments.run_seconds:.0f} s"
        seconds = time.perf_counter() - begin
        curve = out / "metrics.csv"
        last = curve.read_text().splitlines()[-1] if curve.is_file() else "no iteration"
    say("seconds to 0.05", f"{seconds:.1f}", words)
    say("# last row:", last)
    return {"seconds": seconds, "words": words, "last": last}


def profile(arguments: argparse.Namespace) -> list[dict]:
    """The kernels of one call of each size, and their share of its time."""
    rows = []
    for size in chosen(arguments)[: None if arguments.sizes else 1]:
        program = prepared(size, arguments)
        program.run(0)
        with tempfile.TemporaryDirectory() as folder:
            with jax.profiler.trace(folder):
                decisions, seconds = program.run(1)
            kernels = device_kernels(folder)
        spent = sum(kernel["seconds"] for kernel in kernels)
        launches = sum(kernel["launches"] for kernel in kernels)
        say(f"# {size.key}: {decisions:,} decisions in {seconds:.3f} s, profiled; "
            f"the device worked {spent:.3f} s in {launches:,} kernels")  # fmt: skip
        for kernel in kernels[:30]:
            say(f"{kernel['seconds'] / spent:.1%}", kernel["launches"],
                f"{kernel['seconds'] / kernel['launches'] * 1e6:.1f} us",
                kernel["name"][:60], kernel["operation"][-120:])  # fmt: skip
        rows.append({"size": size.key, "seconds": seconds, "kernels": kernels})
    return rows


def device_kernels(folder: str) -> list[dict]:
    """Name, JAX operation, seconds and launches of each kernel on the accelerator's streams, from
    the profiler's own file of events; the longest first."""
    kernels: dict[tuple[str, str], dict] = {}
    for path in glob.glob(f"{folder}/**/*.trace.json.gz", recursive=True):
        with gzip.open(path) as file:
            events = json.load(file)["traceEvents"]
        devices = {
            event["pid"] for event in events
            if event.get("name") == "process_name" and "/device:" in event["args"]["name"]
        }  # fmt: skip
        streams = {
            (event["pid"], event["tid"]) for event in events
            if event.get("name") == "thread_name" and event["pid"] in devices
            and "Stream" in event["args"]["name"]
        }  # fmt: skip
        for event in events:
            if "dur" not in event or (event["pid"], event["tid"]) not in streams:
                continue
            details = event.get("args", {})
            operation = str(details.get("tf_op") or details.get("name") or "")
            key = (event["name"], operation)
            kernel = kernels.setdefault(
                key, {"name": key[0], "operation": operation, "seconds": 0.0, "launches": 0}
            )
            kernel["seconds"] += event["dur"] / 1e6
            kernel["launches"] += 1
    return sorted(kernels.values(), key=lambda kernel: -kernel["seconds"])


def say(*words: Any) -> None:
    print("\t".join(map(str, words)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--reduced", action="store_true", help="small sizes, on any machine")
    parser.add_argument("--sizes", nargs="+", help="game:hidden:jobs:envs:dtype; by default all")
    parser.add_argument("--minutes", type=float, default=7.0, help="no size is begun afterwards")
    parser.add_argument("--updates", type=int, default=4, help="rollouts of each call")
    parser.add_argument("--rollout-length", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--num-minibatches", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3, help="timed calls; the median counts")
    parser.add_argument("--run-seconds", type=float, default=240.0, help="most for the part run")
    parser.add_argument("--run-options", nargs=argparse.REMAINDER, default=[],
                        help="last: more options of psro run")  # fmt: skip
    parser.add_argument("--threads", type=int, default=12, help="threads that compile")
    parser.add_argument("--out", type=Path, help="a folder for accelerator.json")
    arguments = parser.parse_args()
    end = time.perf_counter() + 60 * arguments.minutes
    device = jax.devices()[0]
    say(f"# {device.device_kind}, {len(jax.devices())} device(s), jax {jax.__version__}")
    report: dict[str, Any] = {"device": device.device_kind, "jax": jax.__version__}
    rates: dict[str, float] = {}
    parts: dict[str, Callable[[], Any]] = {
        "matrix": lambda: dict(matrix_rates(512 if arguments.reduced else MATRIX)),
        "run": lambda: measure_run(arguments),
        "ppo": lambda: measure_ppo(arguments, rates, end),
        "profile": lambda: profile(arguments),
    }
    for part in PARTS:
        if part not in arguments.parts:
            continue
        begin = time.perf_counter()
        report[part] = parts[part]()
        if part == "matrix":
            rates.update(report[part])
            for dtype, rate in rates.items():
                say("matrix", dtype, f"{rate / 1e12:.1f} Tops/s")
        say(f"# {part}: {time.perf_counter() - begin:.0f} s")
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            (arguments.out / "accelerator.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
