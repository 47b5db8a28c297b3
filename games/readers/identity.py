"""What tells a player's info states apart, and what it sees: questions to OpenSpiel's states."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Callable, Hashable
from operator import methodcaller
from typing import Any

Question = Callable[[Any], Any]
"""Asks a state something about one player."""


@dataclasses.dataclass(frozen=True)
class Identity:
    """One way to tell info states apart. (Of plain names, so that it can be pickled.)

    Attributes:
        name: `string`, `tensor` or `history`: as `GameTree.identity`.
        method: the state's method that is asked, with the player.
    """

    name: str
    method: str

    @property
    def by_history(self) -> bool:
        """Whether an info state is what is seen together with the sequence before it."""
        return self.name == "history"

    def question(self, player: int) -> Question:
        """What is asked of a state at `player`'s decision; answers are hashable."""
        ask = methodcaller(self.method, player)
        return ask if self.method.endswith("_string") else lambda state: _packed(ask(state))

    def key(self, state: Any, player: int, parent: int) -> Hashable:
        """Of `player`'s info state, `parent` being the sequence before it."""
        seen = getattr(state, self.method)(player)
        if not self.method.endswith("_string"):
            seen = _packed(seen)
        return (parent, seen) if self.by_history else seen


def identities(game: Any) -> dict[str, Identity]:
    """The ways that a pyspiel game offers, by name, best first."""
    kind, methods = game.get_type(), {}
    if kind.provides_information_state_string:
        methods["string"] = "information_state_string"
    if kind.provides_information_state_tensor:
        methods["tensor"] = "information_state_tensor"
    if kind.provides_observation_string:
        methods["history"] = "observation_string"
    elif kind.provides_observation_tensor:
        methods["history"] = "observation_tensor"
    return {name: Identity(name, method) for name, method in methods.items()}


def _packed(tensor: list[float]) -> bytes:
    return array("f", tensor).tobytes()
