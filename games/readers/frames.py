"""DataFrames and arrays as games."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from games.errors import GameError
from games.matrix import NormalForm
from games.readers.labels import action_names, player_names
from games.writers import gambit


def is_data(game: Any) -> bool:
    """Whether a game is given as payoffs: a DataFrame, an array, or several of them."""
    if isinstance(game, np.ndarray) or _is_frame(game):
        return True
    return isinstance(game, list | tuple) and not any(isinstance(part, str) for part in game)


def normal_form(game: Any, name: str = "payoffs") -> NormalForm:
    """The one-step game of payoffs.

    Args:
        game: one of
            - a DataFrame: the row player's payoffs in a zero-sum game. Labels of rows and columns
              are the names of actions, and names of both axes those of the players;
            - two DataFrames with the same labels: the row player's and the column player's payoffs;
            - an array `[A_0, A_1]`, zero-sum, or `[P, A_0, ..., A_(P-1)]` of all players, or a list
              of such tables, one for each player.
        name: the game's name.

    Raises:
        GameError: it is something else.
    """
    frames = [part for part in (game if isinstance(game, list | tuple) else [game])]
    if frames and all(map(_is_frame, frames)):
        return _of_frames(frames, name)
    if any(map(_is_frame, frames)):
        raise GameError("payoffs are all DataFrames or all arrays")
    try:
        payoffs = np.asarray(game, np.float64)
    except (TypeError, ValueError) as error:
        raise GameError(f"payoffs must be numbers, in tables of one shape: {error}") from None
    return NormalForm(payoffs[None] if payoffs.ndim == 2 else payoffs, name=name)


def named(
    payoffs: np.ndarray,
    name: str,
    players: Sequence[str],
    actions: Sequence[Sequence[str]],
) -> NormalForm:
    """The one-step game of payoffs `[P, A_0, ..., A_(P-1)]` with these names."""
    return NormalForm(
        payoffs, name=name, player_names=tuple(players), action_names=tuple(map(tuple, actions))
    )


@contextlib.contextmanager
def as_name(game: Any) -> Iterator[str | None]:
    """A game as a string that `games.load` loads: a name as it is, and payoffs as a temporary
    file. None for None."""
    if game is None or isinstance(game, str | os.PathLike):
        yield None if game is None else os.fspath(game)
    elif not is_data(game):
        raise GameError(
            f"a game is a name, a file, a DataFrame or an array, and not a {type(game).__name__}"
        )
    else:
        with tempfile.TemporaryDirectory(prefix="psro-") as folder:
            yield str(write(game, Path(folder)))


def write(game: Any, folder: Path) -> Path:
    """Writes payoffs to a file in a folder, which `games.load` reads. Returns its path."""
    form = normal_form(game)
    if form.players[0].action_names is None:
        path = folder / "payoffs.npy"
        np.save(path, form.table)
        return path
    path = folder / "payoffs.nfg"
    players = form.player_names or ("row", "column")
    names = [list(own.action_names[1:]) for own in form.players]
    payoffs = np.stack([form.payoffs_of(p) for p in range(form.num_players)])
    path.write_text(gambit.nfg("payoffs", players, names, payoffs), encoding="utf-8")
    return path


def _is_frame(value: Any) -> bool:
    """Whether a value is a DataFrame. pandas is not imported to find out."""
    kind = type(value)
    return kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] in (
        "pandas", "polars",
    )  # fmt: skip


def _of_frames(frames: Sequence[Any], name: str) -> NormalForm:
    if len(frames) > 2:
        raise GameError(
            f"{len(frames)} DataFrames are no game: give one (zero-sum), two (the row player's and "
            "the column player's), or an array"
        )
    first = frames[0]
    rows, columns = _labels(first)
    tables = []
    for frame in frames:
        if _labels(frame) != (rows, columns):
            raise GameError("both DataFrames must have the same labels of rows and columns")
        try:
            tables.append(frame.to_numpy().astype(np.float64))
        except (TypeError, ValueError) as error:
            raise GameError(f"a DataFrame of payoffs holds numbers only: {error}") from None
    axes = [getattr(getattr(first, axis, None), "name", None) for axis in ("index", "columns")]
    named = all(isinstance(axis, str) and axis for axis in axes)
    return NormalForm(
        np.stack(tables),
        name=name,
        player_names=player_names(axes) if named else None,
        action_names=(action_names(rows), action_names(columns)),
    )


def _labels(frame: Any) -> tuple[list[str], list[str]]:
    index = getattr(frame, "index", None)
    rows = range(len(frame)) if index is None else index
    return [str(label) for label in rows], [str(label) for label in frame.columns]
