"""Describes one run, or several runs that differ in their seed, in words: for a Python prompt, for
a notebook, and as progress while they train."""

from __future__ import annotations

import abc
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from games.printing import html_table, printable
from psro.runs import notebook
from psro.runs.commit import metrics_table
from psro.runs.naming import game_of, variant_of
from psro.training.record import DISTANCES

if TYPE_CHECKING:
    import pandas as pd

    from psro.runs.config import RunConfig
    from psro.training.record import Record

_SHOWN = 5  # iterations in a notebook
_NOTABLE = r"^(iteration|decisions|return|exploitability|c?ce_gap|nash_conv_bound|value_\d+|size)$"
"""The columns of a run's frame that a notebook shows."""


class Described(abc.ABC):
    """Base of objects that are described by their `facts` and their `frame`."""

    folder: Path

    @abc.abstractmethod
    def facts(self) -> dict[str, str]:
        """The facts of the description, by name."""

    @abc.abstractmethod
    def frame(self) -> pd.DataFrame:
        """A table with one row per iteration."""

    def __repr__(self) -> str:
        facts = ", ".join(f"{name} {fact}" for name, fact in self.facts().items())
        return f"<{type(self).__name__} {printable(str(self.folder))}: {facts}>"

    def _repr_html_(self) -> str:
        """The same for a notebook, and the last iterations."""
        facts = {"folder": printable(str(self.folder)), **self.facts()}
        frame = self.frame().tail(_SHOWN)
        known = frame.dropna(axis="columns", how="all")
        notable = known.filter(regex=_NOTABLE)
        shown = notable if notable.shape[1] > 1 else known  # the summary of several seeds
        table = shown.to_html(index=False, max_cols=8) if len(frame) else ""
        return html_table(facts) + table


class DescribedRun(Described):
    """A run describes itself by its config and its records."""

    config: RunConfig
    records: list[Record]
    ended: str | None

    @property
    def is_exact(self) -> bool:
        """Whether the run's figures are exact; else they are measured by episodes."""
        return self.config.evaluation == "exact"

    def identity(self) -> dict[str, str]:
        """The game and the variant."""
        facts = {"game": game_of(self.config)}
        if variant := variant_of(self.config):
            facts["variant"] = variant
        return facts

    def facts(self) -> dict[str, str]:
        facts = self.identity()
        facts["iterations"] = f"{max(len(self.records) - 1, 0)} of {self.config.iterations}"
        if self.records:
            facts |= measured(self.records[-1])
        if self.ended:
            facts["ended"] = self.ended
        return facts

    def frame(self) -> pd.DataFrame:
        """The records as a table with one row per iteration, as in metrics.csv. Each number has a
        column; numbers of each player have `value_0`, `value_1`, ..."""
        return metrics_table(self.records)

    def strategies(self) -> pd.DataFrame:
        """What the mixture does at every info state of an enumerated game, with the names of the
        game: a row for each action, see `psro.runs.strategies.table`."""
        from psro.runs import strategies  # it needs the game

        return strategies.table(self.tree, strategies.behaviours(self))


def measured(record: Record) -> dict[str, str]:
    """The distance of a record. Where games are sampled, it is the values and a lower bound of the
    distance before, with their standard errors."""
    if record.kind == "exact":
        return {DISTANCES[record.concept]: f"{record.distance:.6g}"}
    values = zip(record.value, record.value_error, strict=True)
    said = {"value": " / ".join(f"{value:.6g} ± {error:.2g}" for value, error in values)}
    if record.bound is not None:
        name = f"{DISTANCES[record.concept]} of iteration {record.iteration - 1}"
        value, error = record.bound
        said[f"lower bound of the {name}"] = f"{value:.6g} ± {error:.2g}"
    return said


def finished(records: Iterable[Record], config: RunConfig, progress: bool) -> None:
    """Trains a run to its end. With `progress`, prints one line per record on standard error, or
    moves a bar in a notebook."""
    bar = notebook.bar(config.iterations) if progress else None
    for record in records:
        if bar is not None:
            bar(record.iteration, measured(record))
        elif progress:
            say_iteration(config, record.iteration, measured(record))


def say_iteration(config: RunConfig, iteration: int, facts: dict[str, str]) -> None:
    """Prints one line about an iteration on standard error."""
    said = ", ".join(f"{name} {fact}" for name, fact in facts.items())
    print(f"iteration {iteration} of {config.iterations}: {said}", file=sys.stderr, flush=True)
