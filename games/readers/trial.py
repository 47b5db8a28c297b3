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
import re
import subprocess
import sys

from games.readers import probes
from games.tree import GameError

SECONDS = 5
"""Limit of processor time. The test takes a tenth of a second for a game that can be enumerated."""
GIBIBYTES = 2
"""Limit of memory."""
NAMES_A_FILE = re.compile(r"(filename|_file|_root)\s*=", re.IGNORECASE)
"""Parameters by which OpenSpiel's games read files: efg_game's filename, bargaining's
instances_file, colored_trails' boards_file, crossword's word_list_file and puzzles_root."""
_SLOWDOWN = 12  # wall time may be this many times as long, if the machine is busy


@functools.lru_cache
def check(name: str, *, enumerated: bool = True) -> None:
    """Raises `GameError` if loading and playing the game, and probing it if it is to be
    `enumerated`, takes more than `SECONDS` or `GIBIBYTES`, or crashes OpenSpiel. A game that
    OpenSpiel itself refuses passes."""
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
    if process.returncode:
        use = "enumerated" if enumerated else "played"
        raise GameError(
            f"{name!r} cannot be {use}: OpenSpiel cannot load it and play through it once "
            f"within {SECONDS} s and {GIBIBYTES} GiB"
        )
