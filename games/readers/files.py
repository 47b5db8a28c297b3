"""Games in files: which names mean files, and how a file is opened and read.

| ending | holds |
|---|---|
| `.csv` | the row player's payoffs of a two-player zero-sum game, with or without labels |
| `.npy` | the same as an array `[rows, columns]`, or all players', `[P, A_0, ..., A_{P-1}]` |
| `.npz` | `payoffs`, as in a `.npy`; or matrices `row` and `column`, one a player; or `row` alone |
| `.nfg` | Gambit's strategic form |
| `.efg` | Gambit's extensive form |

A file may come from a stranger. Nothing in it is executed. Its size is checked before it is read.
Only plain files are read: no folders, pipes or devices.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from games.errors import GameError
from games.printing import printable
from games.readers import arrays, csv_table, gambit, tokens
from games.readers.gambit import ExtensiveForm
from games.readers.labels import PayoffTable

ENDINGS = (".csv", ".npy", ".npz", ".nfg", ".efg")

MAX_BYTES = 1_000_000_000
"""The most bytes of a file. It is enough for `labels.MAX_PAYOFFS` numbers, of 16 bytes each in an
array, or of about as many characters in a text. Some larger files are sparse: they use little of
the disk, but reading them would take minutes and all memory."""

_MOST_HEADER = 1 << 20  # bytes of a Gambit file that are searched for its players


def is_file(name: str) -> bool:
    """Whether a game's name means a file: it has one of `ENDINGS`. OpenSpiel's names have no
    ending."""
    return Path(name).suffix.lower() in ENDINGS


def is_extensive(name: str) -> bool:
    """Whether the file holds a tree; the others hold payoffs."""
    return Path(name).suffix.lower() == ".efg"


def check_ending(name: str) -> None:
    """Raises `GameError` for a name that can only mean a file, but not one that is read as a game:
    the file exists, or the name has a folder or an ending, which OpenSpiel's names do not have."""
    if "(" in name or not (re.search(r"[/.\\]", name) or os.path.isfile(name)):
        return
    ending = Path(name).suffix
    *some, last = ENDINGS
    hint = ""
    if ending.lower() in (".agg", ".bagg", ".gbt"):
        hint = "; Gambit can save such a game as .nfg or .efg"
    raise GameError(
        f"no game is called {name!r}, and files "
        + (f"that end in {ending!r}" if ending else "without an ending")
        + f" are not read as games: use {', '.join(some)} or {last}{hint}"
    )


def digest(name: str | os.PathLike) -> str:
    """SHA-256 of a file, in hexadecimal. Raises as `read_payoffs`."""
    with opened(name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy(name: str | os.PathLike, target: BinaryIO) -> None:
    """Writes a game's file to `target`. Raises as `read_payoffs`."""
    with opened(name) as file:
        shutil.copyfileobj(file, target)


def read_efg(name: str) -> ExtensiveForm:
    """An extensive game. Raises as `read_payoffs`."""
    with opened(name) as file:
        return gambit.read_efg(tokens.read_text(file))


def player_names(name: str) -> tuple[str, ...] | None:
    """The players' names in the first line of a Gambit file. None if it is another kind of file, or
    it cannot be read."""
    if Path(name).suffix.lower() not in (".efg", ".nfg"):
        return None
    with contextlib.suppress(GameError), opened(name) as file:
        return gambit.read_player_names(tokens.read_text(file, most=_MOST_HEADER))
    return None


def read_payoffs(name: str) -> PayoffTable:
    """The payoffs of a file, as `games.matrix.NormalForm` takes them.

    Raises:
        GameError: there is no such file, it is too large or not a plain file, or it holds something
            else. The sentence names the file.
    """
    read = {
        ".csv": csv_table.read_csv,
        ".npy": arrays.read_npy,
        ".npz": arrays.read_npz,
        ".nfg": lambda file: gambit.read_nfg(tokens.read_text(file)),
    }[Path(name).suffix.lower()]
    with opened(name) as file:
        return read(file)


@contextlib.contextmanager
def opened(name: str | os.PathLike) -> Iterator[BinaryIO]:
    """Opens a plain file of at most `MAX_BYTES`. Every error becomes a `GameError` that names the
    file."""
    shown = printable(os.fspath(name))
    if not _is_name(name):
        raise GameError(f"'{shown}' cannot be the name of a file")
    try:
        # A pipe that nobody writes to would never open without this.
        with open(
            name, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)
        ) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise GameError("it is a pipe or a device, not a file")
            if status.st_size > MAX_BYTES:
                raise GameError(
                    f"it has {status.st_size:,} bytes, and at most {MAX_BYTES:,} are read"
                )
            yield file
    except GameError as error:
        raise GameError(f"'{shown}' cannot be read as a game: {error}") from None
    except FileNotFoundError:
        raise GameError(f"there is no file '{shown}'") from None
    except OSError as error:
        raise GameError(f"cannot read '{shown}': {error.strerror or error}") from None


def _is_name(name: str | os.PathLike) -> bool:
    """Whether the operating system could have a file of this name."""
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False
