"""A `Form` that stores only the players' own info states."""

from __future__ import annotations

import dataclasses
import itertools
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from games.errors import GameError
from games.form import Plans
from games.walked import kernels
from games.walked.own_trees import (
    BoardInfoStates,
    OwnTrees,
    board_of,
    openings,
    own_trees,
    room_of,
)  # fmt: skip
from games.walked.rules import HiddenBoard

LANES = 2
"""Sums that run side by side, one of every second opening. They are added in order, so that the
bits do not depend on how many threads there are."""

Progress = Callable[[int, int], None]
"""Is told how many parts of a walk are begun, or done at the end, and of how many."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class WalkedTree:
    """A board game in the dark for two players, in which one wins what the other loses.

    Attributes:
        rules: of the game.
        trees: the players' own info states, numbered together.
        players: the same by player; sequences of both, one after the other, are those of `trees`.
        progress: is told how far a walk is; None for nobody. It may raise, to stop the walk.
    """

    rules: HiddenBoard
    trees: OwnTrees = dataclasses.field(repr=False)
    players: tuple[BoardInfoStates, BoardInfoStates] = dataclasses.field(repr=False)
    progress: Progress | None = None

    num_players = 2
    max_return = 1.0
    is_constant_sum = True
    utility_sum = 0.0

    @classmethod
    def of(
        cls,
        rules: HiddenBoard,
        trees: OwnTrees | None = None,
        progress: Progress | None = None,
    ) -> WalkedTree:
        """The form of a game. `trees` are its own info states, where they are known.

        Raises:
            GameError: as in `own_trees`.
        """
        trees = own_trees(rules) if trees is None else trees
        return cls(rules=rules, trees=trees, players=trees.players(rules), progress=progress)

    @property
    def name(self) -> str:
        return self.rules.name

    @property
    def num_actions(self) -> int:
        return self.rules.num_cells

    @property
    def num_histories(self) -> int:
        return self.trees.num_histories

    @property
    def num_info_states(self) -> int:
        return sum(player.num_info_states for player in self.players)

    @property
    def rounding(self) -> float:
        return (4 + math.sqrt(self.num_histories)) * np.finfo(np.float64).eps

    def returns(self, plans: Plans) -> np.ndarray:
        return self.returns_and_gains(plans)[0]

    def gains(self, player: int, plans: Plans) -> np.ndarray:
        own = self.players[player].num_sequences
        plans = [np.zeros(own) if p == player else plan for p, plan in enumerate(plans)]
        return self.walk(plans)[player]

    def returns_and_gains(self, plans: Plans) -> tuple[np.ndarray, list[np.ndarray]]:
        """Every player's expected return `[P]` and `gains [S_p]`, by one walk."""
        gains = self.walk(plans)
        value = float(gains[0] @ plans[0])
        return np.array([value, -value]), gains

    def payoffs(self, plans: Plans) -> np.ndarray:
        """Expected returns of every profile, `[2, K_0, K_1]`, of plans `[K_q, S_q]`: one walk for
        each plan of the player who has fewer."""
        few = int(len(plans[1]) < len(plans[0]))
        nothing = np.zeros(self.players[1 - few].num_sequences)
        rows = np.zeros((len(plans[few]), len(plans[1 - few])))
        for row, plan in zip(rows, plans[few], strict=True):
            gains = self.walk([plan, nothing] if few == 0 else [nothing, plan])
            row[:] = plans[1 - few] @ gains[1 - few]
        returns = -rows if few == 0 else rows.T  # player 0's
        return np.stack([returns, -returns])

    def walk_some(self, plans: Plans) -> float:
        """Walks a part of the game, to see how long that takes. Returns its share of the parts."""
        parts = openings(self.rules)
        x = np.concatenate([np.asarray(plan, np.float64) for plan in plans])
        some = parts[:: max(1, len(parts) // 3)]
        self._walk_parts(some, x, np.zeros(len(x)))
        return len(some) / len(parts)

    def _walk_parts(
        self,
        parts: Sequence[tuple[int, int]],
        x: np.ndarray,
        sums: np.ndarray,
        go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        """Adds some parts of a walk to `sums [S]`, as long as it is to `go_on`: asked before each
        part."""
        board, tables, room = board_of(self.rules), self.trees.tables(), room_of(self.rules)
        for opening in parts:
            if not go_on():
                return
            if kernels.walk(board, tables, opening, (1.0, -1.0, 0.0), x, sums, room) < 0:
                raise GameError(f"info states of {self.name!r} are missing")

    def walk(self, plans: Plans, *, threads: int = LANES) -> list[np.ndarray]:
        """Both players' `gains [S_p]` against `plans`, with at most this number of threads. An
        interrupt ends it after the parts that are under way."""
        x = np.concatenate([np.asarray(plan, np.float64) for plan in plans])
        parts, sums = openings(self.rules), np.zeros((LANES, len(x)))
        stopped, begun = threading.Event(), itertools.count()

        def goes_on() -> bool:
            if self.progress is not None and not stopped.is_set():
                self.progress(next(begun), len(parts))
            return not stopped.is_set()

        def walk_lane(lane: int) -> None:
            self._walk_parts(parts[lane::LANES], x, sums[lane], goes_on)

        _side_by_side(walk_lane, threads, stopped)
        if self.progress is not None:
            self.progress(len(parts), len(parts))
        total = sums[0]
        for lane in sums[1:]:
            total += lane
        return np.split(total, [len(plans[0])])


def _side_by_side(walk_lane: Callable[[int], None], threads: int, stopped: threading.Event) -> None:
    if threads < 2:
        for lane in range(LANES):
            walk_lane(lane)
        return
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(walk_lane, lane) for lane in range(LANES)]
        try:
            for future in futures:
                future.result()
        except BaseException:
            stopped.set()
            raise
