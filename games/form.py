"""What exact quantities need of a game, however the game is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from games.info_states import InfoStates

Plans = Sequence[np.ndarray]
"""A realization plan `[S_q]`, or several of them, `[K_q, S_q]`, for each player q."""


class Form(Protocol):
    """A game of P players with perfect recall, in sequence form.

    `GameTree` stores every history, a `games.walked.WalkedTree` only the players' own info states.
    Realization plans, mixtures, best responses and exploitability (`psro.exact.plans`) do not ask
    which of them a form is.

    Attributes:
        name: the game's string.
        num_actions: the largest number of actions of any player.
        num_histories: nodes of the whole tree, terminals included.
        players: each player's own info states and sequences.
        max_return: the largest absolute return of any player.
        rounding: the largest difference that rounding can make between two equal expected returns.
        is_constant_sum: whether the players' returns add up to the same number at every terminal.
        utility_sum: this number; None if it differs.
    """

    name: str
    num_actions: int
    num_histories: int
    players: tuple[InfoStates, ...]

    @property
    def num_players(self) -> int: ...
    @property
    def num_info_states(self) -> int: ...
    @property
    def max_return(self) -> float: ...
    @property
    def rounding(self) -> float: ...
    @property
    def is_constant_sum(self) -> bool: ...
    @property
    def utility_sum(self) -> float | None: ...

    def returns(self, plans: Plans) -> np.ndarray:
        """Every player's expected return `[P]` when player q follows `plans[q]`, each `[S_q]`."""
        ...

    def gains(self, player: int, plans: Plans) -> np.ndarray:
        """What a player's sequences earn against the other players' `plans`, float64 `[S]`. Its
        expected return is the dot product of this with its own plan, which is ignored here."""
        ...

    def returns_and_gains(self, plans: Plans) -> tuple[np.ndarray, list[np.ndarray]]:
        """`returns [P]`, and every player's `gains [S_p]`, together where that is cheaper."""
        ...

    def payoffs(self, plans: Plans) -> np.ndarray:
        """Expected returns of every profile, `[P, K_0, ..., K_{P-1}]`, of plans `[K_q, S_q]`."""
        ...

    @property
    def nbytes(self) -> int:
        """Of all arrays that the form keeps, and of those that `returns_and_gains` makes."""
        ...

    def begin_pass(self, plans: Plans) -> float:
        """Does a part of `returns_and_gains`, or all of it where that is quick, to see how long it
        takes. Returns its share."""
        ...


def nbytes(*holders: Any) -> int:
    """Bytes of the different arrays that some objects hold, those of tuples included. A view counts
    as the array that it is of."""
    arrays = {id(array): array for holder in holders for array in _arrays(vars(holder).values())}
    return sum(array.nbytes for array in arrays.values())


def pass_nbytes(players: Sequence[InfoStates]) -> int:
    """Bytes of what `returns_and_gains` is given, makes and gives: four numbers for each
    sequence."""
    return 4 * 8 * sum(player.num_sequences for player in players)


def _arrays(values: Any) -> Iterator[np.ndarray]:
    for value in values:
        if isinstance(value, np.ndarray):
            yield value if value.base is None else value.base
        elif isinstance(value, tuple):
            yield from _arrays(value)
