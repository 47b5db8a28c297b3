"""How a player's info states are told apart, and what the player sees: questions to OpenSpiel's
states."""

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
    """One way to tell info states apart. (It holds only names, so it can be pickled.)

    Attributes:
        name: `string`, `tensor` or `history`, as in `GameTree.identity`.
        method: the method of a state that answers, given the player.
    """

    name: str
    method: str

    @property
    def by_history(self) -> bool:
        """Whether an info state is identified by the observation together with the sequence before
        it."""
        return self.name == "history"

    def question(self, player: int) -> Question:
        """The question to a state at `player`'s decision. Answers are hashable."""
        ask = methodcaller(self.method, player)
        return ask if self.method.endswith("_string") else lambda state: _packed(ask(state))

    def key(self, state: Any, player: int, parent: int) -> Hashable:
        """The key of `player`'s info state; `parent` is the sequence before it."""
        seen = getattr(state, self.method)(player)
        if not self.method.endswith("_string"):
            seen = _packed(seen)
        return (parent, seen) if self.by_history else seen


def identities(game: Any) -> dict[str, Identity]:
    """The identities that a pyspiel game offers, by name, the best first."""
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
