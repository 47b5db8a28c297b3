"""A player's info states by own-decision depth, for passes over a tree under `jit`.

A level holds the info states `level_start[l]:level_start[l + 1]` of each of P players. All players
have W rows in it: the widest player's number, the others are padded. There are A actions and O
observation entries. A padding row has no legal action, and its parent is row 0; it earns nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from games.tree import GameTree


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Level:
    """One level; leaves `[P, W, ...]`, or `[W, ...]` of one player.

    Attributes:
        observation: the network's input, `[W, O]`; int8 where the tree's is.
        legal: bool `[W, A]`.
        last_action: the player's previous own action, int32 `[W]`; -1 at level 0.
        parent: row of the previous own info state in the level above, int32 `[W]`; 0 at level 0.
    """

    observation: jax.Array
    legal: jax.Array
    last_action: jax.Array
    parent: jax.Array


def levels(tree: GameTree) -> list[Level]:
    """All levels of all players, leaves `[P, W, ...]`."""
    tree.check_tables()
    result = []
    above = [(0, 0)] * tree.num_players
    for bounds in _bounds(tree):
        rows = [
            {
                "observation": player.observation[first:last],
                "legal": player.legal[first:last],
                "last_action": player.previous_action[first:last],
                "parent": np.maximum(player.parent_info_state[first:last] - start, 0),
            }
            for player, (first, last), (start, _) in zip(tree.players, bounds, above, strict=True)
        ]
        width = max(last - first for first, last in bounds)
        result.append(
            Level(
                **{name: np.stack([_padded(row[name], width) for row in rows]) for name in rows[0]}
            )
        )
        above = bounds
    return result


def by_level(tree: GameTree, player: int, per_sequence: np.ndarray) -> list[np.ndarray]:
    """Numbers per sequence, `[S]`, as float32 `[W, A]` per level; zero where illegal.
    The number of sequence 0 is left out."""
    player_tree = tree.players[player]
    dense = np.zeros((player_tree.num_info_states, tree.num_actions), np.float32)
    dense[player_tree.info_state[1:], player_tree.action[1:]] = per_sequence[1:]
    return [
        _padded(dense[slice(*bounds[player])], max(last - first for first, last in bounds))
        for bounds in _bounds(tree)
    ]


def rows(tree: GameTree) -> np.ndarray:
    """The row of each info state, counted over all players, in its player's padded levels laid end
    to end, int32 `[I_0 + I_1 + ...]`."""
    bounds = _bounds(tree)
    widths = [max(last - first for first, last in ranges) for ranges in bounds]
    return np.concatenate(
        [
            np.arange(first, last) - first + start
            for p in range(tree.num_players)
            for (first, last), start in zip(
                (ranges[p] for ranges in bounds), np.cumsum([0, *widths[:-1]]), strict=True
            )
        ]
    ).astype(np.int32)


def in_order(tree: GameTree, player: int, rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows per level, `[W, ...]`, as one array in the order of the info states, `[I, ...]`."""
    return np.concatenate(
        [
            np.asarray(level_rows)[: last - first]
            for level_rows, (first, last) in zip(
                rows, (b[player] for b in _bounds(tree)), strict=True
            )
        ]
    )


def action_values(
    levels: Sequence[Level],
    returns: Sequence[jax.Array],
    policy: Sequence[jax.Array] | None = None,
) -> tuple[list[jax.Array], list[jax.Array]]:
    """Counterfactual values of actions `[W, A]` and of info states `[W]`, per level, of one player
    (Zinkevich et al. 2007, "Regret minimization in games with incomplete information", eq. 5).

    Args:
        levels: of one player.
        returns: `by_level` of `exact.sequence_returns`.
        policy: probabilities `[W, A]` per level; None for the best action everywhere.
    """
    num_actions = returns[0].shape[-1]
    below = jnp.zeros_like(returns[-1])
    actions, states = [], []
    for depth in reversed(range(len(levels))):
        level = levels[depth]
        q = returns[depth] + below  # [W, A]
        if policy is None:
            v = jnp.where(level.legal, q, -jnp.inf).max(axis=-1)
            v = jnp.where(level.legal.any(axis=-1), v, 0.0)
        else:
            v = (policy[depth] * q).sum(axis=-1)  # [W]
        actions.append(q)
        states.append(v)
        if depth:
            wide = returns[depth - 1].shape[0]
            place = level.parent * num_actions + level.last_action
            below = jax.ops.segment_sum(v, place, wide * num_actions).reshape(wide, num_actions)
    return actions[::-1], states[::-1]


def _bounds(tree: GameTree) -> list[list[tuple[int, int]]]:
    """For each level, each player's (first, last) info state; equal if it has no such level."""
    depth = max(player.num_levels for player in tree.players)
    return [
        [
            (
                int(player.level_start[min(level, player.num_levels)]),
                int(player.level_start[min(level + 1, player.num_levels)]),
            )
            for player in tree.players
        ]
        for level in range(depth)
    ]


def _padded(rows: np.ndarray, width: int) -> np.ndarray:
    return np.pad(rows, [(0, width - len(rows))] + [(0, 0)] * (rows.ndim - 1))
