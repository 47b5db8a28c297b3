"""Tests in a separate process whether OpenSpiel can handle a game's parameters.

Python cannot stop what some parameters do. A Goofspiel of 10^9 cards fills any memory. Blotto
with 20 coins on 20 fields lists 10^11 actions. Hanabi with 7 colours aborts. Yacht with 63 sides
builds tables for minutes. Go fish with no players and most parameters of Universal Poker end in a
segmentation fault. A file that a parameter names may never end.

So a string with parameters is first loaded and probed (`games.readers.probes`) by a process with
little time and memory. A game that is too much for one probe is too large to enumerate. A game
that is only played is not probed. The test takes a fraction of a second, once for each string.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import stat
import subprocess
import sys

from games.readers import probes
from games.tree import GameError

SECONDS = 5
"""Limit of processor time. The test takes a tenth of a second for a game that can be enumerated."""
GIBIBYTES = 2
"""Limit of memory."""
NAMES_A_FILE = re.compile(r"(?:filename|_file|_root)\s*=", re.IGNORECASE)
"""Parameters by which OpenSpiel's games read files: efg_game's filename, bargaining's
instances_file, colored_trails' boards_file, crossword's word_list_file and puzzles_root."""
_FILE = re.compile(NAMES_A_FILE.pattern + r"\s*([^,()]*)", re.IGNORECASE)
_SLOWDOWN = 12  # wall time may be this many times as long, if the machine is busy


def check(name: str, *, enumerated: bool = True) -> None:
    """Raises `GameError` if loading and playing the game, and probing it if it is to be
    `enumerated`, takes more than `SECONDS` or `GIBIBYTES`, or crashes OpenSpiel, or if a parameter
    names a pipe or a device. A game that OpenSpiel itself refuses passes."""
    for path in _FILE.findall(name):
        if _never_ends(path):
            raise GameError(f"{name!r} names a pipe or a device, not a file")
    if not _survives(name, enumerated):
        use = "enumerated" if enumerated else "played"
        raise GameError(
            f"{name!r} cannot be {use}: OpenSpiel cannot load it and play through it once "
            f"within {SECONDS} s and {GIBIBYTES} GiB"
        )


def _never_ends(path: str) -> bool:
    """Whether reading it could wait for ever, or read for ever."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@functools.lru_cache
def _survives(name: str, enumerated: bool) -> bool:
    limits = [str(SECONDS), str(GIBIBYTES << 30)]
    process = subprocess.Popen(
        [sys.executable, "-P", probes.__file__, *limits, *(["probe"] if enumerated else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(name.encode("utf-8", "surrogateescape"), SECONDS * _SLOWDOWN)
    finally:
        process.kill()
        process.wait()
    return process.returncode == 0
