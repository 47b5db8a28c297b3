"""What the leaderboard's runs come to: results.csv, table.md, and a figure for each game."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from psro.runs.intervals import half_interval

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402

REACH = (0.5, 0.2, 0.1)
"""Exploitabilities whose first decision is noted; with exact best responses, iteration."""
SHOWN = 6
"""Variants a figure names, beside PSRO; the others are grey."""
FLOOR = 1e-6
"""What counts as zero on a log scale."""
BUDGETS = {
    "exact": ("iteration", 40),
    "ppo": ("decisions", 600_000),
    "long": ("decisions", 12_500_000),
}
"""What a field is ranked at: the last iteration within it."""
TITLES = {
    "exact": "exact best responses",
    "ppo": "recurrent PPO",
    "long": "recurrent PPO, longer",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """A value of a deep learner of the family from a paper: exploitability (NashConv / 2), after at
    most so many episodes, None where that was not said."""

    name: str
    exploitability: float
    episodes: float | None = None


def draw(runs: Path, out: Path, published: dict[str, list[Published]]) -> None:
    """Reads all runs; `published` is by game."""
    paths = sorted(runs.glob("*/*/*.csv"))
    if not paths:
        return
    records = pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)
    results = summary(records)
    results.to_csv(out / "results.csv", index=False, float_format="%.6g")
    parts = [overview(results), comparison(records, published), tables(results), cost(records)]
    (out / "table.md").write_text("\n".join(parts))
    for game in records.game.unique():
        figure(records[records.game == game], game, out / f"{game}.png")


def summary(records: pd.DataFrame) -> pd.DataFrame:
    """One row a run."""
    rows = []
    for (field, game, variant, seed), run in records.groupby(["field", "game", "variant", "seed"]):
        row = {"field": field, "game": game, "variant": variant, "seed": seed}
        error = "" if pd.isna(run.error.iloc[0]) else run.error.iloc[0]
        axis, budget = BUDGETS[field]
        within = run[run[axis] <= budget]
        if within.empty:
            rows.append(row | {"error": error})
            continue
        last, x = within.iloc[-1], within[axis].to_numpy(float)
        logs = np.log10(np.maximum(within.exploitability.to_numpy(), FLOOR))
        row |= {
            "exploitability": last.exploitability,
            "population_exploitability": run.population_exploitability.iloc[-1],
            "log_area": np.trapezoid(logs, x) / x[-1] if x[-1] else logs[-1],
            "support": last.support,
            "policies": last.policies,
            "iterations": last.iteration,
            "decisions": last.decisions,
            "cpu_seconds": last.cpu_seconds,
        }
        for least in REACH:
            there = within[within.exploitability <= least]
            row[f"to_{least}"] = there[axis].iloc[0] if len(there) else np.nan
        rows.append(row | {"error": error})
    return pd.DataFrame(rows)


def interval(values: np.ndarray) -> str:
    """Mean and half the width of its 95 % interval (Student's t over seeds)."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return f"{values.mean():.3g}" if len(values) else ""
    return f"{values.mean():.3g} ± {half_interval(values):.2g}"


def overview(results: pd.DataFrame) -> str:
    """Markdown: for every field with all variants, mean exploitability by game and mean rank."""
    text = []
    for field in BUDGETS:
        means = results[results.field == field].pivot_table("exploitability", "variant", "game")
        if len(means) < 3:
            continue
        ranks = np.maximum(means, FLOOR).rank().mean(axis=1)
        axis, budget = BUDGETS[field]
        text += [f"### All games, {TITLES[field]}: at {budget:,} {axis.removesuffix('s')}s\n"]
        text += ["| variant | mean rank | " + " | ".join(means.columns) + " |"]
        text += ["|---|" + "---:|" * (1 + len(means.columns))]
        for variant in ranks.sort_values().index:
            cells = ["" if np.isnan(x) else _short(x) for x in means.loc[variant]]
            text.append(f"| {variant} | {ranks[variant]:.1f} | {' | '.join(cells)} |")
        text.append("")
    return "\n".join(text)


def _short(exploitability: float) -> str:
    return "0" if exploitability < FLOOR else f"{exploitability:.2g}"


def comparison(records: pd.DataFrame, published: dict[str, list[Published]]) -> str:
    """Markdown: the best recurrent result on each game after no more decisions than a published one
    had episodes, each of which is at least one decision; where a paper does not say, after those of
    the field ppo."""
    text = [
        "### Beside published values\n",
        "| game | published | episodes | exploitability | here | decisions | exploitability | |",
        "|---|---|---:|---:|---|---:|---:|---|",
    ]
    sampled = records.groupby(["field", "game", "variant", "seed"]).decisions.transform("max") > 0
    recurrent = records[records.field.isin(["ppo", "long"]) & sampled]
    for game, values in published.items():
        here = recurrent[recurrent.game == game]
        for each in values:
            within = here[here.decisions <= (each.episodes or BUDGETS["ppo"][1])]
            if within.empty:
                continue
            last = within.sort_values("iteration").groupby(["field", "variant", "seed"]).last()
            mean = last.groupby(["field", "variant"]).exploitability.mean()
            best = last.loc[mean.idxmin()]
            value = best.exploitability.mean()
            less = each.exploitability - value
            verdict = f"{'less by' if less > 0 else 'falls short by'} {abs(less):.2g}"
            episodes = f"{each.episodes / 1e6:g} M" if each.episodes else "not said"
            text.append(
                f"| {game} | {each.name} | {episodes} | {each.exploitability} | "
                f"{mean.idxmin()[1]} | {best.decisions.mean() / 1e6:.2f} M | "
                f"{interval(best.exploitability.to_numpy())} | {verdict} |"
            )
    return "\n".join([*text, ""])


def cost(records: pd.DataFrame) -> str:
    """Markdown: what it took, compiling included. Runs that are too old to say count as the mean of
    those of their field and game."""
    runs = records.groupby(["field", "game", "variant", "seed"]).all_cpu_seconds.max()
    measured = runs.notna().sum()
    hours = runs.fillna(runs.groupby(["field", "game"]).transform("mean")) / 3600
    by_field = hours.groupby("field").sum()
    parts = ", ".join(f"{field} {each:.2f}" for field, each in by_field.items())
    return (
        f"CPU hours of {len(runs):,} runs, compiling and starting included: {hours.sum():.2f} "
        f"({parts}); {measured:,} were measured, the others count as their game's mean.\n"
    )


def tables(results: pd.DataFrame) -> str:
    """Markdown, a table for every field and game, the least exploitable variant first."""
    text = []
    for (field, game), group in results.groupby(["field", "game"]):
        axis, budget = BUDGETS[field]
        text.append(f"### {game}, {field}: at {budget:,} {axis}{'s' * (axis == 'iteration')}\n")
        text.append(
            "| variant | exploitability | population's | log area | "
            + " | ".join(f"to {each}" for each in REACH)
            + " | support | iterations | CPU s | seeds |"
        )
        text.append("|---|" + "---:|" * (7 + len(REACH)))
        order = group.groupby("variant").exploitability.mean().sort_values().index
        for variant in order:
            runs = group[group.variant == variant]
            if runs.exploitability.isna().all():
                continue
            reached = [
                f"{runs[f'to_{each}'].mean():,.0f}" if runs[f"to_{each}"].notna().all() else ""
                for each in REACH
            ]
            text.append(
                f"| {variant} | {interval(runs.exploitability.to_numpy())} | "
                f"{interval(runs.population_exploitability.to_numpy())} | "
                f"{runs.log_area.mean():.2f} | {' | '.join(reached)} | {runs.support.mean():.1f} | "
                f"{runs.iterations.mean():.0f} | {runs.cpu_seconds.mean():.1f} | {len(runs)} |"
            )
        for error in sorted(set(group.error) - {""}):
            names = ", ".join(sorted(set(group[group.error == error].variant)))
            text.append(f"\nEnded early: {names}: {error}")
        text.append("")
    return "\n".join(text)


def figure(records: pd.DataFrame, game: str, path: Path) -> None:
    """Exploitability over each field's budget, mean over seeds; the best few by name."""
    fields = [field for field in BUDGETS if field in set(records.field)]
    panels, axes = plt.subplots(
        1, len(fields), figsize=(6.5 * len(fields), 4.4), squeeze=False, layout="constrained"
    )
    for ax, field in zip(axes[0], fields, strict=True):
        axis, budget = BUDGETS[field]
        here = records[(records.field == field) & records.exploitability.notna()]
        curves = {}
        for variant, runs in here.groupby("variant"):
            end = min(budget, min(run[axis].max() for _, run in runs.groupby("seed")))
            if not end:
                continue
            x = np.linspace(0, end, 121)
            logs = [
                np.interp(x, run[axis], np.log10(np.maximum(run.exploitability, FLOOR)))
                for _, run in runs.groupby("seed")
            ]
            curves[variant] = x, 10 ** np.mean(logs, axis=0)
        best = sorted(curves, key=lambda variant: curves[variant][1][-1])
        named = [variant for variant in best if variant != "psro"][:SHOWN]
        for variant in best:
            if variant not in named and variant != "psro":
                ax.plot(*curves[variant], color="0.85", linewidth=1, zorder=1)
        for variant in named:
            ax.plot(*curves[variant], linewidth=1.6, label=variant, zorder=3)
        if "psro" in curves:
            ax.plot(*curves["psro"], color="black", linewidth=2.2, label="psro", zorder=2)
        ax.set_yscale("log")
        ax.set_xlabel("learner decisions" if axis == "decisions" else "iterations")
        ax.set_ylabel("exploitability (NashConv / 2)")
        ax.set_title(f"{game}: {TITLES[field]}")
        ax.grid(True, which="major", color="0.93")
        ax.legend(frameon=False, fontsize=8)
    panels.savefig(path, dpi=110)
    plt.close(panels)
