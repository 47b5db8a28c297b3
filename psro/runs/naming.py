"""The name of a run: its game and its variant. Also, which settings a run uses."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from games.readers import files
from psro.oracles.settings import STARTS, TABULAR
from psro.runs.config import SAME, TABLES, RunConfig, default_meta_solver
from psro.variants.expansions import EXPANSIONS
from psro.variants.published import VARIANTS

_OF_NETWORKS = {"cell", "hidden_size", "dtype", "init"}
_OF_A_VARIANT = (
    "meta_solver", "evaluation_solver", "expansion", "regret_minimiser", "diversity", "init",
    "self_play",
)  # fmt: skip
"""The settings that distinguish variants. A run may change a variant's other settings, such as its
levels, and keeps the variant's name."""


def in_use(config: RunConfig) -> dict[str, Any]:
    """The settings that this run uses, by name, such as `ppo.learning_rate`. Settings of other
    oracles are left out, and so are settings of networks if policies are tables."""
    unused, owners, expansion = set(), {config.oracle, "network"}, EXPANSIONS[config.expansion]
    if config.oracle in TABULAR:
        unused |= _OF_NETWORKS
        owners.remove("network")
    if not expansion.best_responses:
        unused.add("init")
        owners.remove(config.oracle)
    if "self_play" in expansion.uses:
        owners.add(config.self_play)
    else:
        unused |= {"self_play", "horizon"}
    uses = expansion.uses
    if "levels" not in uses:
        unused.add("levels")
    if "rounds" not in uses:
        unused |= {"rounds", "regret_minimiser"}
    if config.expansion != "extensive":
        unused.add("restricted_solver")
    if config.evaluation != "sampled":
        unused |= {"payoff_episodes", "payoff_error"}
    if config.diversity is None:
        unused.add("diversity_weight")
    return {
        name: value
        for name, value in _flat(config).items()
        if name not in unused and name.partition(".")[0] in {name, *owners}
    }


def defaults() -> dict[str, Any]:
    """Every setting's default, by name; None if the game or the oracle decides."""
    return _flat(RunConfig())


def _flat(config: RunConfig) -> dict[str, Any]:
    fields = dataclasses.asdict(config)
    flat = {name: value for name, value in fields.items() if name not in TABLES}
    if config.origin is not None:
        flat["origin"] = f"{config.origin.size} policies, SHA-256 {config.origin.sha256[:12]}"
    own = flat.pop("settings") or {}
    tables = (
        {owner: fields[owner] for owner in TABLES} | {config.oracle: own}
        if own
        else {owner: fields[owner] for owner in TABLES}
    )
    for owner, settings in tables.items():
        flat |= {f"{owner}.{name}": value for name, value in settings.items()}
    return flat


def variant_of(config: RunConfig) -> str | None:
    """The variant whose settings a run has. If several match, the one with the most settings."""
    used, by_default = in_use(config), defaults()
    own = config.meta_solver
    decided = {  # by the game and the oracle, if no setting does
        "meta_solver": own if own in map(default_meta_solver, (2, 3)) else "nash",
        "evaluation_solver": "least_exploitable"
        if own in (None, "nash")
        and config.expansion == "best_response"
        and config.evaluation != "sampled"
        else SAME,
        "init": STARTS.get(config.oracle, "scratch"),
    }
    used |= {n: decided[n] for n in decided if n in used and used[n] is None}
    matching = []
    for name, variant in VARIANTS.items():
        expected = {**by_default, **decided, "oracle": config.oracle, **variant.settings}
        if all(used[n] == expected[n] for n in (*_OF_A_VARIANT, "oracle") if n in used):
            matching.append(name)
    return max(matching, key=lambda name: len(VARIANTS[name].settings), default=None)


def game_of(config: RunConfig) -> str:
    """The name of a run's game: OpenSpiel's string, or the name of its file."""
    return Path(config.game).name if files.is_file(config.game) else config.game
