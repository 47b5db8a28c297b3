"""Poker for two as public states and types: OpenSpiel's own states are played through once for each
board, with a pair of hands that the board leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from games.errors import GameError
from games.public.deals import Cards, Deals
from games.public.game import PublicGame, PublicStates

Board = tuple[Cards, ...]
"""The cards of each round that showed some."""

MAX_ENDS = 1_000_000
"""The most ends of betting, over all boards, that are played through."""

_PLAYERS = 2
"""Tensors begin with as many entries for the player; those of its cards follow."""


def kuhn_poker(name: str, openspiel: Any, observation: str) -> PublicGame:
    """OpenSpiel's `kuhn_poker` for two players."""
    deals = Deals(np.ones(openspiel.num_players() + 1, np.int64), 1)
    return _Reader(name, openspiel, deals, (), observation, check=0).game()


def leduc_poker(name: str, openspiel: Any, observation: str) -> PublicGame:
    """OpenSpiel's `leduc_poker` for two players. With `suit_isomorphism` a type is a rank, which
    two cards of the deck have."""
    parameters = openspiel.get_parameters()
    if parameters["action_mapping"]:
        raise GameError(f"{name!r}: with action_mapping, players forget which action they chose")
    folded, ranks = parameters["suit_isomorphism"], openspiel.num_players() + 1
    copies = np.full(ranks, 2) if folded else np.ones(2 * ranks, np.int64)
    return _Reader(name, openspiel, Deals(copies, 1), (1,), observation).game()


def universal_poker(name: str, openspiel: Any, observation: str) -> PublicGame:
    """OpenSpiel's `universal_poker` for two players with limited bets: any deck, any number of
    private cards and rounds. Kuhn and Leduc poker of larger decks are such games."""
    parameters = openspiel.get_parameters()
    special = [word for word in ("boardCards", "handReaches", "potSize") if parameters[word]]
    if parameters["betting"] != "limit" or special:
        raise GameError(
            f"{name!r}: public trees of universal_poker are for betting=limit and whole games, "
            f"without {', '.join(special) or 'other bets'}"
        )
    deck = np.ones(parameters["numSuits"] * parameters["numRanks"], np.int64)
    deals = Deals(deck, parameters["numHoleCards"])
    shown = [int(word) for word in parameters["numBoardCards"].split()]
    rounds = tuple(cards for cards in shown if cards)
    return _Reader(name, openspiel, deals, rounds, observation).game()


@dataclasses.dataclass(kw_only=True, eq=False)
class _Seat:
    """What is read of a player's public states, in the order of reading."""

    level: list[int] = dataclasses.field(default_factory=list)
    actions: list[list[int]] = dataclasses.field(default_factory=list)
    parent: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    board: list[int] = dataclasses.field(default_factory=list)
    tensor: list[np.ndarray] = dataclasses.field(default_factory=list)


_NO_MOVE = (-1, 0)
"""Instead of a public state and the number of an action in it."""


class _Reader:
    """Plays through the public tree of a poker game.

    An end after which the better hand wins is a showdown: it pays the opposite when the hands
    change sides. All showdowns of a board have the same winners, so one line of play tells them.
    """

    def __init__(
        self,
        name: str,
        openspiel: Any,
        deals: Deals,
        rounds: tuple[int, ...],
        observation: str,
        *,
        check: int = 1,
    ):
        if openspiel.num_players() != _PLAYERS:
            raise GameError(f"{name!r}: public trees are for two players")
        self.name, self.observation = name, observation
        self.deals, self.rounds = deals, rounds
        self.check = check  # the action that bets nothing
        self.openspiel = openspiel
        self.seats = [_Seat() for _ in range(_PLAYERS)]
        self.boards: list[Board] = []
        self.winner: list[np.ndarray] = []  # of each board, [T, T]: 1, 0 or -1 for player 0
        self.ends: list[tuple[int, bool, float, tuple]] = []
        self.num_histories = deals.orders_before_hands()
        self.max_length = 0

    def game(self) -> PublicGame:
        self._show((), (), (_NO_MOVE,) * _PLAYERS, (0,) * _PLAYERS)
        weights = np.stack([self.deals.weight(board) for board in self.boards])
        possible = tuple(weights.sum(axis=axis) > 0 for axis in (2, 1))
        orders = [np.argsort(seat.level, kind="stable") for seat in self.seats]
        states = tuple(map(_states, self.seats, orders))
        slots = [
            np.array([_slot(end[3][p], states[p], np.argsort(orders[p])) for end in self.ends])
            for p in range(_PLAYERS)
        ]
        board, folded, scale = (np.array([end[k] for end in self.ends]) for k in range(3))
        kind = 2 * board + folded
        order = np.argsort(kind, kind="stable")
        payoff = np.stack([weights * np.stack(self.winner), weights], axis=1)
        return PublicGame(
            name=self.name,
            observation_kind=self.observation,
            observation_size=len(self.seats[0].tensor[0]),
            num_actions=self.openspiel.num_distinct_actions(),
            num_histories=self.num_histories,
            max_length=self.max_length,
            max_return=float(np.abs(scale).max()),
            possible=possible,
            states=states,
            end_slot=np.stack(slots, axis=1)[order].astype(np.int32),
            end_scale=scale[order].astype(np.float64),
            kind_start=np.searchsorted(kind[order], np.arange(2 * len(self.boards) + 1)),
            payoff=payoff.reshape(-1, *payoff.shape[2:]),
            observe=self._tensors(orders),
        )

    def _show(self, board: Board, moves: tuple[int, ...], last: tuple, levels: tuple) -> None:
        """Reads all that follows a board."""
        weight = self.deals.weight(board)
        number = len(self.boards)
        self.boards.append(board)
        pairs = np.argwhere(weight > 0)
        self.winner.append(np.zeros_like(weight))
        if len(board) == len(self.rounds):
            self.winner[-1] = self._winners(moves, pairs)
            decided = np.argwhere((self.winner[-1] > 0) & (weight > 0))
            pairs = decided if len(decided) else pairs
        histories = self.deals.orders(board)

        def visit(state: Any, moves: tuple[int, ...], last: tuple, levels: tuple) -> None:
            if state.is_chance_node():
                size = self.rounds[len(board)]
                self.num_histories += self.deals.orders_on_the_way(board, size)
                for cards in self.deals.boards(board, size):
                    self._show((*board, cards), (*moves, *cards), last, levels)
                return
            self.num_histories += histories
            if state.is_terminal():
                self._end(number, moves, pairs[0], state.returns()[0], last)
                self.max_length = max(self.max_length, sum(levels))
                return
            player, actions = state.current_player(), state.legal_actions()
            place = self._note(player, levels[player], actions, last[player], number, state)
            for k, action in enumerate(actions):
                after = list(last)
                after[player] = (place, k)
                deeper = tuple(level + (p == player) for p, level in enumerate(levels))
                visit(state.child(action), (*moves, action), tuple(after), deeper)

        visit(self._play(pairs[0], moves), moves, last, levels)

    def _note(
        self, player: int, level: int, actions: list[int], parent: tuple, board: int, state: Any
    ) -> int:
        seat = self.seats[player]
        tensor = np.array(getattr(state, f"{self.observation}_tensor")(player), np.float32)
        tensor[_PLAYERS : _PLAYERS + len(self.deals.copies)] = 0.0  # the cards of this pair
        seat.level.append(level)
        seat.actions.append(actions)
        seat.parent.append(parent)
        seat.board.append(board)
        seat.tensor.append(tensor)
        return len(seat.level) - 1

    def _end(self, board: int, moves: tuple, pair: np.ndarray, paid: float, last: tuple) -> None:
        folded = True
        if len(self.boards[board]) == len(self.rounds):
            folded = paid != 0 and self._play(pair[::-1], moves).returns()[0] == paid
        if len(self.ends) == MAX_ENDS:
            raise GameError(f"{self.name!r}: its public tree has more than {MAX_ENDS:,} ends")
        self.ends.append((board, folded, paid, last))

    def _play(self, pair: np.ndarray, moves: tuple[int, ...]) -> Any:
        """The state after hands `pair [2]` were dealt and the moves made."""
        state = self.openspiel.new_initial_state()
        for action in (*self.deals.hands[pair[0]], *self.deals.hands[pair[1]], *moves):
            state.apply_action(action)
        return state

    def _winners(self, moves: tuple[int, ...], pairs: np.ndarray) -> np.ndarray:
        """Who wins when nobody bets after `moves`: 1 for player 0, -1 for player 1, 0 for none;
        `[T, T]`."""
        winner = np.zeros_like(self.deals.probability)
        for first, second in pairs[pairs[:, 0] < pairs[:, 1]]:
            state = self._play((first, second), moves)
            while not state.is_terminal():
                state.apply_action(self.check)
            winner[first, second] = np.sign(state.returns()[0])
        return winner - winner.T

    def _tensors(self, orders: list[np.ndarray]) -> Callable:
        public = [
            np.stack(seat.tensor)[order] for seat, order in zip(self.seats, orders, strict=True)
        ]
        own = np.zeros((len(self.deals.hands), public[0].shape[1]), np.float32)
        own[:, _PLAYERS : _PLAYERS + len(self.deals.copies)] = self.deals.counts
        return lambda player, states, types: public[player][states] + own[types]


def _states(seat: _Seat, order: np.ndarray) -> PublicStates:
    actions = [seat.actions[n] for n in order]
    states = PublicStates(
        level_start=np.append(0, np.cumsum(np.bincount(seat.level))),
        first_slot=np.append(1, 1 + np.cumsum([len(legal) for legal in actions])).astype(np.int32),
        action=np.array([-1] + [action for legal in actions for action in legal], np.int32),
        parent=np.zeros(len(order), np.int32),
        board=np.array(seat.board, np.int32)[order],
    )
    place = np.argsort(order)
    parent = [_slot(seat.parent[n], states, place) for n in order]
    return dataclasses.replace(states, parent=np.array(parent, np.int32))


def _slot(move: tuple[int, int], states: PublicStates, place: np.ndarray) -> int:
    """The slot of a (public state as it was read, number of an action)."""
    return 0 if move == _NO_MOVE else int(states.first_slot[place[move[0]]]) + move[1]
