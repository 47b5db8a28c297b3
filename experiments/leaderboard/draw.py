"""What the leaderboard's runs come to: results.csv, table.md, and a figure for each game."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from psro.seeds import half_interval

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402

REACH = (0.5, 0.2, 0.1)
"""Exploitabilities whose first decision is noted; with exact best responses, iteration."""
SHOWN = 6
"""Variants a figure names, beside PSRO; the others are grey."""
FLOOR = 1e-6
"""What counts as zero on a log scale."""
BUDGETS = {"exact": ("iteration", 40), "ppo": ("decisions", 600_000)}
"""What a field is ranked at: the last iteration within it."""


def draw(runs: Path, out: Path, published: dict[str, list[tuple[str, float, str]]]) -> None:
    """Reads all runs; `published` are exploitabilities from papers by game, with their budget."""
    paths = sorted(runs.glob("*/*/*.csv"))
    if not paths:
        return
    records = pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)
    results = summary(records)
    results.to_csv(out / "results.csv", index=False, float_format="%.6g")
    (out / "table.md").write_text(tables(results, published))
    for game in records.game.unique():
        figure(records[records.game == game], game, out / f"{game}.png")


def summary(records: pd.DataFrame) -> pd.DataFrame:
    """One row a run."""
    rows = []
    for (field, game, variant, seed), run in records.groupby(["field", "game", "variant", "seed"]):
        row = {"field": field, "game": game, "variant": variant, "seed": seed}
        error = run.error.iloc[0]
        if isinstance(error, str) and error:
            rows.append(row | {"error": error})
            continue
        axis, budget = BUDGETS[field]
        within = run[run[axis] <= budget]
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
        rows.append(row | {"error": ""})
    return pd.DataFrame(rows)


def interval(values: np.ndarray) -> str:
    """Mean and half the width of its 95 % interval (Student's t over seeds)."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return f"{values.mean():.3g}" if len(values) else ""
    return f"{values.mean():.3g} ± {half_interval(values):.2g}"


def tables(results: pd.DataFrame, published: dict[str, list[tuple[str, float, str]]]) -> str:
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
            text.append(f"\nNot run: {names}: {error}")
        for who, value, when in published.get(game, []):
            text.append(f"\nPublished: {who} {value}{f' ({when})' if when else ''}")
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
        ax.set_title(
            f"{game}: exact best responses" if field == "exact" else f"{game}: recurrent PPO"
        )
        ax.grid(True, which="major", color="0.93")
        ax.legend(frameon=False, fontsize=8)
    panels.savefig(path, dpi=110)
    plt.close(panels)
