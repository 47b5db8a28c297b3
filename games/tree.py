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
from games.form import Plans, nbytes, pass_nbytes
from games.player_tree import PlayerTree
from games.printing import player_name
from games.restriction import Part, restricted
from games.spaces import Box, Discrete

if TYPE_CHECKING:
    from games.device_form import DeviceForm

__all__ = ["MAX_RETURN", "GameError", "GameTree", "Plans", "PlayerTree"]


class Source(Protocol):
    """What a tree was loaded from."""

    def openspiel(self) -> Any:
        """OpenSpiel's game, a `pyspiel.Game` with moves in turn; it is loaded once.

        Raises `GameError` if OpenSpiel cannot represent it.
        """
        ...


_PRODUCT_SIZE = 1 << 22
"""Numbers, of 8 bytes, in an intermediate product of `payoffs`; a few tens of MB."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class GameTree:
    """A game of perfect recall as arrays; made by `games.load`.

    P players, A actions, T terminals, D decisions, N outcomes. There are no chance nodes: an action
    leads to one of several *outcomes*, each a decision or a terminal, with a probability. A *slot*
    is a (decision, legal action) pair; slot 0 is the start of an episode.

    Attributes:
        name: the name or file that `games.load` was given.
        observation_kind: the tensor in `players[p].observation`, one of `games.OBSERVATIONS`.
        identity: what identifies info states: `string`, `tensor` or `history`.
        num_histories: nodes of the tree, chance nodes and terminals included.
        max_length: the most decisions, of all players together, in one episode.
        players: each player's info states and sequences.
        chance: product of the chance probabilities on the path to each terminal, float64 `[T]`.
        terminal_returns: float64 `[T, P]`, in units of the game's payoff.
        sequence: each player's last sequence before each terminal, int32 `[T, P]`.
        decision_player: seat to move, int32 `[D]`.
        decision_info_state: index into that player's info states, int32 `[D]`.
        first_slot: decision d's k-th legal action is slot `first_slot[d] + k`, int32 `[D]`.
        first_outcome: slot s has outcomes `first_outcome[s]:first_outcome[s + 1]`, int32.
        outcome_node: d for decision d, D + z for terminal z, int32 `[N]`.
        outcome_probability: float64 `[N]`; sums to 1 within a slot.
        player_names: the players' names in the game's file; None if it has none.
        outcome_names: of a table, the name of each terminal's outcome in the file, "" for none,
            `[T]`; None if the file names none. Those of an extensive form are in its source.
        source: what the tree was loaded from; None for a tree that was made in Python.
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
    outcome_names: Sequence[str] | None = None
    source: Source | None = dataclasses.field(default=None, repr=False)

    @property
    def num_players(self) -> int:
        return len(self.players)

    def player_name(self, seat: int, *, begins: bool = False) -> str:
        """A player's name for readers, see `games.printing.player_name`."""
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

    @property
    def observation_space(self) -> Box:
        return Box((self.observation_size,))

    @property
    def action_space(self) -> Discrete:
        return Discrete(self.num_actions)

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
    def utility_sum(self) -> float | None:
        """The sum of all players' returns, where it is the same at every terminal; else None."""
        return float(self.terminal_returns[0].sum()) if self.is_constant_sum else None

    @property
    def rounding(self) -> float:
        """The largest difference that rounding can make between two equal expected returns."""
        return (4 + math.sqrt(self.num_terminals)) * np.finfo(np.float64).eps * self.max_return

    def notes(self) -> list[str]:
        """One sentence for each fact about this tree that a user should know."""
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

        All plans of the two players with the most plans are contracted at once; the profiles of the
        other players are visited one by one. A table of two players takes `T min(K_0, K_1) + S K_0
        K_1` products: one pass over the terminals for each plan of the player with fewer plans.
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
        """The part of chance and of the other players' `plans` in the probability of reaching each
        terminal, `[T]`. The player's own plan is ignored."""
        return self._reach([None if q == player else plan for q, plan in enumerate(plans)])

    def sequence_returns(self, player: int, reach: np.ndarray) -> np.ndarray:
        """The player's returns, weighted by its opponents' `reach [T]` and added up by its last
        sequence, `[S]`. Its expected return is the dot product of this with its plan."""
        return self._by_sequence(player, reach * self.terminal_returns[:, player])

    def info_state_reach(self, player: int, reach: np.ndarray) -> np.ndarray:
        """The probability of each info state of the player, `[I]`, if its own actions always lead
        there. `reach [T]` is the opponents' and chance's part for each terminal."""
        tree = self.players[player]
        below = self._by_sequence(player, reach)  # [S]
        result = np.zeros(tree.num_info_states)
        for level in reversed(range(tree.num_levels)):
            first, last = tree.level_start[level], tree.level_start[level + 1]
            # The player's action does not change the reach of its info state: take the first.
            result[first:last] = below[tree.first_sequence[first:last]]
            below += np.bincount(
                tree.parent[first:last], weights=result[first:last], minlength=len(below)
            )
        return result

    def gains(self, player: int, plans: Plans) -> np.ndarray:
        """What a player's sequences earn against the other players' `plans`, `[S]`:
        `sequence_returns` for their reach. Its own plan is ignored."""
        return self.sequence_returns(player, self.opponent_reach(player, plans))

    def returns_and_gains(self, plans: Plans) -> tuple[np.ndarray, list[np.ndarray]]:
        """Every player's expected return `[P]`, and every player's `gains [S_p]`."""
        gains = [self.gains(player, plans) for player in range(self.num_players)]
        return self.returns(plans), gains

    def begin_pass(self, plans: Plans) -> float:
        """All of `returns_and_gains`; returns 1."""
        self.returns_and_gains(plans)
        return 1.0

    @property
    def nbytes(self) -> int:
        return nbytes(self, *self.players) + pass_nbytes(self.players)

    def gains_and_reach(self, player: int, plans: Plans) -> tuple[np.ndarray, np.ndarray]:
        """The player's `gains [S]` and `info_state_reach [I]` against the other players' `plans`,
        from one pass over the terminals. A learner needs nothing else of its opponents."""
        reach = self.opponent_reach(player, plans)
        return self.sequence_returns(player, reach), self.info_state_reach(player, reach)

    def restrict(self, masks: Sequence[np.ndarray]) -> Part:
        """The game in which each player may use only the actions that its mask, bool `[S_p]`,
        allows. It holds the reachable terminals, decisions, info states and sequences, in the same
        order.

        Names, keys, observations and the numbers of actions stay. `num_histories` does not count
        chance nodes.

        Raises:
            MaskError: a mask leaves a player no action somewhere.
        """
        return restricted(self, masks)

    def same_as(self, other: GameTree) -> bool:
        """Whether the other is the same game in the same numbering. Observations may differ."""
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
        """Raises `GameError` if a learner's arrays for a player would be too large."""
        for seat, player in enumerate(self.players):
            try:
                player.check_tables()
            except GameError as error:
                raise GameError(
                    f"nothing can be learned for {self.player_name(seat)} of {self.name}: {error}"
                ) from None

    def openspiel(self) -> Any:
        """OpenSpiel's game of this tree, a `pyspiel.Game` with moves in turn.

        Raises `GameError` if there is none.
        """
        if self.source is None:
            raise GameError(f"{self.name} was made in Python, so OpenSpiel has no game of it")
        return self.source.openspiel()

    def device_form(self) -> DeviceForm:
        """The arrays that expected returns need, as a PyTree with JAX's formulas."""
        from games.device_form import Terminals  # imports JAX

        return Terminals(
            chance=self.chance,
            returns=np.ascontiguousarray(self.terminal_returns.T, np.float64),
            sequence=np.ascontiguousarray(self.sequence.T),
        )

    def _reach(self, plans: Sequence[np.ndarray | None]) -> np.ndarray:
        """The part of chance, and of the players that have a plan `[S_q]`, in the probability of
        reaching each terminal, `[T]`."""
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
