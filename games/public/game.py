"""What a game with public moves is made of: public states, private types, payoffs of types."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PublicStates:
    """One player's public states, those in which it moves, sorted by the number of its own moves
    before.

    N states. A *slot* is a (state, legal action) pair; slot 0 is "no move yet".

    Attributes:
        level_start: after l own moves come the states `level_start[l]:level_start[l + 1]`,
            int64 `[L + 1]`.
        first_slot: state n has the slots `first_slot[n]:first_slot[n + 1]`, int32 `[N + 1]`.
        action: the action of each slot, int32; -1 for slot 0.
        parent: the player's last slot before each state, int32 `[N]`.
        board: what chance has shown to all, an index into `PublicGame.possible`, int32 `[N]`.
    """

    level_start: np.ndarray
    first_slot: np.ndarray
    action: np.ndarray
    parent: np.ndarray
    board: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PublicGame:
    """A zero-sum game of two players whose moves both see. Chance deals each player a *type* that
    only this player sees, and may show *boards* to both, at times that depend on moves alone.

    T_p types of player p, B boards, Z ends of the public tree, K kinds of them.

    Attributes:
        num_histories: nodes of the game's tree, chance nodes and terminals included.
        max_return: the largest absolute return.
        possible: which types of each player the board leaves, bool `[B, T_p]` each.
        states: each player's public states.
        end_slot: each player's last slot before each end, int32 `[Z, 2]`.
        end_scale: the chips at stake, float64 `[Z]`.
        kind_start: ends of kind k are `kind_start[k]:kind_start[k + 1]`, int64 `[K + 1]`.
        payoff: what player 0 wins of each chip, times the probability of the types and the board,
            float64 `[K, T_0, T_1]`.
        observe: the tensors of (player, states `[n]`, types `[n]`), float32 `[n, O]`.
    """

    name: str
    observation_kind: str
    observation_size: int
    num_actions: int
    num_histories: int
    max_length: int
    max_return: float
    possible: tuple[np.ndarray, np.ndarray]
    states: tuple[PublicStates, PublicStates]
    end_slot: np.ndarray
    end_scale: np.ndarray
    kind_start: np.ndarray
    payoff: np.ndarray
    observe: Callable[[int, np.ndarray, np.ndarray], np.ndarray]
