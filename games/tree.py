"""A whole game as flat arrays, in sequence form (`games.player_tree`)."""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy import sparse

from games import units
from games.errors import MAX_RETURN, GameError
from games.player_tree import PlayerTree
from games.printing import player_name
from games.restriction import Part, restricted

if TYPE_CHECKING:
    from games.device_form import DeviceForm

__all__ = ["MAX_RETURN", "GameError", "GameTree", "PlayerTree"]

Plans = Sequence[np.ndarray]
"""A realization plan `[S_q]`, or several of them, `[K_q, S_q]`, for each player q."""


class Source(Protocol):
    """What a tree was loaded from."""

    def openspiel(self) -> Any:
        """OpenSpiel's game, a `pyspiel.Game` that plays in turns; it is loaded once.

        Raises `GameError` where OpenSpiel cannot have it.
        """
        ...


_PRODUCT_SIZE = 1 << 22
"""Numbers, of 8 bytes, in an intermediate product of `payoffs`; a few tens of MB."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class GameTree:
    """A game of perfect recall as arrays; made by `games.load`.

    P players, A actions, T terminals, D decisions, N outcomes. Chance is folded in: playing an
    action leads to one of several *outcomes*, each the next decision or a terminal. A *slot* is a
    (decision, legal action) pair, slot 0 the start of an episode.

    Attributes:
        name: what `games.load` was given.
        observation_kind: the tensor in `players[p].observation`, one of `games.OBSERVATIONS`.
        identity: what told the info states apart: `string`, `tensor` or `history`.
        num_histories: nodes of the tree, chance nodes and terminals included.
        max_length: the most decisions, of all players together, in one episode.
        players: each player's info states and sequences.
        chance: probability that chance plays its part of the way to a terminal, float64 `[T]`.
        terminal_returns: float64 `[T, P]`, in units of the game's payoff.
        sequence: each player's last sequence on the way to a terminal, int32 `[T, P]`.
        decision_player: seat to move, int32 `[D]`.
        decision_info_state: index into that player's info states, int32 `[D]`.
        first_slot: decision d's k-th legal action is slot `first_slot[d] + k`, int32 `[D]`.
        first_outcome: slot s has outcomes `first_outcome[s]:first_outcome[s + 1]`, int32.
        outcome_node: decision d as d, terminal z as D + z, int32 `[N]`.
        outcome_probability: float64 `[N]`; sums to 1 within a slot.
        player_names: what the game's file calls the players; None where it names none.
        source: what the tree was loaded from; None for one that was made in Python.
    """

    name: str
    observation_kind: str
    identity: str
    num_actions: int
    num_histories: int
    max_length: int
    players: tuple[PlayerTree, ...]
    chance: np.ndarray
    terminal_returns: np.ndarray
    sequence: np.ndarray
    decision_player: np.ndarray
    decision_info_state: np.ndarray
    first_slot: np.ndarray
    first_outcome: np.ndarray
    outcome_node: np.ndarray
    outcome_probability: np.ndarray
    player_names: tuple[str, ...] | None = None
    source: Source | None = dataclasses.field(default=None, repr=False)

    @property
    def num_players(self) -> int:
        return len(self.players)

    def player_name(self, seat: int, *, begins: bool = False) -> str:
        """What a player is called where somebody reads, see `games.printing.player_name`."""
        return player_name(self.player_names, seat, begins=begins)

    @property
    def num_decisions(self) -> int:
        return len(self.decision_player)

    @property
    def num_terminals(self) -> int:
        return len(self.chance)

    @property
    def num_info_states(self) -> int:
        return sum(player.num_info_states for player in self.players)

    @property
    def observation_size(self) -> int:
        return self.players[0].observation.shape[1]

    @functools.cached_property
    def max_return(self) -> float:
        """The largest absolute return of any player at any terminal."""
        return float(np.abs(self.terminal_returns).max())

    @functools.cached_property
    def span(self) -> float:
        """The largest difference between two returns of one player."""
        return units.span(self.terminal_returns.T)

    @functools.cached_property
    def is_constant_sum(self) -> bool:
        """Whether the players' returns add up to the same number at every terminal."""
        return units.is_constant_sum(self.terminal_returns.T)

    @property
    def rounding(self) -> float:
        """What two expected returns may differ by where they are equal in exact arithmetic."""
        return (4 + math.sqrt(self.num_terminals)) * np.finfo(np.float64).eps * self.max_return

    def notes(self) -> list[str]:
        """What a user should know about how this tree was made; a sentence each."""
        notes = []
        if self.identity != "string":
            notes.append(
                f"{self.name}: OpenSpiel's information state strings are missing or break perfect "
                f"recall, so info states were told apart by the player's {self.identity}"
            )
        for seat, player in enumerate(self.players):
            merged = player.indistinct()
            if merged:
                notes.append(
                    f"{self.name}: with the {self.observation_kind} tensor, a recurrent policy of "
                    f"{self.player_name(seat)} cannot tell {merged} of its "
                    f"{player.num_info_states} info states from another one"
                )
        return notes

    def returns(self, plans: Plans) -> np.ndarray:
        """Every player's expected return `[P]` when player q follows `plans[q]`, each `[S_q]`."""
        return self._reach(plans) @ self.terminal_returns

    def payoffs(self, plans: Plans) -> np.ndarray:
        """Expected returns of every profile, `[P, K_0, ..., K_{P-1}]`, of plans `[K_q, S_q]`.

        The two players with the most plans are contracted at once, profiles of all others visited
        in turn. So a table of two players takes `T min(K_0, K_1) + S K_0 K_1` products: the
        terminals are gone through once for each plan of the player with fewer, a new one against
        200 others too.
        """
        counts = [len(of_player) for of_player in plans]
        table = np.empty((self.num_players, *counts))
        if 0 in counts:
            return table
        *others, few, many = sorted(range(self.num_players), key=counts.__getitem__)
        others.sort()
        blocks = np.moveaxis(table, (1 + few, 1 + many), (-2, -1))
        paid = self.terminal_returns
        opposed = self.num_players == 2 and np.array_equal(paid[:, 0], -paid[:, 1])
        for profile in np.ndindex(*(counts[q] for q in others)):
            chosen: list[np.ndarray | None] = [None] * self.num_players
            for q, k in zip(others, profile, strict=True):
                chosen[q] = plans[q][k]
            reach = self._reach(chosen)
            for p in range(self.num_players):
                if p and opposed:
                    blocks[p] = -blocks[0]
                    continue
                self._contract(reach * paid[:, p], few, many, plans, blocks[(p, *profile)])
        return table

    def _contract(
        self, weight: np.ndarray, few: int, many: int, plans: Plans, table: np.ndarray
    ) -> None:
        """Fills `table [K_few, K_many]` with the sums over terminals of `weight [T]` times the
        plans of players `few` and `many`."""
        matrix = sparse.csr_array(
            (weight, (self.sequence[:, many], self.sequence[:, few])),
            shape=(plans[many].shape[1], plans[few].shape[1]),
        )
        at_once = max(1, _PRODUCT_SIZE // plans[many].shape[1])
        for first in range(0, len(table), at_once):
            some = slice(first, first + at_once)
            returns = matrix @ np.ascontiguousarray(plans[few][some].T)  # [S_many, some]
            table[some] = (plans[many] @ returns).T

    def opponent_reach(self, player: int, plans: Plans) -> np.ndarray:
        """Probability that chance and the others, with their `plans`, play their parts of the way
        to each terminal, `[T]`; the player's own plan is ignored."""
        return self._reach([None if q == player else plan for q, plan in enumerate(plans)])

    def sequence_returns(self, player: int, reach: np.ndarray) -> np.ndarray:
        """The player's returns, weighted by its opponents' `reach [T]`, by its last sequence,
        `[S]`: its expected return is the product of this with its plan."""
        return self._by_sequence(player, reach * self.terminal_returns[:, player])

    def info_state_reach(self, player: int, reach: np.ndarray) -> np.ndarray:
        """Probability that the opponents, with their `reach [T]` of the terminals, and chance lead
        to each info state of the player while it does all it can to get there, `[I]`."""
        tree = self.players[player]
        below = self._by_sequence(player, reach)  # [S]
        result = np.zeros(tree.num_info_states)
        for level in reversed(range(tree.num_levels)):
            first, last = tree.level_start[level], tree.level_start[level + 1]
            # Whatever the player does at an info state, it stays reached: any action will do.
            result[first:last] = below[tree.first_sequence[first:last]]
            below += np.bincount(
                tree.parent[first:last], weights=result[first:last], minlength=len(below)
            )
        return result

    def gains(self, player: int, plans: Plans) -> np.ndarray:
        """What a player's sequences earn against the other players' `plans`, `[S]`:
        `sequence_returns` against their reach. Its own plan is ignored."""
        return self.sequence_returns(player, self.opponent_reach(player, plans))

    def gains_and_reach(self, player: int, plans: Plans) -> tuple[np.ndarray, np.ndarray]:
        """All that a learner needs to know of the other players' `plans`: its `gains [S]` and its
        `info_state_reach [I]`, from one pass over the terminals."""
        reach = self.opponent_reach(player, plans)
        return self.sequence_returns(player, reach), self.info_state_reach(player, reach)

    def restrict(self, masks: Sequence[np.ndarray]) -> Part:
        """The game in which each player may only do what its mask, bool `[S_p]`, allows: what
        stays reachable of the terminals, decisions, info states and sequences, in the same order.

        Names, keys, observations and the numbers of actions stay. `num_histories` leaves out chance
        nodes.

        Raises:
            MaskError: a mask leaves a player no action somewhere.
        """
        return restricted(self, masks)

    def same_as(self, other: GameTree) -> bool:
        """Whether the other is the same game in the same numbering; what is observed may differ."""
        return (
            type(self) is type(other)
            and self.num_players == other.num_players
            and all(
                np.array_equal(getattr(self, name), getattr(other, name))
                for name in ("chance", "terminal_returns", "sequence")
            )
            and all(
                np.array_equal(player.first_sequence, counterpart.first_sequence)
                and all(map(operator.eq, player.names, counterpart.names))
                for player, counterpart in zip(self.players, other.players, strict=True)
            )
        )

    def check_tables(self) -> None:
        """Raises `GameError` where a learner's arrays for a player would be too large."""
        for seat, player in enumerate(self.players):
            try:
                player.check_tables()
            except GameError as error:
                raise GameError(
                    f"nothing can be learned for {self.player_name(seat)} of {self.name}: {error}"
                ) from None

    def openspiel(self) -> Any:
        """OpenSpiel's game of this tree, a `pyspiel.Game` that plays in turns.

        Raises `GameError` where there is none.
        """
        if self.source is None:
            raise GameError(f"{self.name} was made in Python, so OpenSpiel has no game of it")
        return self.source.openspiel()

    def device_form(self) -> DeviceForm:
        """The arrays that expected returns are made of, as a PyTree that computes with JAX."""
        from games.device_form import Terminals  # imports JAX

        return Terminals(
            chance=self.chance,
            returns=np.ascontiguousarray(self.terminal_returns.T, np.float64),
            sequence=np.ascontiguousarray(self.sequence.T),
        )

    def _reach(self, plans: Sequence[np.ndarray | None]) -> np.ndarray:
        """Probability that chance, and the players that have a plan `[S_q]`, play their parts of
        the way to each terminal, `[T]`."""
        reach = self.chance.copy()
        for q, plan in enumerate(plans):
            if plan is not None:
                reach *= plan[self.sequence[:, q]]
        return reach

    def _by_sequence(self, player: int, weight: np.ndarray) -> np.ndarray:
        """Terminal weights `[T]` added up by the player's last sequence, `[S]`."""
        return np.bincount(
            self.sequence[:, player],
            weights=weight,
            minlength=self.players[player].num_sequences,
        )
