"""Whether OpenSpiel copes with a game's parameters at all, tried out in a process of its own.

A Goofspiel of 10^9 cards fills any memory, Blotto with 20 coins on 20 fields lists 10^11 actions,
Hanabi with 7 colours aborts, Yacht with 63 sides lays out tables for minutes,
go fish with no players and most parameters of Universal Poker are a segmentation fault, and a file
that is named may never end: nothing in Python stops that. So a string with parameters is first
loaded and probed (`games.readers.probes`) by a process that has little time and memory; a game that
is too much for one probe is too large to enumerate. It takes a fraction of a second, once for each
string.
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
"""Of processor time; what is tried takes a tenth of a second in a game that can be enumerated."""
GIBIBYTES = 2
"""Of memory."""
NAMES_A_FILE = re.compile(r"(filename|_file|_root)\s*=", re.IGNORECASE)
"""Parameters by which OpenSpiel's games read files: efg_game's filename, bargaining's
instances_file, colored_trails' boards_file, crossword's word_list_file and puzzles_root."""
_SLOWDOWN = 12  # times as much wall time, on a machine that is busy with other things


@functools.lru_cache
def check(name: str) -> None:
    """Raises GameError where loading and probing the game takes more than `SECONDS` or
    `GIBIBYTES`, or brings OpenSpiel down. What OpenSpiel itself refuses passes."""
    process = subprocess.Popen(
        [sys.executable, "-P", probes.__file__, str(SECONDS), str(GIBIBYTES << 30)],
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
        raise GameError(
            f"{name!r} cannot be enumerated: OpenSpiel fails to load it and to play through it "
            f"once within {SECONDS} s and {GIBIBYTES} GiB"
        )
