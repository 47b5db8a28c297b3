"""Liar's dice: everybody rolls in secret, bids on all dice rise, until somebody calls the liar."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from games.errors import GameError
from games.game import State
from games.native import bits
from games.native.draws import Dealt, alike_together, draws

BIDDING_RULES = ("reset-face", "reset-quantity")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class DiceState(State):
    """A roll and the bids on it.

    Attributes:
        rolls: faces from 0, the players' dice in turn, in the order of the roll, int32 `[P * D]`.
        hands: what each player's tensor shows of the player, packed by `games.native.bits`,
            uint32 `[P, W]`.
        bids: the last P bids, the newest first; -1 where there was none, int32 `[P]`.
        public: what the tensors show of the bids, packed alike, uint32 `[W]`.
    """

    rolls: jax.Array
    hands: jax.Array
    bids: jax.Array
    public: jax.Array


class LiarsDice(Dealt[DiceState]):
    """OpenSpiel's `liars_dice`: P players with D dice of F faces. A bid is a quantity and a face;
    the highest face is wild. Bids rise in quantity and then face, or, by the rule
    "reset-quantity", in face and then quantity. The last action calls the last bidder a liar: who
    is wrong about the bid pays 1 to who is right.

    A tensor shows the player, its dice in order of their faces, and bids: an information state all,
    an observation the last P.
    """

    max_return = 1.0

    def __init__(self, name: str, parameters: dict[str, Any], observation: str):
        players, dice = parameters["players"], parameters["numdice"]
        faces, rule = parameters["dice_sides"], parameters["bidding_rule"]
        if players < 2 or dice < 1 or faces < 1:
            raise GameError(
                f"{name!r}: players = {players} must be at least 2, numdice = {dice} and "
                f"dice_sides = {faces} at least 1"
            )
        if rule not in BIDDING_RULES:
            raise GameError(f"{name!r}: bidding_rule {rule!r} must be {' or '.join(BIDDING_RULES)}")
        self.name = name
        self.num_players = players
        self._dice = dice
        self._faces = faces
        self._resets_face = rule == BIDDING_RULES[0]
        self._shows_all_bids = observation == "information_state"
        self._liar = players * dice * faces  # the action, and the number of bids
        self._first_bid = players + dice * faces  # its entry in a tensor
        self.num_actions = self._liar + 1
        self.max_length = self._liar + 1
        self.observation_size = self._first_bid + self._liar + 1
        self._deals = alike_together(
            itertools.product(range(faces), repeat=players * dice),
            self._hand_kinds,
            faces ** (players * dice),
        )
        self._seats = np.stack([bits.packed([p], self.observation_size) for p in range(players)])

    def init(self, key: jax.Array) -> DiceState:
        return self._begin(draws(key, self._faces, self.num_players * self._dice))

    def _hand_kinds(self, rolls: tuple[int, ...]) -> list[list[int]]:
        """Each player's dice in order of their faces."""
        return [
            sorted(rolls[first : first + self._dice]) for first in range(0, len(rolls), self._dice)
        ]

    def _begin(self, rolls: jax.Array) -> DiceState:
        return DiceState(
            player=jnp.int32(0),
            legal=jnp.arange(self.num_actions) < self._liar,
            terminal=jnp.bool_(False),
            truncated=jnp.bool_(False),
            rewards=jnp.zeros(self.num_players),
            rolls=rolls,
            hands=self._hands(rolls),
            bids=jnp.full(self.num_players, -1),
            public=jnp.asarray(bits.packed([], self.observation_size)),
        )

    def step(self, state: DiceState, action: jax.Array, key: jax.Array) -> DiceState:
        del key
        bid = state.bids[0]
        calls = (action == self._liar) & (bid >= 0) & ~state.terminal
        raises = (action > bid) & (action < self._liar) & ~state.terminal
        bids = jnp.where(raises, jnp.concatenate([action[None], state.bids[:-1]]), state.bids)
        if self._shows_all_bids:
            public = state.public | jnp.where(raises, self._shown(action), 0)
        else:
            public = jnp.zeros_like(state.public)
            for place in range(self.num_players):
                public |= jnp.where(bids[place] >= 0, self._shown(bids[place]), 0)
        bidder = (state.player - 1) % self.num_players
        is_true = self._is_true(bid, state.rolls)
        seats = jnp.arange(self.num_players)
        gains = jnp.where(seats == bidder, 1.0, jnp.where(seats == state.player, -1.0, 0.0))
        terminal = state.terminal | calls
        actions = jnp.arange(self.num_actions)
        is_legal = (actions > bids[0]) & ((actions < self._liar) | (bids[0] >= 0))
        return DiceState(
            player=jnp.where(terminal, 0, (state.player + raises) % self.num_players),
            legal=is_legal & ~terminal,
            terminal=terminal,
            truncated=state.truncated,
            rewards=jnp.where(calls, jnp.where(is_true, gains, -gains), 0.0),
            rolls=state.rolls,
            hands=state.hands,
            bids=bids,
            public=public,
        )

    def observe(self, state: DiceState) -> jax.Array:
        words = bits.row(state.hands, state.player) | state.public
        words = jnp.where(state.terminal, 0, words)
        return bits.unpacked(words, self.observation_size).astype(jnp.float32)

    def chance(self, state: DiceState) -> jax.Array:
        """The faces from 0, in the order of the roll, int32 `[P * D]`."""
        return state.rolls

    def _hands(self, rolls: jax.Array) -> jax.Array:
        """Each player's seat and its dice in order of their faces, uint32 `[P, W]`."""
        rolls = rolls.reshape(self.num_players, self._dice)
        faces, dice = jnp.arange(self._faces), jnp.arange(self._dice)
        at_most = (rolls[:, :, None] <= faces[None, None]).sum(axis=1)  # of each face, [P, F]
        ordered = (at_most[:, :, None] <= dice[None, None]).sum(axis=1)  # [P, D]
        places = self.num_players + dice[None] * self._faces + ordered
        shown = jax.vmap(lambda own: bits.flipped(own, self._seats.shape[1]))(places)
        return self._seats | shown

    def _shown(self, bid: jax.Array) -> jax.Array:
        """A bid in the tensors, uint32 `[W]`."""
        return bits.one(self._first_bid + bid, self._seats.shape[1])

    def _is_true(self, bid: jax.Array, rolls: jax.Array) -> jax.Array:
        """Whether all dice together show as many of the face as the bid says, bool `[]`."""
        if self._resets_face:
            quantity, face = bid // self._faces + 1, bid % self._faces
        else:
            dice = self.num_players * self._dice
            quantity, face = bid % dice + 1, bid // dice
        return ((rolls == face) | (rolls == self._faces - 1)).sum() >= quantity
