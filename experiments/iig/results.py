"""Results of all runs: results.csv, curves.csv, paired tests and table.md."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from plan import ProtocolError, Unit
from scipy import stats
from unit import curve_checksum, finished_row

COLUMNS = (
    "game", "method", "seed", "decisions", "episodes", "payoff_episodes", "cpu_seconds",
    "exploitability", "exploitability_error", "lower_bound", "lower_bound_error",
    "measuring_cpu_seconds", "curve_sha256", "settings_sha256", "versions", "error",
)  # fmt: skip
"""Of results.csv. `exploitability_error` bounds how far `exploitability` may be from the mixture's:
nothing or 0 where every policy was computed at every info state."""
NUMBERS = COLUMNS[2:12]
FEWEST_FOR_RANKS = 6
"""Pairs from which on Wilcoxon's signed ranks can say anything at 5 %: 2 / 2**6 = 0.031."""


def collect(units: Sequence[Unit], runs: Path, home: Path) -> list[dict[str, Any]]:
    """Rows of all units that are done, here or in results.csv already. Writes results.csv and
    curves.csv.

    Raises:
        ProtocolError: a file holds a run of other settings than the frozen ones, or a curve that
            does not match its checksum.
    """
    wanted = {unit.key: unit for unit in units}
    rows, curves = _read(home)
    for key, row in rows.items():
        if key not in wanted or row["settings_sha256"] != wanted[key].checksum:
            raise ProtocolError(
                f"results.csv has {' '.join(map(str, key))} with other settings than the frozen "
                "ones; remove its row"
            )
    for key, unit in wanted.items():
        row = finished_row(unit, runs)
        if row is not None:
            rows[key] = {name: row.get(name) for name in COLUMNS}
            path = unit.folder(runs) / "curve.csv"
            curves[key] = [] if row.get("error") else path.read_text().splitlines()
    for key, row in rows.items():
        if not row["error"] and curve_checksum(curves.get(key, [])) != row["curve_sha256"]:
            raise ProtocolError(f"the curve of {' '.join(map(str, key))} is not what was measured")
    ordered = [key for key in wanted if key in rows]
    _write_csv(home / "results.csv", COLUMNS, [rows[key] for key in ordered])
    _write_curves(home / "curves.csv", {key: curves[key] for key in ordered if curves.get(key)})
    return [rows[key] for key in ordered]


def add_tuning(rows: Sequence[Mapping[str, Any]], home: Path) -> None:
    """Adds the runs by which settings were chosen to tuning.csv."""
    if rows:
        known = _read_rows(home / "tuning.csv")
        known |= {(row["game"], row["method"], row["seed"]): row for row in rows}
        shown = [{name: row.get(name) for name in COLUMNS} for row in known.values()]
        _write_csv(home / "tuning.csv", COLUMNS, shown)


def _read_rows(path: Path) -> dict[tuple, dict[str, Any]]:
    """The rows of a file of results, by game, method and seed; none if there is no file."""
    if not path.exists():
        return {}
    rows = {}
    with path.open(newline="") as file:
        for read in csv.DictReader(file):
            row: dict[str, Any] = {name: read.get(name) or None for name in COLUMNS}
            row |= {name: json.loads(row[name]) for name in NUMBERS if row[name]}
            rows[row["game"], row["method"], row["seed"]] = row
    return rows


def _read(home: Path) -> tuple[dict[tuple, dict[str, Any]], dict[tuple, list[str]]]:
    """Rows of results.csv, and lines of curves.csv, by game, method and seed."""
    rows, curves = _read_rows(home / "results.csv"), {}
    if (home / "curves.csv").exists():
        header, *lines = (home / "curves.csv").read_text().splitlines()
        columns = header.removeprefix("game,method,seed,")
        for line in lines:
            game, method, seed, rest = line.split(",", 3)
            curves.setdefault((game, method, int(seed)), [columns]).append(rest)
    return rows, curves


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_curves(path: Path, curves: Mapping[tuple, Sequence[str]]) -> None:
    """All curves in one file. Their lines stay as they are, so that their checksums can be
    computed again."""
    if not curves:
        path.unlink(missing_ok=True)
        return
    (columns,) = {lines[0] for lines in curves.values()}
    text = [f"game,method,seed,{columns}"]
    text += [
        f"{game},{method},{seed},{line}"
        for (game, method, seed), lines in curves.items()
        for line in lines[1:]
    ]
    path.write_text("\n".join(text) + "\n")


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number m (Holm 1979): the k-th smallest times m - k + 1, never
    below a smaller one's, at most 1."""
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda k: p_values[k])):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = least
    return corrected


def paired_p(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Two-sided p-value of the same seeds' results of two methods: Wilcoxon's signed ranks, below
    six pairs the paired t-test, below two nothing."""
    difference = np.subtract(first, second)
    if len(difference) < 2:
        return None
    if not difference.any():
        return 1.0
    if len(difference) >= FEWEST_FOR_RANKS:
        return float(stats.wilcoxon(difference).pvalue)
    if np.ptp(difference) == 0:  # the t-test divides by zero
        return None
    return float(stats.ttest_rel(first, second).pvalue)


def comparisons(
    rows: Sequence[Mapping[str, Any]], game: str, reference: str
) -> dict[str, tuple[float, float | None, int]]:
    """What every other method of a game has above the reference: mean difference over the seeds
    that both have, p-value with Holm's correction over the game's comparisons, number of pairs."""
    values: dict[str, dict[int, float]] = {}
    for row in rows:
        if row["game"] == game and row["exploitability"] is not None:
            values.setdefault(row["method"], {})[row["seed"]] = row["exploitability"]
    base = values.pop(reference, {})
    compared = {}
    for method, by_seed in values.items():
        seeds = sorted(by_seed.keys() & base.keys())
        if seeds:
            own, other = [by_seed[seed] for seed in seeds], [base[seed] for seed in seeds]
            compared[method] = (np.mean(np.subtract(own, other)), paired_p(own, other), len(seeds))
    tested = [method for method, (_, p, _) in compared.items() if p is not None]
    for method, p in zip(tested, holm([compared[m][1] for m in tested]), strict=True):
        compared[method] = (compared[method][0], p, compared[method][2])
    return compared


def table(
    rows: Sequence[Mapping[str, Any]], frozen: Mapping[str, Any], published: Mapping[str, Any]
) -> str:
    """table.md: a table a game, with every frozen method. Cells are empty where nothing ran."""
    reference = frozen["protocol"]["reference"]
    lines = [
        "# Two-player zero-sum games at equal budgets",
        "",
        "Written by `protocol.py table`. Exploitability (NashConv / 2) is exact, or certainly "
        "within the `exploitability_error` of results.csv: mean over seeds with 95 % intervals "
        "(t). The lower bound is that of trained exploiters, with its standard error over seeds. "
        f"`p` is of the paired test against `{reference}` with Holm's correction over the game's "
        "comparisons. Cells are empty where nothing ran.",
    ]
    for game, described in frozen["protocol"]["games"].items():
        compared = comparisons(rows, game, reference)
        lines += ["", f"## {game}", "", f"`{described['name']}`, {described['budget']:,} decisions"]
        lines += ["", *_header("method", "seeds", "exploitability", "lower bound", "decisions",
                               "episodes", "payoff episodes", "CPU s", f"above {reference}", "p",
                               "errors")]  # fmt: skip
        for method in frozen["methods"]:
            own = [row for row in rows if row["game"] == game and row["method"] == method]
            lines.append(_line(method, *_summary(own), *_compared(compared.get(method))))
            lines[-1] += f" {sum(bool(row['error']) for row in own) or ''} |"
        entries = [entry for entry in published["values"] if entry["game"] == game]
        if entries:
            lines += ["", *_header("published", "value", "kind of measure", "budget", "source")]
            lines += [
                _line(entry["method"], entry["value"], entry["measure"], entry["budget"],
                      entry["source"])
                for entry in entries
            ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _header(*names: str) -> list[str]:
    return [_line(*names), "|" + "---|" * len(names)]


def _line(*cells: Any) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _summary(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Seeds, and means over them; all empty without a run."""

    def mean(name: str, form: str = ",.0f") -> str:
        values = [row[name] for row in rows if row[name] is not None]
        return format(np.mean(values), form) if values else ""

    measured, bounds = (
        [row[name] for row in rows if row[name] is not None]
        for name in ("exploitability", "lower_bound")
    )
    return [
        str(len(rows) or ""),
        interval(measured),
        interval(
            [row["lower_bound"] for row in rows if row["lower_bound"] is not None], error=True
        ),
        *(mean(name) for name in ("decisions", "episodes", "payoff_episodes", "cpu_seconds")),
    ]


def interval(values: Sequence[float], *, error: bool = False) -> str:
    """Mean with its 95 % interval by Student's t, or with its standard error; empty without
    values, and without an interval if there is one value."""
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.4f}"
    width = np.std(values, ddof=1) / math.sqrt(len(values))
    width *= 1.0 if error else stats.t.ppf(0.975, len(values) - 1)
    return f"{np.mean(values):.4f} ± {width:.4f}"


def _compared(found: tuple[float, float | None, int] | None) -> list[str]:
    if found is None:
        return ["", ""]
    difference, p, pairs = found
    return [f"{difference:+.4f}", "" if p is None else f"{p:.2g} ({pairs} pairs)"]
