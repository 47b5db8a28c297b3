"""What saved and exported runs may ask for, because they may come from a stranger."""

from __future__ import annotations

import games
from games.readers import trial
from games.tree import MAX_RETURN
from psro.errors import SettingsError
from psro.runs.config import MAX_GAME, TABLES, RunConfig
from psro.runs.storage import ExperimentError

_MOST = {
    "iterations": 1_000_000,
    "levels": 1_000,
    "rounds": 1_000_000,
    "horizon": 1_000_000,
    "hidden_size": 16_384,
    "max_histories": 1_000_000_000,
}
"""Largest values of settings. A run with a larger value is refused, both new and saved, before
anything of that size is made. Other whole numbers may be at most 2**53, so that JSON keeps them."""


def check_sizes(config: RunConfig) -> None:
    """Raises SettingsError if a saved setting is too large."""
    if len(config.game) > MAX_GAME:
        raise SettingsError(f"its game's name is longer than {MAX_GAME:,} characters")
    if not config.game.isprintable():
        raise SettingsError(f"its game's name, {config.game[:80]!r}, cannot be printed")
    start = config.start_from or ""
    if len(start) > MAX_GAME or not start.isprintable():
        raise SettingsError(f"start_from = {start[:80]!r} is too long, or cannot be printed")
    for owner, settings in ("", config), *((f"{n}.", getattr(config, n)) for n in TABLES):
        for name, value in vars(settings).items():
            most = _MOST.get(name, 1 << 53) if not owner else 1 << 53
            if isinstance(value, int) and abs(value) > most:
                raise SettingsError(f"{owner}{name} must be at most {most:,}")
            if isinstance(value, float) and abs(value) > MAX_RETURN:
                raise SettingsError(f"{owner}{name} must be at most {MAX_RETURN:g}")


def check_shareable(config: RunConfig) -> None:
    """Raises ExperimentError if loading the run would read a file that is not in the export, or
    would enumerate a larger game than `psro run` accepts by default."""
    check_own_game(config.game)
    if config.max_histories > games.MAX_HISTORIES:
        raise ExperimentError(
            f"max_histories = {config.max_histories:,} must be at most {games.MAX_HISTORIES:,} in "
            "an exported run"
        )


def check_own_game(game: str) -> None:
    """Raises ExperimentError if loading the game would read a file that is not in the export."""
    if trial.NAMES_A_FILE.search(game):
        raise ExperimentError(
            f"{game[:80]!r} names a file, and an exported run must not name files; give the "
            "file itself as the game, as in --game poker.efg, so that the run keeps a copy"
        )
