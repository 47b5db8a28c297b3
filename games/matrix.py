"""Matrix and tensor games: each player chooses once, without seeing what the others chose.

As a tree, player 0 decides, then player 1 without seeing it, and so on. A matrix of 5,000 x 5,000
has 25 million terminals. So a `NormalForm` is a `GameTree` that keeps the payoffs as a table and
contracts it with plans. It makes the arrays over terminals only when they are read.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from games import units
from games.errors import MAX_RETURN, GameError
from games.player_tree import PlayerTree
from games.restriction import MaskError, Part, check
from games.tree import GameTree, Plans

if TYPE_CHECKING:
    from games.device_form import DeviceForm


class NormalForm(GameTree):
    """A one-step game of P players, player p choosing among A_p actions.

    Info states, names, observations and sequences are the same as `games.load` gives to OpenSpiel's
    matrix games. Sequence 1 + a of a player is its action a. An observation is the player to move,
    one-hot, the observing player, one-hot, and a zero.

    Attributes:
        table: all players' payoffs, float64 `[P, A_0, ..., A_{P-1}]`; or, in a zero-sum game, the
            payoffs of all players but the last, `[P - 1, A_0, ..., A_{P-1}]`.
        max_histories: the largest tree that may be laid out; None for any size.
    """

    table: np.ndarray
    max_histories: int | None

    def __init__(
        self,
        payoffs: np.ndarray,
        *,
        name: str = "payoffs",
        max_histories: int | None = None,
        player_names: tuple[str, ...] | None = None,
        action_names: tuple[tuple[str, ...], ...] | None = None,
        outcome_names: Sequence[str] | None = None,
    ):
        """
        Args:
            payoffs: see above.
            name: the game's name.
            max_histories: see above.
            player_names: the players' names in a file, see `GameTree`.
            action_names: the names of each player's actions in a file, see `PlayerTree`.
            outcome_names: the names of outcomes in a file, see `GameTree`.
        """
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
            -MAX_RETURN <= table.min() <= table.max() <= MAX_RETURN for table in (payoffs, last)
        ):
            raise GameError(f"{name}: a payoff is not a number up to {MAX_RETURN:g}")
        counts = payoffs.shape[1:]
        vars(self).update(  # the dataclass is frozen
            name=name,
            table=payoffs,
            max_histories=max_histories,
            observation_kind="information_state",
            identity="string",
            num_actions=max(counts),
            num_histories=1 + sum(int(np.prod(counts[: p + 1])) for p in range(num_players)),
            max_length=num_players,
            players=tuple(
                _player(seat, counts, action_names and action_names[seat])
                for seat in range(num_players)
            ),
            player_names=player_names,
            outcome_names=outcome_names,
        )

    @property
    def num_terminals(self) -> int:
        return int(np.prod(self.table.shape[1:]))

    @property
    def num_decisions(self) -> int:
        return self.num_histories - self.num_terminals

    @functools.cached_property
    def max_return(self) -> float:
        # The other side of a zero-sum matrix has the same absolute returns.
        players = range(1 if len(self.table) == 1 else self.num_players)
        return max(
            max(float(table.max()), -float(table.min())) for table in map(self.payoffs_of, players)
        )

    @functools.cached_property
    def is_constant_sum(self) -> bool:
        if len(self.table) < self.num_players:
            return True
        return units.is_constant_sum(self.table)

    @property
    def utility_sum(self) -> float | None:
        if not self.is_constant_sum:
            return None
        return float(sum(self.payoffs_of(p).flat[0] for p in range(self.num_players)))

    @functools.cached_property
    def span(self) -> float:
        # As in `max_return`.
        players = range(1 if len(self.table) == 1 else self.num_players)
        return units.span(map(self.payoffs_of, players))

    def returns(self, plans: Plans) -> np.ndarray:
        return self._expected([plan[None, 1:] for plan in plans]).ravel()

    def payoffs(self, plans: Plans) -> np.ndarray:
        return self._expected([of_player[:, 1:] for of_player in plans])

    def gains(self, player: int, plans: Plans) -> np.ndarray:
        others = [None if q == player else plan[None, 1:] for q, plan in enumerate(plans)]
        if player < len(self.table):
            gains = _contracted(self.table[player], others)
        else:
            gains = -sum(_contracted(payoffs, others) for payoffs in self.table)
        return np.concatenate([[0.0], gains.ravel()])

    def gains_and_reach(self, player: int, plans: Plans) -> tuple[np.ndarray, np.ndarray]:
        return self.gains(player, plans), np.ones(1)  # every player always reaches its decision

    def restrict(self, masks: Sequence[np.ndarray]) -> Part:
        """A smaller `NormalForm`, whose actions are numbered from 0 again."""
        actions = [np.flatnonzero(mask[1:]) for mask in check(self, masks)]
        for p, left in enumerate(actions):
            if not len(left):
                raise MaskError(f"the mask of player {p} leaves it no action")
        table = np.stack([payoffs[np.ix_(*actions)] for payoffs in self.table])
        names = tuple(
            player.action_names and tuple(player.action_names[1 + a] for a in left)
            for player, left in zip(self.players, actions, strict=True)
        )
        outcomes = self.outcome_names
        if outcomes is not None:
            numbers = np.arange(len(outcomes)).reshape(self.table.shape[1:])[np.ix_(*actions)]
            outcomes = tuple(outcomes[k] for k in numbers.ravel())
        return Part(
            tree=NormalForm(
                table,
                name=self.name,
                max_histories=self.max_histories,
                player_names=self.player_names,
                action_names=names if all(names) else None,
                outcome_names=outcomes,
            ),
            sequences=tuple(np.append(0, 1 + left) for left in actions),
            info_states=(np.zeros(1, np.int64),) * len(actions),
        )

    def same_as(self, other: GameTree) -> bool:
        return isinstance(other, NormalForm) and np.array_equal(self.table, other.table)

    def openspiel(self) -> Any:
        return self._openspiel

    def device_form(self) -> DeviceForm:
        from games.device_form import Tensor  # imports JAX

        return Tensor(payoffs=np.stack([self.payoffs_of(p) for p in range(self.num_players)]))

    def _expected(self, strategies: Sequence[np.ndarray]) -> np.ndarray:
        """Expected payoffs `[P, K_0, ..., K_{P-1}]` of strategies `[K_q, A_q]`, which need not sum
        to 1."""
        # One table at a time: contracting all at once would copy them to bring axes together.
        expected = [_contracted(payoffs, strategies) for payoffs in self.table]
        if len(expected) < self.num_players:
            expected.append(-sum(expected))
        return np.stack(expected)

    def payoffs_of(self, player: int) -> np.ndarray:
        """One player's payoffs, `[A_0, ..., A_{P-1}]`."""
        if player < len(self.table):
            return self.table[player]
        return -self.table.sum(axis=0)

    @functools.cached_property
    def _openspiel(self) -> Any:
        from games.readers.sources import tensor_game  # imports OpenSpiel

        return tensor_game(self)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_openspiel"}

    # The tree laid out, level by level: decision 0 is player 0's, player 1's decisions follow, and
    # every slot leads to the node with the slot's number.

    @functools.cached_property
    def chance(self) -> np.ndarray:
        self.check_size()
        return np.ones(self.num_terminals)

    @functools.cached_property
    def terminal_returns(self) -> np.ndarray:
        self.check_size()
        players = range(self.num_players)
        return np.stack([self.payoffs_of(p).ravel() for p in players], axis=1)

    @functools.cached_property
    def sequence(self) -> np.ndarray:
        self.check_size()
        actions = np.indices(self.table.shape[1:], np.int32).reshape(self.num_players, -1)
        return np.ascontiguousarray(1 + actions.T)

    @functools.cached_property
    def decision_player(self) -> np.ndarray:
        self.check_size()
        counts = self.table.shape[1:]
        width = [int(np.prod(counts[:p])) for p in range(self.num_players)]
        return np.repeat(np.arange(self.num_players, dtype=np.int32), width)

    @functools.cached_property
    def decision_info_state(self) -> np.ndarray:
        return np.zeros_like(self.decision_player)

    @functools.cached_property
    def first_slot(self) -> np.ndarray:
        counts = np.array(self.table.shape[1:])[self.decision_player]
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
        """Raises `GameError` if there are too many histories to lay out."""
        if self.max_histories is not None and self.num_histories > self.max_histories:
            raise GameError(
                f"{self.name!r} is too large to enumerate: it has {self.num_histories:,} histories "
                f"and the limit is {self.max_histories:,} (--max-histories); exact best responses "
                "(--oracle best_response) use its payoffs as they are"
            )


def _contracted(table: np.ndarray, strategies: Sequence[np.ndarray | None]) -> np.ndarray:
    """One player's payoffs `[A_0, ..., A_{P-1}]`, contracted with the players' strategies. Axis q
    of the result runs over the K strategies `[K, A_q]` of player q, or over its A_q actions if
    `strategies[q]` is None."""
    given = [q for q, strategy in enumerate(strategies) if strategy is not None]
    given.sort(key=lambda q: len(strategies[q]))  # first the one that shrinks the table most
    for q in given:
        table = np.moveaxis(np.tensordot(table, strategies[q], axes=(q, 1)), -1, q)
    return table


def _player(seat: int, counts: tuple[int, ...], action_names: tuple[str, ...] | None) -> PlayerTree:
    num_players, num_actions = len(counts), counts[seat]
    observation = np.zeros((1, 2 * num_players + 1), np.int8)
    observation[0, [seat, num_players + seat]] = 1
    name = f"Current player: {seat}\nObserving player: {seat}. Non-terminal"
    return PlayerTree(
        num_actions=max(counts),
        observation=observation,
        parent=np.zeros(1, np.int32),
        first_sequence=np.array([1, 1 + num_actions], np.int32),
        info_state=np.array([-1] + [0] * num_actions, np.int32),
        action=np.arange(-1, num_actions, dtype=np.int32),
        level_start=np.array([0, 1], np.int32),
        names=("the only decision" if action_names else name,),
        keys=(name,),
        action_names=action_names and ("", *action_names),
    )
