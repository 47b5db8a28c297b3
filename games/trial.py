"""Whether OpenSpiel copes with a game string at all, tried out in a process of its own.

Games set aside what their parameters name as soon as they are loaded: a Goofspiel of 10^9 cards
fills any memory, Blotto with 20 coins on 20 fields lists 10^11 actions, and a file that is named
may never end. Nothing stops OpenSpiel in the middle of that. So a string that could ask for much is
first loaded and probed (`games.probes`) by a process that has little time and memory; a game that
is too much for one probe is too large to enumerate.
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
import subprocess
import sys

from games import probes
from games.tree import GameError

SECONDS = 5
"""Of processor time; what is tried takes a tenth of a second in a game that can be enumerated."""
GIBIBYTES = 2
"""Of memory."""
LEAST_PRODUCT = 64
"""What the numbers of a string multiply to, from which on it is tried out: no game of OpenSpiel
takes a tenth of a second, or of a gigabyte, to load with less (`tests/test_trial.py`)."""
NAMES_A_FILE = re.compile(r"(filename|_file|_root)\s*=", re.IGNORECASE)
"""Parameters by which OpenSpiel's games read files: efg_game's filename, bargaining's
instances_file, colored_trails' boards_file, crossword's word_list_file and puzzles_root."""
_PATIENCE = 12  # times as much wall time, on a machine that is busy with other things
_NUMBER = re.compile(r"\d+(?:\.\d*)?(?:e[+-]?\d+)?", re.IGNORECASE)


def asks_for_much(name: str) -> bool:
    """Whether a game string is to be tried out: its numbers are large, or it names a file."""
    numbers = [max(1.0, float(each)) for each in _NUMBER.findall(name.partition("(")[2])]
    return math.prod(numbers) >= LEAST_PRODUCT or bool(NAMES_A_FILE.search(name))


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
            process.communicate(name.encode("utf-8", "surrogateescape"), SECONDS * _PATIENCE)
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise GameError(
            f"{name!r} is too large to enumerate: OpenSpiel fails to load it and to play through "
            f"it once within {SECONDS} s and {GIBIBYTES} GiB"
        )
