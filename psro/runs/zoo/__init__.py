"""Small trained populations that come with the package, each an exported run with a card.

`zoo:kuhn` stands for such a run wherever a folder or an exported file is expected: `psro.load`
takes it, and so do the commands.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
import os
from pathlib import Path

from psro.runs.storage import ExperimentError

PREFIX = "zoo:"
_HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """How a population was made, and what it is worth.

    Attributes:
        name: of the run, after `zoo:`.
        game: its game.
        about: the game and the population in a line.
        command: what remakes it.
        exploitability: exact, of its mixture, in units of the game's payoff, as `psro eval` said.
        policies: of each player.
        cpu_seconds: that the command took, on one core of an ordinary machine.
    """

    name: str
    game: str
    about: str
    command: str
    exploitability: float
    policies: int
    cpu_seconds: int

    @property
    def file(self) -> Path:
        """The exported run."""
        return _HERE / f"{self.name}.psro"


@functools.cache
def cards() -> dict[str, Card]:
    """All cards, by name."""
    fields = json.loads((_HERE / "cards.json").read_text(encoding="utf-8"))
    return {name: Card(name=name, **card) for name, card in fields.items()}


def card(name: str) -> Card:
    """The card of a population, with or without `zoo:` before its name.

    Raises:
        ExperimentError: there is none of this name.
    """
    name = name.removeprefix(PREFIX)
    if name not in cards():
        near = difflib.get_close_matches(name, cards(), n=1)
        hint = f"did you mean {PREFIX}{near[0]}? " if near else ""
        raise ExperimentError(
            f"the zoo has no {name[:80]!r}; {hint}known: "
            + ", ".join(f"{PREFIX}{known}" for known in cards())
        )
    return cards()[name]


def located(path: str | os.PathLike) -> Path:
    """The file that `zoo:NAME` stands for; any other path as it is, and also one that exists.

    Raises:
        ExperimentError: the zoo has no such name.
    """
    text = os.fspath(path)
    if not isinstance(text, str) or not text.startswith(PREFIX) or os.path.lexists(text):
        return Path(path)
    return card(text).file
