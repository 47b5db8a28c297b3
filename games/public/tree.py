"""A game by its public states and private types, without its histories."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from games.form import nbytes, pass_nbytes
from games.info_states import InfoStates, check_memory
from games.public.game import PublicGame, PublicStates
from games.public.numbering import Numbering

_MULTIPLICATIONS = 1 << 18
"""Of one product of types. It fits into a processor's cache, and BLAS does not wait for threads."""

_ROWS = 1 << 14
"""Public states whose info states are numbered at once."""

_LONG = 8
"""Ends in a row that are worth a product of their own."""


class PublicPlayer(InfoStates):
    """A player's info states: its public states one after another, each with the types that its
    board leaves. The info states of a public state have the same actions.

    Arrays that best responses do not need are made when they are read.

    Attributes:
        seat: the player.
        game: what it plays.
        first_info_state: public state n has the info states
            `first_info_state[n]:first_info_state[n + 1]`, int64 `[N + 1]`.
        numbering: the sequences of the player's slots.
    """

    def __init__(self, game: PublicGame, seat: int):
        states, possible = game.states[seat], game.possible[seat]
        num_types = possible.sum(axis=1)[states.board]  # [N]
        first_info_state = np.append(0, np.cumsum(num_types))
        counts = np.repeat(np.diff(states.first_slot), num_types)  # [I]
        first_sequence = np.ones(len(counts) + 1, np.int32)
        np.cumsum(counts, out=first_sequence[1:])
        first_sequence[1:] += 1
        vars(self).update(  # the dataclass is frozen
            num_actions=game.num_actions,
            first_sequence=first_sequence,
            level_start=first_info_state[states.level_start].astype(np.int32),
            seat=seat,
            game=game,
            first_info_state=first_info_state,
            numbering=Numbering.of(states, possible),
        )

    @functools.cached_property
    def parent(self) -> np.ndarray:
        states, possible = self.game.states[self.seat], self.game.possible[self.seat]
        parent = np.empty(self.num_info_states, np.int32)
        for first in range(0, len(states.parent), _ROWS):
            some = slice(first, min(first + _ROWS, len(states.parent)))
            rows = slice(*self.first_info_state[[some.start, some.stop]])
            sequences = self.numbering.sequences(states.parent[some])
            parent[rows] = sequences[possible[states.board[some]]]
        return parent

    @functools.cached_property
    def info_state(self) -> np.ndarray:
        rows = np.arange(-1, self.num_info_states, dtype=np.int32)
        return np.repeat(rows, np.append(1, np.diff(self.first_sequence)))

    @functools.cached_property
    def action(self) -> np.ndarray:
        states = self.game.states[self.seat]
        first_slot = np.repeat(states.first_slot[:-1], np.diff(self.first_info_state))
        slot = np.arange(self.num_sequences, dtype=np.int32)
        counts = np.diff(self.first_sequence)
        slot[1:] += np.repeat(first_slot - self.first_sequence[:-1], counts)
        return states.action[slot]

    @property
    def num_info_states(self) -> int:
        return len(self.first_sequence) - 1

    @property
    def num_sequences(self) -> int:
        return int(self.first_sequence[-1])

    @property
    def observation_size(self) -> int:
        return self.game.observation_size

    def public_states(self, rows: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """The public state and the type of info states `rows`, `[n]` each."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(self.num_info_states))
        states = np.searchsorted(self.first_info_state, rows, side="right") - 1
        types = rows - self.first_info_state[states]  # among those that are left
        possible = self.game.possible[self.seat]
        left = np.argsort(~possible, axis=1, kind="stable")  # those left come first, [B, T]
        return states, left[self.game.states[self.seat].board[states], types]

    def observe(self, rows: np.ndarray | slice) -> np.ndarray:
        """The tensors of info states `rows`, float32 `[n, O]`."""
        return self.game.observe(self.seat, *self.public_states(rows))


class PublicTree:
    """A `Form` (`games.form`) of a game whose moves both players see and whose deals only their
    owners do: `games.public.game` says what such a game is.

    Raises `GameError` if it does not fit into memory.

    What a sequence earns is a sum over the opponent's types at each end of the public tree. So the
    gains of all types are a product of a matrix of payoffs and the opponent's plan, in float64
    (Johanson et al. 2011, "Accelerating best response calculation in large extensive games").
    """

    is_constant_sum = True
    utility_sum = 0.0
    num_players = 2

    def __init__(self, game: PublicGame):
        check_memory(game.name, sum(map(_num_sequences, game.states, game.possible)))
        self.game = game
        self.name = game.name
        self.observation_kind = game.observation_kind
        self.num_actions = game.num_actions
        self.num_histories = game.num_histories
        self.max_length = game.max_length
        self.max_return = game.max_return
        self.players = tuple(PublicPlayer(game, seat) for seat in range(2))
        self._pieces = list(self._pieces_of(np.array(game.kind_start)))

    @property
    def num_info_states(self) -> int:
        return sum(player.num_info_states for player in self.players)

    @property
    def observation_size(self) -> int:
        return self.game.observation_size

    @property
    def rounding(self) -> float:
        """The largest difference that rounding can make between two equal expected returns."""
        terms = len(self.game.end_slot) * self.game.payoff[0].size
        return (4 + math.sqrt(terms)) * np.finfo(np.float64).eps * self.max_return

    def returns(self, plans: Sequence[np.ndarray]) -> np.ndarray:
        """Every player's expected return `[P]`, of plans `[S_q]`."""
        value = float(plans[0] @ self.gains(0, plans))
        return np.array([value, -value])

    def gains(self, player: int, plans: Sequence[np.ndarray | None]) -> np.ndarray:
        """What a player's sequences earn against the other's plan, `[S]`. Its own is ignored."""
        opponent = np.ascontiguousarray(plans[1 - player])
        gains = np.zeros(self.players[player].num_sequences)
        for kind, ends, regular in self._pieces:
            payoff = self.game.payoff[kind]
            payoff = -payoff if player else payoff.T  # [T_q, T_p]
            self._add(player, opponent, ends, regular, payoff, gains)
        return gains

    def returns_and_gains(self, plans: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        """`returns [P]` and every player's `gains`."""
        gains = [self.gains(p, plans) for p in range(2)]
        value = float(plans[0] @ gains[0])
        return np.array([value, -value]), gains

    def begin_pass(self, plans: Sequence[np.ndarray]) -> float:
        """All of `returns_and_gains`; returns 1."""
        self.returns_and_gains(plans)
        return 1.0

    @property
    def nbytes(self) -> int:
        kept = nbytes(self, self.game, *self.game.states, *self.players)
        return kept + pass_nbytes(self.players)

    def payoffs(self, plans: Sequence[np.ndarray]) -> np.ndarray:
        """Expected returns of every profile, `[P, K_0, K_1]`, of plans `[K_q, S_q]`: one pass for
        each plan of the player with fewer."""
        fewer = int(len(plans[1]) < len(plans[0]))
        more = 1 - fewer
        table = np.empty((len(plans[fewer]), len(plans[more])))
        for k, plan in enumerate(plans[fewer]):
            chosen: list[np.ndarray | None] = [None, None]
            chosen[fewer] = plan
            table[k] = plans[more] @ self.gains(more, chosen)
        earned = table.T if fewer else -table  # by player 0, [K_0, K_1]
        return np.stack([earned, -earned])

    def _add(
        self,
        player: int,
        opponent: np.ndarray,
        ends: slice,
        regular: bool,
        payoff: np.ndarray,
        gains: np.ndarray,
    ) -> None:
        """Adds to the player's `gains [S]` what it earns at some ends against the `opponent`'s plan
        `[S_q]`, for the `payoff [T_q, T_p]` of a chip."""
        own, other = self.players[player].numbering, self.players[1 - player].numbering
        slots, opposing = (self.game.end_slot[ends, seat] for seat in (player, 1 - player))
        scale = self.game.end_scale[ends, None]
        if regular:
            reach = other.view(opponent, opposing[0], len(opposing))
            earned = own.view(gains, slots[0], len(slots))
            earned += np.ascontiguousarray(reach, np.float64) @ payoff * scale
        else:
            reach = opponent[other.sequences(opposing)]
            np.add.at(gains, own.sequences(slots), reach @ payoff * scale)

    def _pieces_of(self, bounds: np.ndarray):
        """The ends, a few of one kind at a time: (kind, ends, whether they are regular). At regular
        ends, the slots of both players follow each other."""
        slots = self.game.end_slot
        follows = np.append(False, np.ones(len(slots) - 1, bool))
        for player in self.players:
            follows[1:] &= player.numbering.follow(slots[:, player.seat])
        follows[bounds[:-1]] = False
        starts = np.flatnonzero(~follows)
        lengths = np.diff(np.append(starts, len(slots)))
        kinds = np.searchsorted(bounds, starts, side="right") - 1
        at_once = max(_LONG, _MULTIPLICATIONS // self.game.payoff[0].size)
        pending = None  # irregular ends (kind, first, last) that may be joined by more
        for start, length, kind in zip(starts, lengths, kinds, strict=True):
            stop, regular = start + length, length >= _LONG
            if pending and (regular or pending[0] != kind or stop - pending[1] > at_once):
                yield pending[0], slice(*pending[1:]), False
                pending = None
            if not regular:
                pending = (kind, pending[1] if pending else start, stop)
                continue
            for first in range(start, stop, at_once):
                yield kind, slice(first, min(first + at_once, stop)), True
        if pending:
            yield pending[0], slice(*pending[1:]), False


def _num_sequences(states: PublicStates, possible: np.ndarray) -> int:
    return 1 + int(possible.sum(axis=1)[states.board] @ np.diff(states.first_slot))
