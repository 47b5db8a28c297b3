"""A `Form` that stores only the players' own info states."""

from __future__ import annotations

import dataclasses
import math
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from games.form import Plans, nbytes, pass_nbytes
from games.readers.openspiel import OBSERVATIONS
from games.walked.ends import NONE
from games.walked.kernels import Board
from games.walked.own_trees import (
    BoardInfoStates,
    Layout,
    OwnTrees,
    board_of,
    lay_out,
    openings,
    own_trees,
    room_of,
)
from games.walked.rules import HiddenBoard
from games.walked.walk import walk

Progress = Callable[[int, int], None]
"""Is told how many parts of a walk are done, and of how many."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class WalkedTree:
    """A board game in the dark for two players, in which one wins what the other loses.

    Attributes:
        rules: of the game.
        num_histories: nodes of the whole tree.
        layout: both players' own trees, as a walk reads them.
        players: each player's own info states.
        progress: is told how far a walk is; None for nobody. It may raise, to stop the walk.
        lock: is held during a walk, which writes its numbers into the layout.
    """

    rules: HiddenBoard
    num_histories: int
    layout: Layout = dataclasses.field(repr=False)
    players: tuple[BoardInfoStates, BoardInfoStates] = dataclasses.field(repr=False)
    progress: Progress | None = None
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock, repr=False)

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
        observation: str = OBSERVATIONS[0],
    ) -> WalkedTree:
        """The form of a game. `trees` are its own info states, where they are known. Policies see
        the tensor `observation`.

        Raises:
            GameError: as in `own_trees`.
            ValueError: the trees are of another board.
        """
        trees = own_trees(rules) if trees is None else trees
        layout, players = lay_out(rules, trees, observation)
        return cls(
            rules=rules, num_histories=trees.num_histories, layout=layout, players=players,
            progress=progress,
        )  # fmt: skip

    @property
    def name(self) -> str:
        return self.rules.name

    @property
    def observation_kind(self) -> str:
        return self.players[0].observation

    @property
    def num_actions(self) -> int:
        return self.rules.num_cells

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

    @property
    def nbytes(self) -> int:
        return nbytes(self.layout, *self.players) + pass_nbytes(self.players)

    def begin_pass(self, plans: Plans) -> float:
        """Walks some parts of the game. Returns their share."""
        rounds = openings(self.rules)
        some = rounds[-1][:: max(1, len(rounds[-1]) // 3)]
        with self.lock:
            self._walk([some], plans, lambda done, total: None, threads=1)
        return len(some) / sum(map(len, rounds))

    def walk(self, plans: Plans, *, threads: int | None = None) -> list[np.ndarray]:
        """Both players' `gains [S_p]` against `plans`, with at most this number of threads; None
        for as many as there are processors. An interrupt ends it after the parts that are under
        way."""
        tell = self.progress or (lambda done, total: None)
        with self.lock:
            gains = self._walk(openings(self.rules), plans, tell, threads or os.cpu_count() or 1)
        return np.split(gains, [self.players[0].num_sequences])

    def _walk(
        self,
        rounds: Sequence[Sequence[tuple[int, int]]],
        plans: Plans,
        tell: Progress,
        threads: int,
    ) -> np.ndarray:
        """Both players' gains of some parts, one after the other, `[S]`."""
        board = board_of(self.rules)
        x = np.concatenate([np.asarray(plan, np.float64) for plan in plans])
        self.layout.load(board, x)
        total = sum(map(len, rounds))
        tell(0, total)
        for done in self._walk_parts(rounds, board, threads):
            tell(done, total)
        return self.layout.unload(board, len(x))

    def _walk_parts(
        self, rounds: Sequence[Sequence[tuple[int, int]]], board: Board, threads: int
    ) -> Iterator[int]:
        """Walks some parts, a round after the other, and yields how many are done. Parts of a round
        add to different sequences: so their order, and the number of threads, change no bit."""
        stopped, rooms = threading.Event(), queue.SimpleQueue()
        for _ in range(threads):
            rooms.put(room_of(self.rules))

        def walk_part(opening: tuple[int, int]) -> None:
            if stopped.is_set():
                return
            room = rooms.get()
            walk(board, self.layout.tables, opening, room, NONE)
            rooms.put(room)

        done = 0
        with ThreadPoolExecutor(threads) as pool:
            try:
                for parts in rounds:
                    for _ in pool.map(walk_part, parts):
                        done += 1
                        yield done
            except BaseException:  # an interrupt, or the caller stops
                stopped.set()
                raise
