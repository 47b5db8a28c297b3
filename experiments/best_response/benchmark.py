"""How good is an oracle? Share of the exact gain that it reaches, and what it costs.

Opponents are fixed mixtures: the meta-strategies of saved runs at population sizes 1, 5, 10 and 20
(the runs are made first, by the oracle `distill`, and kept). Against each of them every oracle
trains a best response for both players, and

    share = (achieved - current) / (best response - current)

where `current` is what the mixture itself gets and `best response` what the exact one gets. A share
is left out where there is less than 0.001 to gain, in units of the game's largest return.

Writes `results.csv` (a row per best response and evaluation) and `results.png`, prints medians.
Seconds are of a call for both players together, compiled code not counted; within a call they are
taken to pass evenly from evaluation to evaluation.
"""

import argparse
import dataclasses
import time
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import psro
from games.tree_game import TreeGame
from psro import exact
from psro.metagame.solvers import META_SOLVERS
from psro.oracles import CONFIGS, ORACLES, ExactView, Jobs
from psro.policies.policy import Policy
from psro.runs.setup import network_of

GAMES = ("kuhn_poker", "leduc_poker", "liars_dice(numdice=1)")
SIZES = (1, 5, 10, 20)


def opponents(game: str, seed: int, folder: Path) -> psro.Experiment:
    """A run of 19 iterations, made when it is not there yet."""
    name = f"{game.split('(')[0]}-{seed}"
    if (folder / name).exists():
        return psro.resume(folder / name)
    config = psro.RunConfig(
        game=game, oracle="distill", iterations=max(SIZES) - 1, seed=seed, tolerance=0.0
    )
    return psro.run(config, folder / name)


def jobs_against(
    run: psro.Experiment, policy: Policy, size: int, seed: int
) -> tuple[Jobs, np.ndarray]:
    """Both players' jobs, of networks `policy`, against the meta-strategy of the first `size`
    policies, and the value of that meta-strategy, `[P]`."""
    tree = run.tree
    weights = META_SOLVERS["nash"](run.payoffs[:, :size, :size])
    mixture = [exact.mix(plans[:size], own) for plans, own in zip(run.plans, weights, strict=True)]
    populations = jax.tree.map(lambda *leaves: np.stack(leaves), *run.populations)
    padding = max(SIZES) - size  # one capacity: compiled once
    gains, reach = zip(*(exact.gains_and_reach(tree, p, mixture) for p in range(2)), strict=True)
    return Jobs.of_one_run(
        jax.random.fold_in(jax.random.key(seed), size),
        player=np.arange(2),
        initial=policy.init_many(jax.random.split(jax.random.key(1000 + seed), 2)),
        populations=jax.tree.map(lambda leaf: leaf[:, : max(SIZES)], populations),
        opponents=np.stack([np.pad(weights[1 - p], (0, padding)) for p in range(2)]),
        exact=ExactView(gains=gains, reach=reach, mixture=[mixture] * 2, bonus=None),
    ), exact.returns(tree, mixture)


def measure(name: str, settings: dict, game: str, seeds: range, folder: Path) -> pd.DataFrame:
    """One oracle on one game."""
    rows, oracle, policy = [], None, None
    for seed in seeds:
        run = opponents(game, seed, folder)
        tree = run.tree
        if oracle is None:
            config = CONFIGS[name](**settings)
            played = TreeGame(tree)
            policy = network_of(name, run.config, played)
            oracle = ORACLES[name](played, policy, config)
            if ORACLES[name].world_model:  # opponents are what they are
                oracle = oracle.against(run.policy_network)
            oracle(jobs_against(run, policy, 1, 0)[0])  # compiles
        for size in SIZES:
            jobs, current = jobs_against(run, policy, size, seed)
            wall, cpu = time.perf_counter(), time.process_time()
            results = oracle(jobs)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            for p in range(2):
                best = exact.best_response_to(tree.players[p], jobs.exact.gains[p]).value
                share = (np.fmax.accumulate(results.curve[p]) - current[p]) / (best - current[p])
                if best - current[p] < 1e-3 * tree.max_return:
                    share[:] = np.nan
                last = int(np.flatnonzero(~np.isnan(results.curve[p]))[-1])
                longest = int((~np.isnan(results.curve)).sum(axis=1).max()) - 1
                for done in range(last + 1):
                    rows.append(
                        {
                            "game": game,
                            "oracle": name,
                            "setting": setting_name(settings),
                            "size": size,
                            "seed": seed,
                            "player": p,
                            "gain": best - current[p],
                            "evaluation": done,
                            "last": done == last,
                            "share": share[done],
                            "decisions": int(results.decisions[p] * done / max(last, 1)),
                            "cpu_seconds": cpu * done / max(longest, 1),
                            "wall_seconds": wall * done / max(longest, 1),
                        }
                    )
    return pd.DataFrame(rows)


def setting_name(settings: dict) -> str:
    return " ".join(f"{key}={value}" for key, value in settings.items())


def draw(table: pd.DataFrame, path: Path) -> None:
    """Medians of the share not reached, against decisions and CPU seconds, a row per game."""
    played = list(dict.fromkeys(table["game"]))
    figure, axes = plt.subplots(
        len(played), 2, figsize=(11, 3.4 * len(played)), squeeze=False, layout="constrained"
    )
    for row, game in zip(axes, played, strict=True):
        for axis, what in zip(row, ("decisions", "cpu_seconds"), strict=True):
            for (oracle, setting), rows in table[table["game"] == game].groupby(
                ["oracle", "setting"], sort=False
            ):
                if what == "decisions" and not rows["decisions"].any():
                    continue
                runs = rows.pivot_table(
                    index="evaluation", columns=["size", "seed", "player"], values="share"
                )
                median = runs.ffill().median(axis=1)  # what has ended stays where it is
                axis.plot(
                    rows.groupby("evaluation")[what].median().iloc[1:],
                    np.maximum(1 - median.iloc[1:], 1e-4),
                    marker=".",
                    label=f"{oracle} {setting}".strip(),
                )
            axis.set(xscale="log", yscale="log", xlabel=what.replace("_", " "), title=game)
            axis.axhline(0.05, color="grey", linewidth=0.8, linestyle=":")
            axis.legend(fontsize=7)
        row[0].set_ylabel("share of the exact gain not reached")
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--games", nargs="+", default=GAMES)
    parser.add_argument("--oracles", nargs="+", default=list(CONFIGS), choices=list(CONFIGS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0, help="another one to tune with")
    parser.add_argument(
        "--decisions", type=int, nargs="+", default=[65_536, 262_144], help="of sampled oracles"
    )
    parser.add_argument(
        "--set", nargs="+", default=[], help="settings of the oracles named: learning_rate=0.003"
    )
    parser.add_argument("--out", type=Path, default=Path("experiments/best_response/results"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    tables = []
    print("| game | oracle | share: median | worst | at sizes 1, 5, 10, 20 | CPU s | wall s |")
    print("|---|---|---|---|---|---|---|")
    for game in arguments.games:
        for name in arguments.oracles:
            fields = {field.name: field.type for field in dataclasses.fields(CONFIGS[name])}
            own = dict(each.split("=") for each in arguments.set)
            own = {k: int(v) if fields[k] == "int" else float(v) for k, v in own.items()}
            sampled = [{"decisions": d} for d in arguments.decisions]
            for budget in sampled if "decisions" in fields else [{}]:
                table = measure(name, {**budget, **own}, game, seeds, arguments.out / "runs")
                tables.append(table)
                last = table[table["last"]]
                sizes = last.groupby("size")["share"].median()
                print(
                    f"| {game} | {name} {setting_name({**budget, **own})} | "
                    f"{last['share'].median():.4f} | {last['share'].min():.3f} | "
                    f"{' '.join(f'{share:.3f}' for share in sizes)} | "
                    f"{last['cpu_seconds'].max():.2f} | {last['wall_seconds'].max():.2f} |",
                    flush=True,
                )
    table = pd.concat(tables)
    table.to_csv(arguments.out / "results.csv", index=False)
    draw(table, arguments.out / "results.png")


if __name__ == "__main__":
    main()
