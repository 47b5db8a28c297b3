"""A run's settings in words, and the settings that tell runs apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from games.printing import printable
from psro.oracles.settings import TABULAR
from psro.runs.config import RunConfig
from psro.runs.naming import game_of, in_use, variant_of
from psro.variants.expansions import EXPANSIONS


def repeated(config: RunConfig) -> dict[str, Any]:
    """The settings that repetitions of a run share: all that the result depends on, except the
    seed."""
    return {n: v for n, v in in_use(config).items() if n not in ("seed", "max_histories")}


def trained(config: RunConfig) -> str:
    """The oracle and the meta-solver of a run, in words: `psro: lstm of 32, oracle ppo, meta-solver
    nash`."""
    variant = variant_of(config)
    network = f"{config.cell} of {config.hidden_size}, " if config.oracle not in TABULAR else ""
    name = f"{variant}: " if variant else ""
    expansion = EXPANSIONS[config.expansion]
    learners = [f"oracle {config.oracle}"] if expansion.best_responses else []
    learners += [f"self-play {config.self_play}"] if "self_play" in expansion.uses else []
    return f"{name}{network}{', '.join(learners)}, {config.solvers}"


def labels(configs: Sequence[RunConfig]) -> list[str]:
    """A label that tells each run apart from the others: its game, its variant, and the settings in
    which it differs from runs of the same variant. The seed is left out."""
    used = [repeated(config) for config in configs]
    variants = [variant_of(config) or config.solvers for config in configs]
    differing = [
        name
        for name in dict.fromkeys(name for own in used for name in own)
        if len({str(own[name]) for own in used if name in own}) > 1
    ]
    games = _names_of_games(configs)
    result = []
    for config, own, variant in zip(configs, used, variants, strict=True):
        same_variant = [
            other for other, name in zip(used, variants, strict=True) if name == variant
        ]
        parts = [games[config.game]] if "game" in differing else []
        parts += [variant] if len(set(variants)) > 1 else []
        parts += [
            f"{name.replace('_', '-')} {own[name]}"
            for name in differing
            if name != "game"
            and name in own
            and len({str(other.get(name)) for other in same_variant}) > 1
        ]
        result.append(", ".join(parts) or variant)
    return result


def _names_of_games(configs: Sequence[RunConfig]) -> dict[str, str]:
    """The short names of the games if they are all different, otherwise the full names."""
    names = {config.game: game_of(config) for config in configs}
    return names if len(set(names.values())) == len(names) else {game: game for game in names}


def without_mathematics(text: str) -> str:
    """A text for a picture, without what matplotlib would read as mathematics, and without
    characters that no picture can show."""
    return printable(text).replace("$", r"\$")
