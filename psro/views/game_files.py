"""A run's game and the profile of its mixture, in Gambit's formats and as JSON, by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from games.named import Named
from games.readers.labels import distinct
from games.writers import gambit
from psro.errors import SettingsError
from psro.exact.rational.strategic import reduced_strategies, strategic_payoffs
from psro.runs import strategies
from psro.runs.experiment import Experiment
from psro.views.strategy_tables import as_json


def efg(run: Experiment) -> str:
    """The game as `.efg`."""
    return gambit.efg(run.needs_tree("a file of Gambit's"))


def nfg(run: Experiment) -> str:
    """The game's reduced strategic form as `.nfg`, with payoffs in fractions."""
    tree = run.needs_tree("a file of Gambit's")
    named = Named(tree)
    plans = tuple(map(reduced_strategies, tree.players))
    names = [
        distinct(
            [named.strategy(p, plan) for plan in own], [str(k) for k in range(1, len(own) + 1)]
        )
        for p, own in enumerate(plans)
    ]
    return gambit.nfg(tree.name, named.players, names, strategic_payoffs(tree, plans))


def profile(run: Experiment) -> str:
    """The mixture's behaviour on one line, as Gambit's programs print it, in the order of `efg`."""
    return gambit.profile(strategies.behaviours(run)) + "\n"


def as_text(run: Experiment) -> str:
    """Everything as JSON: the profile by the names of players, info sets and actions, what is known
    of every info set, and the meta-game between the populations."""
    tree = run.needs_tree("a table of strategies")
    named, behaviours = Named(tree), strategies.behaviours(run)
    measured = run.measure()
    result: dict[str, Any] = {
        "game": tree.name,
        "players": list(named.players),
        "payoffs": measured.value.tolist(),
        "exploitability": measured.exploitability,
        "strategies": named.by_name([own.tolist() for own in behaviours]),
        "info_sets": as_json(strategies.table(tree, behaviours)),
        "meta_game": {
            "payoffs": run.payoffs.tolist(),
            "meta_strategy": [own.tolist() for own in run.meta_strategy],
        },
    }
    return json.dumps(result, indent=1) + "\n"


FORMATS: dict[str, Callable[[Experiment], str]] = {"efg": efg, "nfg": nfg, "json": as_text}
"""What `psro export` writes besides its own files."""


def text_of(run: Experiment, kind: str) -> str:
    """The text of a run in one of `FORMATS`.

    Raises:
        SettingsError: no such format, or the game is not enumerated.
    """
    if kind not in FORMATS:
        raise SettingsError(f"unknown format {kind!r}; known: {', '.join(FORMATS)}")
    return FORMATS[kind](run)
