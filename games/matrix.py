"""Matrix and tensor games: everybody chooses once, and nobody sees what the others chose.

As a tree such a game is one step deep: player 0 decides, then player 1 without seeing it, and so
on. A matrix of 5,000 x 5,000 has 25 million terminals, so they are left implicit: a `NormalForm` is
a `GameTree` that keeps the payoffs as they are, has its own way to contract them with strategies
(`psro.exact` takes it), and makes the arrays over terminals only when somebody asks for them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from games.tree import MAX_RETURN, GameError, GameTree, PlayerTree


class NormalForm(GameTree):
    """A one-step game of P players, player p choosing among A_p actions.

    Info states, their names, observations and sequences are those that `games.load` gives to
    OpenSpiel's matrix games: sequence 1 + a of a player is its action a, and what it observes is
    whose turn it is, one-hot, who is asking, one-hot, and a zero.

    Attributes:
        payoffs: every player's, float64 `[P, A_0, ..., A_{P-1}]`; or of all players but the last,
            `[P - 1, A_0, ..., A_{P-1}]`, who then gets what makes the sum zero.
        max_histories: refuse to lay out a tree of more; None for any number.
    """

    payoffs: np.ndarray
    max_histories: int | None

    def __init__(
        self, payoffs: np.ndarray, *, name: str = "payoffs", max_histories: int | None = None
    ):
        payoffs = np.asarray(payoffs, np.float64)
        num_players = payoffs.ndim - 1
        if num_players < 2 or payoffs.shape[0] not in (num_players, num_players - 1):
            raise GameError(
                f"{name}: payoffs of shape {payoffs.shape} must be [P, A_0, ..., A_(P-1)] for "
                "P players of 2 or more, or have P - 1 first for a zero-sum game"
            )
        if not payoffs.size:
            raise GameError(f"{name}: payoffs of shape {payoffs.shape} leave a player no action")
        last = payoffs.sum(axis=0) if 1 < len(payoffs) < num_players else payoffs  # but for a sign
        if not all(
            -MAX_RETURN <= each.min() <= each.max() <= MAX_RETURN for each in (payoffs, last)
        ):
            raise GameError(f"{name}: a payoff is not a number up to {MAX_RETURN:g}")
        counts = payoffs.shape[1:]
        vars(self).update(  # frozen, as any tree
            name=name,
            payoffs=payoffs,
            max_histories=max_histories,
            observation_kind="information_state",
            identity="string",
            num_actions=max(counts),
            num_histories=1 + sum(int(np.prod(counts[: p + 1])) for p in range(num_players)),
            max_length=num_players,
            players=tuple(_player(seat, counts) for seat in range(num_players)),
        )

    @property
    def num_terminals(self) -> int:
        return int(np.prod(self.payoffs.shape[1:]))

    @property
    def num_decisions(self) -> int:
        return self.num_histories - self.num_terminals

    @functools.cached_property
    def max_return(self) -> float:
        # The other side of a zero-sum matrix has the same absolute returns.
        players = range(1 if len(self.payoffs) == 1 else self.num_players)
        return max(
            max(float(each.max()), -float(each.min())) for each in map(self.payoffs_of, players)
        )

    @functools.cached_property
    def is_constant_sum(self) -> bool:
        if len(self.payoffs) < self.num_players:
            return True
        return bool(np.ptp(self.payoffs.sum(axis=0)) <= 1e-9 * max(1.0, self.max_return))

    def expected(self, strategies: Sequence[np.ndarray | None]) -> np.ndarray:
        """Expected payoffs `[P, ...]` with one axis a player: its K strategies where
        `strategies[q]` is `[K, A_q]` (they need not sum to 1), its A_q actions where it is None."""
        # Apart: as one they would be copied to bring axes together.
        tables = [_contracted(table, strategies) for table in self.payoffs]
        if len(tables) < self.num_players:
            tables.append(-sum(tables))
        return np.stack(tables)

    def expected_of(self, player: int, strategies: Sequence[np.ndarray | None]) -> np.ndarray:
        """One player's entry of `expected`, `[...]`."""
        if player < len(self.payoffs):
            return _contracted(self.payoffs[player], strategies)
        return -sum(_contracted(table, strategies) for table in self.payoffs)

    def payoffs_of(self, player: int) -> np.ndarray:
        """One player's payoffs, `[A_0, ..., A_{P-1}]`."""
        if player < len(self.payoffs):
            return self.payoffs[player]
        return -self.payoffs.sum(axis=0)

    # The tree laid out, level by level: decision 0 is player 0's, then come player 1's, and every
    # slot leads to the node of its own number.

    @functools.cached_property
    def chance(self) -> np.ndarray:
        self.check_size()
        return np.ones(self.num_terminals)

    @functools.cached_property
    def returns(self) -> np.ndarray:
        self.check_size()
        players = range(self.num_players)
        return np.stack([self.payoffs_of(p).ravel() for p in players], axis=1)

    @functools.cached_property
    def sequence(self) -> np.ndarray:
        self.check_size()
        actions = np.indices(self.payoffs.shape[1:], np.int32).reshape(self.num_players, -1)
        return np.ascontiguousarray(1 + actions.T)

    @functools.cached_property
    def decision_player(self) -> np.ndarray:
        self.check_size()
        counts = self.payoffs.shape[1:]
        width = [int(np.prod(counts[:p])) for p in range(self.num_players)]
        return np.repeat(np.arange(self.num_players, dtype=np.int32), width)

    @functools.cached_property
    def decision_info_state(self) -> np.ndarray:
        return np.zeros_like(self.decision_player)

    @functools.cached_property
    def first_slot(self) -> np.ndarray:
        counts = np.array(self.payoffs.shape[1:])[self.decision_player]
        return np.concatenate([[1], 1 + np.cumsum(counts[:-1])]).astype(np.int32)

    @functools.cached_property
    def first_outcome(self) -> np.ndarray:
        self.check_size()
        return np.arange(self.num_histories + 1, dtype=np.int32)

    @functools.cached_property
    def outcome_node(self) -> np.ndarray:
        return self.first_outcome[:-1]

    @functools.cached_property
    def outcome_probability(self) -> np.ndarray:
        self.check_size()
        return np.ones(self.num_histories)

    def check_size(self) -> None:
        """Raises `GameError` where there are too many histories to lay out."""
        if self.max_histories is not None and self.num_histories > self.max_histories:
            raise GameError(
                f"{self.name!r} is too large to enumerate: it has {self.num_histories:,} histories "
                f"and the limit is {self.max_histories:,} (--max-histories); exact best responses "
                "(--oracle best_response) use its payoffs as they are"
            )


def _contracted(table: np.ndarray, strategies: Sequence[np.ndarray | None]) -> np.ndarray:
    """One player's payoffs `[A_0, ..., A_{P-1}]` with strategies, as in `NormalForm.expected`."""
    given = [q for q, each in enumerate(strategies) if each is not None]
    given.sort(key=lambda q: len(strategies[q]))  # what makes the table smallest, first
    for q in given:
        table = np.moveaxis(np.tensordot(table, strategies[q], axes=(q, 1)), -1, q)
    return table


def _player(seat: int, counts: tuple[int, ...]) -> PlayerTree:
    num_players, num_actions = len(counts), counts[seat]
    observation = np.zeros((1, 2 * num_players + 1), np.int8)
    observation[0, [seat, num_players + seat]] = 1
    name = f"Current player: {seat}\nObserving player: {seat}. Non-terminal"
    return PlayerTree(
        observation=observation,
        legal=np.arange(max(counts))[None] < num_actions,
        parent=np.zeros(1, np.int32),
        first_sequence=np.array([1, 1 + num_actions], np.int32),
        info_state=np.array([-1] + [0] * num_actions, np.int32),
        action=np.arange(-1, num_actions, dtype=np.int32),
        level_start=np.array([0, 1], np.int32),
        names=(name,),
        keys=(name,),
    )
