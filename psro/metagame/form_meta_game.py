"""The meta-game of policies in a game of two players that is known by a `Form`, of any size.

Every policy has two vectors: its realization plan, and what the opponent's sequences gain against
it. One pass over the game gives the gains of both players against each other's new policy. Gains
are linear in the plan that they are against. So all else needs no pass: payoffs are dot products,
the gains against a mixture are a weighted sum, and a best response to it is one backward pass over
the own info states.

Vectors are float32, and may be files that are mapped into memory. Sums are float64, a part at a
time, so that the memory does not grow with the number of policies.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from games.form import Form
from psro import exact
from psro.metagame.meta_game import MetaGame

_PART = 1 << 18
"""Entries of all vectors that are converted to float64 at a time."""
_FLOAT32 = float(np.finfo(np.float32).eps)


class Vectors(Protocol):
    """One policy of one player.

    Attributes:
        plan: its realization plan, float32 `[S]`.
        gains: what the opponent's sequences earn against it, float32 `[S of the opponent]`.
    """

    @property
    def plan(self) -> np.ndarray: ...
    @property
    def gains(self) -> np.ndarray: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class FormMetaGame(MetaGame):
    """A `MetaGame` with the vectors of its policies.

    Attributes:
        tree: the game, by the name that it has in an `ExactMetaGame`.
        vectors: of every player's policies, `[2][K]`.
    """

    tree: Form
    vectors: tuple[tuple[Vectors, ...], ...]

    @classmethod
    def empty(cls, form: Form) -> FormMetaGame:
        """The meta-game without policies. Raises ValueError if the game is not for two players."""
        if form.num_players != 2:
            raise ValueError(f"{form.name} is for {form.num_players} players, and must be for two")
        return cls(tree=form, vectors=((), ()), payoffs=np.zeros((2, 0, 0)))

    @property
    def rounding(self) -> float:
        """The largest difference that rounding can make between two equal expected returns."""
        return max(self.tree.rounding, _FLOAT32 * self.tree.max_return)

    def put(
        self,
        slots: Sequence[int],
        vectors: Sequence[Sequence[Vectors]],
        payoffs: np.ndarray | None = None,
    ) -> FormMetaGame:
        """The meta-game with new policies at the numbers `slots`: they replace the policies of
        these numbers, or follow the last one. `vectors` are those of both players for each slot.
        `payoffs`, for example from a file, is the whole table of the result; by default it is
        computed."""
        size = max(self.size, *(slot + 1 for slot in slots))
        if not set(range(self.size, size)) <= set(slots):
            raise IndexError(f"slots {list(slots)} leave a gap after {self.size} policies")
        of_players = []
        for p, policies in enumerate(self.vectors):
            replaced = dict(enumerate(policies))
            replaced |= {slot: pair[p] for slot, pair in zip(slots, vectors, strict=True)}
            of_players.append(tuple(replaced[slot] for slot in range(size)))
        grown = dataclasses.replace(self, vectors=tuple(of_players))
        if payoffs is None:
            payoffs = grown._completed(np.unique(slots))
        return dataclasses.replace(grown, payoffs=payoffs)

    def take(self, members: Sequence[int]) -> FormMetaGame:
        fewer = super().take(members)
        return dataclasses.replace(
            fewer, vectors=tuple(tuple(of[k] for k in members) for of in self.vectors)
        )

    def _completed(self, new: np.ndarray) -> np.ndarray:
        """The table with the cells of all new policies computed; `payoffs` has the others."""
        size = len(self.vectors[0])
        known = np.setdiff1d(np.arange(size), new)
        payoffs = np.empty((2, size, size))
        payoffs[(slice(None), *np.ix_(known, known))] = self.payoffs[
            (slice(None), *np.ix_(known, known))
        ]
        for rows, columns in ((np.arange(size), new), (new, known)):
            payoffs[(0, *np.ix_(rows, columns))] = self._products(0, rows, columns)
            payoffs[(1, *np.ix_(rows, columns))] = (
                self._products(1, columns, rows).T
                if self.tree.utility_sum is None
                else self.tree.utility_sum - payoffs[(0, *np.ix_(rows, columns))]
            )
        return payoffs

    def _products(self, player: int, own: np.ndarray, opponents: np.ndarray) -> np.ndarray:
        """What some of a player's policies earn against some of the opponent's, `[own, opponents]`:
        products of plans and gains."""
        plans = [self.vectors[player][k].plan for k in own]
        gains = [self.vectors[1 - player][k].gains for k in opponents]
        result = np.zeros((len(own), len(opponents)))
        if len(own) and len(opponents):
            for part in _parts(len(plans[0])):
                result += _rows(plans, part) @ _rows(gains, part).T
        return result

    def plans_of(self, player: int, members: Sequence[int]) -> np.ndarray:
        """The plans of some of a player's policies, float64 `[len(members), S]`."""
        return np.stack([self.vectors[player][k].plan for k in members]).astype(np.float64)

    def gains_against(self, player: int, weights: np.ndarray) -> np.ndarray:
        """What a player's sequences earn against the opponent's policies, drawn by `weights [K]`,
        float64 `[S]`. It is linear in the weights, which need not add up to one."""
        played = np.flatnonzero(weights)
        gains = [self.vectors[1 - player][k].gains for k in played]
        result = np.zeros(self.tree.players[player].num_sequences)
        for part in _parts(len(result)) if gains else ():
            result[part] = weights[played] @ _rows(gains, part)
        return result

    def worth(self, player: int, gains: np.ndarray, policy: int) -> float:
        """What a player's policy earns where its sequences earn `gains [S]`."""
        plan = self.vectors[player][policy].plan
        return float(sum(gains[part] @ _rows([plan], part)[0] for part in _parts(len(plan))))

    def exploitability(
        self, marginals: Sequence[np.ndarray], by: Callable | None = None
    ) -> exact.Exploitability:
        """NashConv of a meta-strategy whose players draw independently, by weighted sums."""
        if by is not None:
            raise ValueError("the exploitability of a form is computed here")
        value = np.array([marginals[0] @ table @ marginals[1] for table in self.payoffs])
        best = np.array(
            [
                exact.best_response_value(player, self.gains_against(p, marginals[1 - p]))
                for p, player in enumerate(self.tree.players)
            ]
        )
        return exact.Exploitability.of(value, best, self.rounding)


def _parts(length: int) -> Iterator[slice]:
    for begin in range(0, length, _PART):
        yield slice(begin, min(begin + _PART, length))


def _rows(vectors: Sequence[np.ndarray], part: slice) -> np.ndarray:
    """A part of several vectors, float64 `[len(vectors), entries]`."""
    return np.stack([vector[part] for vector in vectors]).astype(np.float64)
