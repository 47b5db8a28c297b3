"""A `GameTree` as a `Game`: table look-ups that play it under `jit` and `vmap`."""

from __future__ import annotations

import copy
import dataclasses
import functools
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from games.game import Game, State
from games.tree import GameTree

FEW = 2**12
"""More outcomes of a chance node are drawn by a key alone."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class TreeState(State):
    """A place in the tree.

    Attributes:
        node: a decision or terminal, int32 `[]`.
        info_state: counts over all players (row of the observation table), int32 `[]`.
        word: chooses the next chance outcome, uint32 `[]`; 0 where a key does.
    """

    node: jax.Array
    info_state: jax.Array
    word: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Tables:
    """The look-up tables. Node d is decision d, node D + z is terminal z. All terminals share one
    blank info state, the last. The alias table is by slot, and by the N outcomes of all slots."""

    info_state: np.ndarray  # [D + T]
    player: np.ndarray  # [D + T]
    returns: np.ndarray  # [T, P]
    legal: np.ndarray  # [I + 1, A]
    observation: np.ndarray  # [I + 1, O]
    first_slot: np.ndarray  # [D + T]
    start: np.ndarray  # [slots]
    count: np.ndarray  # [slots]
    threshold: np.ndarray  # [N]
    node: np.ndarray  # [N]
    alias_node: np.ndarray  # [N]
    uniform_chance: bool = dataclasses.field(metadata={"static": True})

    @classmethod
    def of(cls, tree: GameTree) -> Tables:
        tree.check_tables()
        sizes = [player.num_info_states for player in tree.players]
        first = np.cumsum([0, *sizes])
        blank = np.full(tree.num_terminals, first[-1])
        nowhere = np.zeros(tree.num_terminals, np.int32)
        start, count = tree.first_outcome[:-1], np.diff(tree.first_outcome)
        threshold, alias = _alias_table(tree.outcome_probability, start, count)
        return cls(
            info_state=np.concatenate(
                [first[tree.decision_player] + tree.decision_info_state, blank]
            ).astype(np.int32),
            player=np.concatenate([tree.decision_player, nowhere]),
            returns=tree.terminal_returns.astype(np.float32),
            legal=np.concatenate(
                [player.legal for player in tree.players] + [np.zeros((1, tree.num_actions), bool)]
            ),
            observation=np.concatenate(
                [player.observation for player in tree.players]
                + [np.zeros((1, tree.observation_size), np.int8)]
            ),
            first_slot=np.concatenate([tree.first_slot, nowhere]),
            start=start.astype(np.int32),
            count=count.astype(np.int32),
            threshold=threshold,
            node=tree.outcome_node,
            alias_node=tree.outcome_node[alias],
            uniform_chance=bool((threshold == 1).all()),
        )


class TreeGame(Game[TreeState]):
    """Plays a `GameTree`. Chance is drawn by Walker's alias method (1977): one uniform number and a
    few look-ups, for any number of outcomes. The tables are made when they are first needed, so
    that loading a tree does not cost their memory.

    `constants` are the tables. For a large tree they take hundreds of megabytes.

    Args:
        tree: the game.
        known: whether whoever plays may look into the tree, by the attribute `tree`.

    Attributes:
        played_from: the tree, for whoever looks at single states; whoever measures asks for `tree`.
    """

    def __init__(self, tree: GameTree, *, known: bool = True):
        self.played_from = tree
        self.tree = tree if known else None
        self.name = tree.name
        self.num_players = tree.num_players
        self.num_actions = tree.num_actions
        self.observation_size = tree.observation_size
        self.max_length = tree.max_length
        self.max_return = tree.max_return

    @functools.cached_property
    def begins_with_deals(self) -> bool:
        """Not asked before it is needed: a large matrix has no histories laid out."""
        counts = np.diff(self.played_from.first_outcome)
        return bool(counts[0] > 1 and counts.max() <= FEW)

    @property
    def num_histories(self) -> int | None:
        return None if self.tree is None else self.tree.num_histories

    @property
    def utility_sum(self) -> float | None:
        return self.played_from.utility_sum

    @property
    def span(self) -> float:
        return self.played_from.span

    @functools.cached_property
    def constants(self) -> Tables:
        return Tables.of(self.played_from)

    def with_constants(self, constants: Tables) -> Self:
        game = copy.copy(self)
        game.constants = constants
        return game

    def init(self, key: jax.Array) -> TreeState:
        return self._begin(key, jnp.uint32(0))

    def deal(self, key: jax.Array, word: jax.Array) -> TreeState:
        """The word also chooses the first chance outcome after a move."""
        return self._begin(key, word)

    def _begin(self, key: jax.Array, word: jax.Array) -> TreeState:
        tables = self.constants
        first = self._state(*self._outcome(tables.start[0], tables.count[0], key, word))
        return dataclasses.replace(first, rewards=jnp.zeros_like(first.rewards))

    def step(self, state: TreeState, action: jax.Array, key: jax.Array) -> TreeState:
        tables = self.constants
        actions = jnp.arange(self.num_actions)
        rank = (state.legal & (actions < action)).sum(dtype=jnp.int32)
        follows = (state.legal & (actions == action)).any()  # never in a terminal state
        slot = jnp.where(follows, jnp.asarray(tables.first_slot)[state.node] + rank, 0)
        count = jnp.asarray(tables.count)[slot]
        node, _ = self._outcome(jnp.asarray(tables.start)[slot], count, key, state.word)
        word = jnp.where(follows & (count > 1), jnp.uint32(0), state.word)
        after = self._state(jnp.where(follows, node, state.node), word)
        return dataclasses.replace(after, rewards=jnp.where(follows, after.rewards, 0.0))

    def observe(self, state: TreeState) -> jax.Array:
        return jnp.asarray(self.constants.observation)[state.info_state].astype(jnp.float32)

    def _outcome(
        self, start: jax.Array, count: jax.Array, key: jax.Array, word: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """A node drawn from a slot's outcomes, int32 `[]`, by the word if it is not 0, else by the
        key; and the word that is left."""
        tables = self.constants
        part = (word >> 8).astype(jnp.float32) / (1 << 24)
        place = jnp.where(word > 0, part, jax.random.uniform(key)) * count
        column = jnp.minimum(place.astype(jnp.int32), count - 1)
        node = jnp.asarray(tables.node)[start + column]
        if tables.uniform_chance:
            return node, word * jnp.asarray(count).astype(jnp.uint32)
        keep = place - column < jnp.asarray(tables.threshold)[start + column]
        node = jnp.where(keep, node, jnp.asarray(tables.alias_node)[start + column])
        return node, jnp.zeros_like(word)

    def _state(self, node: jax.Array, word: jax.Array) -> TreeState:
        tables = self.constants
        num_decisions = len(tables.player) - len(tables.returns)
        terminal = node >= num_decisions
        info_state = jnp.asarray(tables.info_state)[node]
        returns = jnp.asarray(tables.returns)[jnp.maximum(node - num_decisions, 0)]
        return TreeState(
            player=jnp.asarray(tables.player)[node],
            legal=jnp.asarray(tables.legal)[info_state],
            terminal=terminal,
            truncated=jnp.zeros_like(terminal),
            rewards=jnp.where(terminal, returns, 0.0),
            node=node,
            info_state=info_state,
            word=word,
        )


class RowGame(TreeGame):
    """A `TreeGame` whose observation is the number of the info state, for policies that are tables.

    Args:
        tree: the game.
        rows: the number of each info state, counted over all players, int32.
    """

    def __init__(self, tree: GameTree, rows: np.ndarray):
        super().__init__(tree)
        blank = np.append(rows, 0).astype(np.int32)  # terminals: any
        self.constants = dataclasses.replace(Tables.of(tree), observation=blank)

    def observe(self, state: TreeState) -> jax.Array:
        """int32 `[]`."""
        return jnp.asarray(self.constants.observation)[state.info_state]


def _alias_table(
    probability: np.ndarray, start: np.ndarray, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Walker's table for every slot: column i gives outcome i with probability `threshold[i]`, and
    outcome `alias[i]` otherwise, float32 and int64 `[N]`.
    """
    scaled = probability * np.repeat(count, count)
    threshold, alias = np.ones(len(probability), np.float32), np.arange(len(probability))
    slot_of = np.repeat(np.arange(len(count)), count)
    uneven = np.unique(slot_of[np.abs(scaled - 1) > 1e-12])  # the rest are uniform
    for size in np.unique(count[uneven]):  # all slots of one size at once
        slots = uneven[count[uneven] == size]
        columns = start[slots][:, None] + np.arange(size)  # [slots, size]
        is_small = scaled[columns] < 1
        # Each slot's stacks of outcomes below and above the average, and their heights.
        small = np.take_along_axis(columns, np.argsort(~is_small, axis=1, kind="stable"), axis=1)
        large = np.take_along_axis(columns, np.argsort(is_small, axis=1, kind="stable"), axis=1)
        num_small = is_small.sum(axis=1)
        num_large = size - num_small
        while len(both := np.flatnonzero((num_small > 0) & (num_large > 0))):
            num_small[both] -= 1
            low, high = small[both, num_small[both]], large[both, num_large[both] - 1]
            threshold[low], alias[low] = scaled[low], high
            scaled[high] -= 1 - scaled[low]
            fell, high = both[scaled[high] < 1], high[scaled[high] < 1]
            small[fell, num_small[fell]] = high
            num_small[fell] += 1
            num_large[fell] -= 1
    return threshold, alias
