"""Carries out one unit: trains by episodes alone, then measures what came of it.

A unit's folder holds `run/` (the experiment, which resumes), `cpu.csv`, and in the end `curve.csv`
and `row.json`.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from plan import Unit

from games import GameError
from games.form import Form
from games.forms import open_form
from psro.measure import exploiter as exploiters
from psro.measure import on_form
from psro.metagame.strategy import MetaStrategy
from psro.runs import disk, storage
from psro.runs.experiment import Experiment, create, reopen
from psro.runs.folder import versions
from psro.runs.policies import policy_file
from psro.training.growth import TrainingDiverged

CURVE = (
    "iteration", "decisions", "episodes", "payoff_episodes", "cpu_seconds", "exploitability",
    "lower_bound", "lower_bound_error",
)  # fmt: skip
"""Columns of a curve. Numbers are sums from the beginning on. `exploitability` is exact;
`lower_bound` is what the next iteration's best responses gain, by episodes."""
CPU = "cpu.csv"
WITHIN = 1e-5
"""How far the exploitability may be from the mixture's, at most, where a game has more than `LARGE`
info states (`psro.measure.on_form.evaluate`)."""
LARGE = 1_000_000


def carry_out(unit: Unit, runs: Path, out_of_time: Callable[[], bool]) -> dict[str, Any] | None:
    """The row of a unit, which is done now or was done before; None if the time was over before
    its end. Then the same call goes on, to the same bits.

    Args:
        unit: what to run.
        runs: the folder of all runs.
        out_of_time: whether to stop after this iteration.

    Raises:
        PsroError, GameError: the method is refused by the game, or another process trains.
    """
    folder = unit.folder(runs)
    done = finished_row(unit, runs)
    if done is not None:
        return done
    folder.mkdir(parents=True, exist_ok=True)
    row: dict[str, Any] = dict(zip(("game", "method", "seed"), unit.key, strict=True))
    row |= {"settings_sha256": unit.checksum, "versions": _versions()}
    try:
        experiment = _train(unit, folder, out_of_time)
    except TrainingDiverged as error:
        row["error"] = str(error)
    else:
        if experiment is None:
            return None
        row |= _measured(unit, experiment, folder)
    disk.write(folder / "row.json", json.dumps(row, indent=1) + "\n")
    return row


def finished_row(unit: Unit, runs: Path) -> dict[str, Any] | None:
    """The row of a unit that is done; None if it is not."""
    path = unit.folder(runs) / "row.json"
    return json.loads(path.read_text()) if path.exists() else None


def curve_checksum(lines: list[str]) -> str:
    """SHA-256 of a curve's lines, without ends of lines."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _train(unit: Unit, folder: Path, out_of_time: Callable[[], bool]) -> Experiment | None:
    """Trains until the next iteration would go beyond the budget; None if the time is over."""
    begun = time.process_time()
    config, run = unit.config(), folder / "run"
    experiment = reopen(run) if run.exists() else create(config, run)
    if _used_up(unit, experiment):
        return experiment
    with (folder / CPU).open("a") as file:
        for record in experiment.train():
            now = time.process_time()
            file.write(f"{record.iteration},{now - begun:.3f}\n")
            file.flush()
            begun = now
            if _used_up(unit, experiment):
                return experiment
            if out_of_time():
                return None
    return experiment


def _used_up(unit: Unit, experiment: Experiment) -> bool:
    """Whether another iteration would go beyond the budget, or the run has ended."""
    if experiment.ended or not experiment.records:
        return bool(experiment.ended)
    decisions = [sum(record.decisions) for record in experiment.records]
    return sum(decisions) + decisions[-1] > unit.budget


def _measured(unit: Unit, experiment: Experiment, folder: Path) -> dict[str, Any]:
    """Figures of a run that has ended, and its curve on disk. Nothing is trained by them."""
    begun = time.process_time()
    form = _form(unit.name, experiment.config.observation)
    rows = _curve(unit, experiment, form, _cpu_seconds(folder))
    text = io.StringIO()
    writer = csv.DictWriter(text, CURVE, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    disk.write(folder / "curve.csv", text.getvalue())
    row = {
        name: rows[-1][name]
        for name in ("decisions", "episodes", "payoff_episodes", "cpu_seconds", "exploitability")
    }
    if form is not None:
        row["exploitability_error"] = _within(form)
    if unit.exploiter_decisions:
        exploited = exploiters.exploit_run(
            experiment, exploiters.exploiter_of(experiment, unit.exploiter_decisions)
        )
        row["lower_bound"] = exploited.approximate_exploitability
        row["lower_bound_error"] = exploited.standard_error
    return row | {
        "measuring_cpu_seconds": round(time.process_time() - begun, 1),
        "curve_sha256": curve_checksum(text.getvalue().splitlines()),
    }


@functools.lru_cache(maxsize=1)
def _form(name: str, observation: str | None) -> Form | None:
    """What gives exact figures of a game; None if nothing does."""
    try:
        return open_form(name, observation=observation)
    except GameError:
        return None


def _within(form: Form) -> float:
    return WITHIN if form.num_info_states > LARGE else 0.0


def _curve(
    unit: Unit, experiment: Experiment, form: Form | None, cpu: dict[int, float]
) -> list[dict[str, Any]]:
    """A row for every iteration. Empty cells are not known."""
    records = experiment.records
    last = records[-1].iteration
    points = set(np.unique(np.linspace(0, last, unit.points + 1).round().astype(int))[1:])
    rows, decisions, episodes, seconds = [], 0, 0, 0.0
    for number, record in enumerate(records):
        decisions += sum(record.decisions)
        episodes += sum(record.episodes)
        seconds += cpu.get(record.iteration, np.nan)
        bound = records[number + 1].bound if number < last else None
        measured = _exploitability(experiment, form, number) if number in points else None
        rows.append(
            {
                "iteration": record.iteration,
                "decisions": decisions,
                "episodes": episodes,
                "payoff_episodes": record.payoff_episodes,
                "cpu_seconds": None if np.isnan(seconds) else round(seconds, 1),
                "exploitability": measured,
                "lower_bound": bound and bound[0],
                "lower_bound_error": bound and bound[1],
            }
        )
    return rows


def _exploitability(experiment: Experiment, form: Form | None, number: int) -> float | None:
    """Exact but for `_within`, of the mixture that was measured after an iteration. None without a
    form, or if policies of that mixture have been trained further since."""
    if form is None:
        return None
    if number == experiment.records[-1].iteration:
        return _measured_on_form(experiment, form)
    marginals = _written(experiment, number)["meta_strategy"]
    changed = {
        slot
        for later in range(number + 1, len(experiment.records))
        for slot in _written(experiment, later)["slots"]
    }
    if any(own[slot] > 0 for own in marginals for slot in changed if slot < len(own)):
        return None
    strategy = MetaStrategy(marginals=tuple(np.array(own) for own in marginals))
    return _measured_on_form(experiment, form, strategy)


def _measured_on_form(
    experiment: Experiment, form: Form, strategy: MetaStrategy | None = None
) -> float:
    """The exploitability, within `_within`, of a meta-strategy: by default the run's own."""
    measured = on_form.evaluate(experiment, form, strategy=strategy, within=_within(form))
    return measured.distance.exploitability


def _written(experiment: Experiment, number: int) -> dict[str, Any]:
    """What the file of an iteration's policies says beside them."""
    return storage.read_info(policy_file(experiment.folder, number))


def _cpu_seconds(folder: Path) -> dict[int, float]:
    """CPU seconds by iteration. Where a process was killed between an iteration and this file,
    the iteration is missing."""
    lines = (folder / CPU).read_text().splitlines()
    pairs = (line.split(",") for line in lines if line.count(",") == 1)
    return {int(iteration): float(seconds) for iteration, seconds in pairs}


def _versions() -> str:
    """Versions of packages, and the commit if this is a clone."""
    words = [f"{name}={version}" for name, version in versions().items()]
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return " ".join([*words, *([f"commit={done.stdout.strip()}"] if not done.returncode else [])])
