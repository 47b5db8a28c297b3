"""The settings that are reported, in a file with its checksum: chosen once, then never changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from plan import ProtocolError, budget_of, checksum, settings_of

LEAST = 1e-4
"""An exploitability below this counts as this when candidates are compared: below it, networks
differ by luck."""


def freeze(
    path: Path,
    protocol: Mapping[str, Any],
    methods: Mapping[str, Any],
    chosen: Mapping[str, Mapping[str, Any]],
) -> None:
    """Writes the frozen settings, or adds methods to them.

    Args:
        path: the file. What it holds already is kept as it is.
        protocol: content of protocol.toml.
        methods: content of methods.toml.
        chosen: the result of `choose` for each method to freeze.

    Raises:
        ProtocolError: the protocol or a method that is frozen has changed since.
    """
    reported = {name: value for name, value in protocol.items() if name != "tuning"}
    content = load(path) if path.exists() else {"protocol": reported, "methods": {}}
    if content["protocol"] != reported:
        raise ProtocolError(
            f"protocol.toml has changed since {path.name} was written; undo the change, or delete "
            f"{path.name} with its results and begin again"
        )
    for name, choice in chosen.items():
        entry = {
            "declared": checksum(methods[name]),
            **budget_of(methods[name], choice["candidate"]),
            **choice,
            "settings": settings_of(name, methods[name], choice["candidate"], protocol["common"]),
        }
        before = content["methods"].setdefault(name, entry)
        if before["declared"] != entry["declared"]:
            raise ProtocolError(
                f"{name} has changed in methods.toml since it was frozen; undo the change, or give "
                "the new settings another name"
            )
    document = {"checksum": checksum(content), "content": content}
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps(document, indent=1) + "\n")
    aside.replace(path)


def load(path: Path) -> dict[str, Any]:
    """The frozen protocol and methods.

    Raises:
        ProtocolError: nothing is frozen, or the file was changed by hand.
    """
    try:
        document = json.loads(path.read_text())
        written, content = document["checksum"], document["content"]
    except FileNotFoundError:
        raise ProtocolError(f"there is no {path}; run the command freeze first") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProtocolError(f"{path} cannot be read: {error}") from None
    if checksum(content) != written:
        raise ProtocolError(
            f"{path} was changed after it was frozen: its checksum is {written[:8]}, and that of "
            f"its content {checksum(content)[:8]}; restore it"
        )
    return content


def choose(
    name: str,
    method: Mapping[str, Any],
    tuning: Mapping[str, Any],
    rows: Sequence[Mapping],
    *,
    untuned: bool = False,
) -> dict[str, Any]:
    """The candidate with the least geometric mean of exploitability over tuning games and seeds, so
    that no game counts more because its payoffs are larger. A run with an error counts as the worst
    one on its game.

    Args:
        name: the method.
        method: its entry in methods.toml.
        tuning: the tuning part of protocol.toml.
        rows: of runs of the tuning stage, those of other methods too.
        untuned: take the first candidate if runs are missing. No run speaks for it.

    Raises:
        ProtocolError: runs are missing.
    """
    candidates = len(method["candidates"])
    first = {"candidate": 0, "tuned": False, "scores": [None] * candidates}
    if candidates == 1:
        return first
    games, seeds = list(tuning["games"]), list(tuning["seeds"])
    known = {(row["game"], row["method"], row["seed"]): row["exploitability"] for row in rows}
    wanted = [
        (game, f"{name}.{n}", seed) for n in range(candidates) for game in games for seed in seeds
    ]
    missing = [key for key in wanted if key not in known]
    if missing and untuned:
        return first
    if missing:
        raise ProtocolError(
            f"{name} is not tuned: {len(missing)} of {len(wanted)} runs are missing, such as "
            f"{' '.join(map(str, missing[0]))}; run the command tune, or freeze with --untuned"
        )
    values = np.array([known[key] for key in wanted], float)
    values = values.reshape(candidates, len(games), len(seeds))
    worst = np.nanmax(np.where(np.isnan(values), -np.inf, values), axis=(0, 2), keepdims=True)
    values = np.maximum(np.where(np.isnan(values), worst, values), LEAST)
    scores = np.exp(np.log(values).mean(axis=(1, 2)))
    return {
        "candidate": int(np.argmin(scores)),
        "tuned": True,
        "scores": [round(float(score), 6) for score in scores],
    }
