"""Exploitability against CPU seconds: `psro` beside OpenSpiel's `psro_v2`, on the same games.

    python experiments/speed/psro_v2.py --out FOLDER --budget 480

Every run is a process of its own that trains until its exploitability is at most the game's target
or until it has used up `--budget` CPU seconds, whichever comes first. What comes later is dropped,
and the kernel ends an iteration that goes on for long after that. Runs follow each other, so that
none disturbs another.

CPU seconds are of all threads and children, from before the game is loaded to the iteration's
end; importing packages is left out. Ours count everything that an iteration does: training, exact
payoffs, the meta-solver, exact exploitability, saving; a run of two iterations comes before and is
not counted, which leaves the compiled code in a cache, as any second run finds it. Theirs count
`PSROSolver.iteration`, and not what measuring takes.

Exploitability (NashConv / 2) is exact on both sides and computed by `psro.exact`: every policy of
their populations is asked for its action probabilities at every info state, and the mixture by
their meta-strategies is measured. At the end of a run OpenSpiel's own `policy_aggregator` and
`nash_conv` measure the same mixture again; the difference is in the table.

OpenSpiel's oracles: `br` (exact best responses, its C++), `dqn` and `pg` (its torch agents). Its
`psro_v2` needs cvxpy and ecos, and its agents torch and, because `psro_v2.rl_policy` imports the
jax ones, dm-haiku, rlax and distrax. Torch runs on one thread, so that idle ones cost it nothing.
`--theirs NAME=VALUE` changes a setting in `THEIRS` or `COMMON`, `--ours NAME=VALUE` one of
`RunConfig` (`--ours ppo.clip=0.1`).
"""

import argparse
import contextlib
import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

TARGETS = {"kuhn_poker": 0.05, "leduc_poker": 0.77}
PEERS = ("br", "dqn", "pg")

OURS: dict[str, dict[str, Any]] = {
    "kuhn_poker": {"iterations": 31},
    "leduc_poker": {"iterations": 63, "hidden_size": 64, "cell": "gru", "ppo.decisions": 65_536},
}
"""`RunConfig` by game, where it is not the default."""

THEIRS: dict[str, dict[str, dict[str, Any]]] = {
    "br": {
        "kuhn_poker": {"sims_per_entry": 1000},
        "leduc_poker": {"sims_per_entry": 1000},
    },
    "dqn": {
        "kuhn_poker": {"sims_per_entry": 1000, "episodes": 1000, "update_target_every": 100},
        "leduc_poker": {"sims_per_entry": 1000, "episodes": 4000, "update_target_every": 300},
    },
    "pg": {
        "kuhn_poker": {"sims_per_entry": 1000, "episodes": 4000},
        "leduc_poker": {"sims_per_entry": 1000, "episodes": 10_000},
    },
}
"""Settings by oracle and game: simulations per payoff, training episodes per best response, own
steps between updates of a DQN's target network."""

COMMON = {"hidden": 64, "layers": 2, "learning_rate": 1e-3, "learn_every": 4, "batch_size": 32}


def cpu_seconds() -> float:
    """Of this process and its children, all threads."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def train_ours(game: str, oracle: str, settings: dict[str, Any], seed: int) -> Iterator[dict]:
    """A row for every iteration of a `psro.run`."""
    import jax

    from psro import RunConfig
    from psro.runs import experiment

    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    config = RunConfig(game=game, oracle=oracle, seed=seed)
    for name, value in settings.items():
        config = _replace(config, name.split("."), value)
    with _measured() as measure, tempfile.TemporaryDirectory() as folder:
        for record in experiment.create(config, Path(folder) / "run").train():
            yield measure(record.iteration, record.exploitability)


def train_theirs(game: str, oracle: str, settings: dict[str, Any], seed: int) -> Iterator[dict]:
    """A row for every iteration of a `psro_v2.PSROSolver`."""
    import pyspiel
    from open_spiel.python import policy, rl_environment
    from open_spiel.python.algorithms.psro_v2 import best_response_oracle, psro_v2, rl_oracle

    import games

    if oracle != "br":
        import torch
        from open_spiel.python.algorithms.psro_v2.rl_policy import rl_policy_factory
        from open_spiel.python.pytorch import dqn, policy_gradient

        torch.set_num_threads(1)
        torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (OpenSpiel draws from it)
    tree = games.load(game)
    with _measured() as measure:
        rules = pyspiel.load_game(game)
        if oracle == "br":
            uniform = policy.TabularPolicy(rules)
            best_response = best_response_oracle.BestResponseOracle(game=rules, policy=uniform)
            initial = [uniform.__copy__() for _ in range(2)]
        else:
            environment = rl_environment.Environment(rules)
            size = environment.observation_spec()["info_state"][0]
            layers = [settings["hidden"]] * settings["layers"]
            if oracle == "dqn":
                agent = rl_policy_factory(dqn.DQN)
                arguments = {
                    "state_representation_size": size,
                    "num_actions": rules.num_distinct_actions(),
                    "hidden_layers_sizes": layers,
                    "batch_size": settings["batch_size"],
                    "learning_rate": settings["learning_rate"],
                    "update_target_network_every": settings["update_target_every"],
                    "learn_every": settings["learn_every"],
                    "min_buffer_size_to_learn": settings["batch_size"],
                    "optimizer_str": "adam",
                    "seed": seed,
                }
            else:

                class PolicyGradient(policy_gradient.PolicyGradient):
                    """Theirs, whose copy fails in OpenSpiel 2.0.2 (it looks for the weights of a
                    `Sequential`); it too would have been one with new weights."""

                    def copy_with_noise(self, sigma=0.0):
                        self._kwargs.pop("self", None)
                        return PolicyGradient(**self._kwargs)

                agent = rl_policy_factory(PolicyGradient)
                arguments = {
                    "info_state_size": size,
                    "num_actions": rules.num_distinct_actions(),
                    "hidden_layers_sizes": layers,
                    "batch_size": settings["batch_size"],
                    "critic_learning_rate": 1e-2,
                    "pi_learning_rate": settings["learning_rate"],
                    "entropy_cost": 1e-3,
                    "loss_str": "qpg",
                    "optimizer_str": "adam",
                }
            best_response = rl_oracle.RLOracle(
                environment,
                agent,
                arguments,
                number_training_episodes=settings["episodes"],
                self_play_proportion=0.0,
                sigma=0.0,
            )
            initial = [agent(environment, player, **arguments) for player in range(2)]
            for each in initial:
                each.freeze()
        solver = psro_v2.PSROSolver(
            rules,
            best_response,
            initial_policies=initial,
            training_strategy_selector="probabilistic",
            rectifier="",
            sims_per_entry=settings["sims_per_entry"],
            number_policies_selected=1,
            meta_strategy_method="nash",
            sample_from_marginals=True,
        )
        population = Measured(tree, rules)
        iteration = 0
        while True:
            with measure.aside():
                exploitability = population.exploitability(solver)
            row = measure(iteration, exploitability)
            with measure.aside():
                row["check"] = lambda: population.openspiel_exploitability(solver)
                yield row
            solver.iteration()
            iteration += 1


class Measured:
    """The exact exploitability of a `PSROSolver`'s mixture; every policy is asked once."""

    def __init__(self, tree, rules):
        from open_spiel.python import policy

        self._tree, self._rules = tree, rules
        self._states = policy.TabularPolicy(rules).states  # one for every info state
        self._plans = [[] for _ in tree.players]

    def exploitability(self, solver) -> float:
        from psro import exact

        for p, policies in enumerate(solver.get_policies()):
            for each in policies[len(self._plans[p]) :]:
                self._plans[p].append(
                    exact.realization_plan(self._tree.players[p], self._behaviour(p, each))
                )
        mixture = [
            exact.mix(np.stack(plans), weights)
            for plans, weights in zip(self._plans, solver.get_meta_strategies(), strict=True)
        ]
        return exact.exploitability(self._tree, mixture).exploitability

    def openspiel_exploitability(self, solver) -> float:
        from open_spiel.python.algorithms import exploitability, policy_aggregator

        mixture = policy_aggregator.PolicyAggregator(self._rules).aggregate(
            range(2), solver.get_policies(), solver.get_meta_strategies()
        )
        return exploitability.nash_conv(self._rules, mixture) / 2

    def _behaviour(self, player: int, policy) -> np.ndarray:
        mine = self._tree.players[player]
        asked = {
            state.information_state_string(player): policy.action_probabilities(state)
            for state in self._states
            if state.current_player() == player
        }
        behaviour = np.ones(mine.num_sequences)
        for s in range(1, mine.num_sequences):
            probabilities = asked[mine.keys[mine.info_state[s]]]
            behaviour[s] = probabilities.get(int(mine.action[s]), 0.0)
        return behaviour


class _measured(contextlib.AbstractContextManager):
    """Makes rows of wall and CPU seconds since it was entered, less those spent `aside`."""

    def __enter__(self):
        self._wall, self._cpu = time.perf_counter(), cpu_seconds()
        return self

    def __exit__(self, *_):
        pass

    def __call__(self, iteration: int, exploitability: float) -> dict[str, Any]:
        return {
            "iteration": iteration,
            "cpu_seconds": cpu_seconds() - self._cpu,
            "wall_seconds": time.perf_counter() - self._wall,
            "exploitability": float(exploitability),
        }

    @contextlib.contextmanager
    def aside(self):
        wall, cpu = time.perf_counter(), cpu_seconds()
        yield
        self._wall += time.perf_counter() - wall
        self._cpu += cpu_seconds() - cpu


def _replace(config, path: list[str], value):
    """A frozen dataclass with the field at a dotted path replaced."""
    name, *below = path
    if below:
        value = _replace(getattr(config, name), below, value)
    return dataclasses.replace(config, **{name: value})


def child(job: dict[str, Any]) -> None:
    """Trains as `job` says and prints a JSON line per iteration; the kernel ends it at its budget.

    What a peer prints goes to the error stream.
    """
    out, sys.stdout = sys.stdout, sys.stderr
    train = train_theirs if job["peer"] else train_ours
    rows = train(job["game"], job["oracle"], job["settings"], job["seed"])
    # Room for the imports, which come first and are not counted.
    limit = int(time.process_time() + job["budget"] + 30)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
    for row in rows:
        check = row.pop("check", None)
        done = (
            row["exploitability"] <= job["target"]
            or row["cpu_seconds"] >= job["budget"]
            or row["iteration"] >= job["iterations"]
        )
        if done and check is not None:
            row["openspiel"] = float(check())
        print(json.dumps(row), file=out, flush=True)
        if done:
            break


def run(job: dict[str, Any], environment: dict[str, str]) -> pd.DataFrame:
    """The rows of `job` in a process of its own; those that came before its time was up."""
    process = subprocess.run(
        [sys.executable, __file__, "--child", json.dumps(job)],
        env=environment,
        capture_output=True,
        text=True,
    )
    rows = [json.loads(line) for line in process.stdout.splitlines()]
    if process.returncode not in (0, -signal.SIGXCPU) or not rows:
        raise SystemExit(f"{job} failed with {process.returncode}:\n{process.stderr[-3000:]}")
    rows = pd.DataFrame(rows)
    return rows[rows["cpu_seconds"] <= job["budget"]]


def reached(rows: pd.DataFrame, target: float) -> tuple[float, float]:
    """CPU and wall seconds at the first row at or below `target`; NaN if there is none."""
    below = rows[rows["exploitability"] <= target]
    if below.empty:
        return float("nan"), float("nan")
    return float(below["cpu_seconds"].iloc[0]), float(below["wall_seconds"].iloc[0])


def plot(rows: pd.DataFrame, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(rows["game"]))
    figure, axes = pyplot.subplots(1, len(names), figsize=(6 * len(names), 4), squeeze=False)
    labels = list(dict.fromkeys(rows["run"]))
    for axis, name in zip(axes[0], names, strict=True):
        for (label, _), curve in rows[rows["game"] == name].groupby(["run", "seed"], sort=False):
            number = labels.index(label)
            first = curve["seed"].iloc[0] == rows["seed"].iloc[0]
            axis.plot(
                curve["cpu_seconds"],
                np.maximum(curve["exploitability"], 1e-4),
                color=f"C{number}",
                marker="o",
                markersize=3,
                label=label if first else None,
            )
        axis.axhline(TARGETS[name], color="grey", linestyle=":", label="target")
        axis.set(
            xscale="log",
            yscale="log",
            xlabel="CPU seconds",
            ylabel="exploitability of the meta-strategy (exact)",
            title=name,
        )
        axis.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def setting(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder of the CSV, the table and the figure")
    parser.add_argument("--games", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--oracles", nargs="*", default=["ppo"], help="ours")
    parser.add_argument("--peers", nargs="*", default=["br", "dqn"], choices=PEERS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--budget", type=float, default=480.0, help="CPU seconds of every run")
    parser.add_argument("--whole-budget", action="store_true", help="do not stop at the target")
    parser.add_argument("--ours", type=setting, nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--theirs", type=setting, nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(json.loads(arguments.child))
        return
    if arguments.out is None:
        parser.error("--out is required")
    arguments.out.mkdir(parents=True, exist_ok=True)
    everything, lines = [], []
    for game in arguments.games:
        results = []
        for name in [*arguments.oracles, *arguments.peers]:
            peer = name not in arguments.oracles
            job = {
                "game": game,
                "oracle": name,
                "peer": peer,
                "settings": {**COMMON, **THEIRS[name][game], **dict(arguments.theirs)}
                if peer
                else {**OURS[game], **dict(arguments.ours)},
                "target": 0.0 if arguments.whole_budget else TARGETS[game],
                "budget": arguments.budget,
                "iterations": 10**9,
            }
            for seed in arguments.seeds:
                with tempfile.TemporaryDirectory() as cache:
                    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache}
                    if not peer:  # fills the cache
                        warm = {**job, "seed": seed, "iterations": 2, "target": 0.0}
                        run({**warm, "budget": 1e6}, environment)
                    rows = run({**job, "seed": seed}, environment)
                label = f"{'OpenSpiel' if peer else 'ours'}, {name}"
                rows = rows.assign(game=game, run=label, seed=seed)
                everything.append(rows)
                results.append((label, seed, rows))
                pd.concat(everything).to_csv(arguments.out / "psro_v2.csv", index=False)
        baseline = min(
            (reached(rows, TARGETS[game])[0] for label, _, rows in results if "ours" in label),
            default=float("nan"),
        )
        if not lines:
            lines += [
                "| game | target | run | seed | iterations | last exploitability | "
                "differs from OpenSpiel's by | CPU s to target | wall s to target | "
                "CPU times our best |",
                "|---|---|---|---|---|---|---|---|---|---|",
            ]
            print("\n".join(lines))
        for label, seed, rows in results:
            cpu, wall = reached(rows, TARGETS[game])
            last = rows.iloc[-1]
            difference = abs(last.get("openspiel", np.nan) - last["exploitability"])
            took, ratio = f"{cpu:.1f} | {wall:.1f}", f"{cpu / baseline:.1f}"
            if np.isnan(cpu):
                cpu, wall = last["cpu_seconds"], last["wall_seconds"]
                took, ratio = f"not in {cpu:.0f} | not in {wall:.0f}", f"over {cpu / baseline:.1f}"
            lines.append(
                f"| {game} | {TARGETS[game]} | {label} | {seed} | {last['iteration']:.0f} | "
                f"{last['exploitability']:.4f} | "
                f"{'' if np.isnan(difference) else f'{difference:.0e}'} | {took} | "
                f"{'' if np.isnan(baseline) else ratio} |"
            )
            print(lines[-1], flush=True)
    (arguments.out / "psro_v2.md").write_text("\n".join(lines) + "\n")
    plot(pd.concat(everything), arguments.out / "psro_v2.png")


if __name__ == "__main__":
    main()
