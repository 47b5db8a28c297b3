"""Leduc poker for any number of players: a private card each, a public card, two rounds of bets."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from games.errors import GameError
from games.game import State
from games.native import bits
from games.native.cards import all_deals, deal, one_hot
from games.native.draws import Dealt

FOLD, CALL, RAISE = range(3)
MAX_RAISES = 2
FIRST_RAISE, SECOND_RAISE = 2, 4
"""Chips that a raise adds in each round."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class LeducState(State):
    """A deal and the bets of its two rounds.

    Attributes:
        cards: each player's card and the public one, int32 `[P + 1]`. All are dealt at the start.
        second: whether the public card lies on the table, bool `[]`.
        paid: each player's chips in the pot, int32 `[P]`; its largest entry is the stake.
        folded: who has folded, bool `[P]`.
        raises: raises in this round, int32 `[]`.
        calls: calls in this round since its last raise, int32 `[]`.
        moves: decisions in this round, int32 `[]`.
        sequence: OpenSpiel's betting sequence, `[2, M, 2]`, packed by `games.native.bits`.
    """

    cards: jax.Array
    second: jax.Array
    paid: jax.Array
    folded: jax.Array
    raises: jax.Array
    calls: jax.Array
    moves: jax.Array
    sequence: jax.Array


class LeducPoker(Dealt[LeducState]):
    """OpenSpiel's `leduc_poker`: P players, a deck of P + 1 ranks in two suits, an ante of 1, and
    two raises a round. A pair with the public card wins, then the higher card; equals share.

    With `action_mapping` every action is legal, and a fold or raise that would not be is a call.
    With `suit_isomorphism` cards are known by their ranks only.
    """

    num_actions = 3

    def __init__(self, name: str, parameters: dict[str, Any], observation: str):
        players, starting_player = parameters["players"], parameters["starting_player"]
        if not 0 <= starting_player < players:
            raise GameError(
                f"{name!r}: starting_player = {starting_player} must be 0 to {players - 1}"
            )
        self.name = name
        self.num_players = players
        self._round_length = 3 * players - 2
        self.max_length = 2 * self._round_length
        self.max_return = (players - 1.0) * (1 + MAX_RAISES * (FIRST_RAISE + SECOND_RAISE))
        self._starting_player = starting_player
        self._maps_actions = parameters["action_mapping"]
        self._suits = 1 if parameters["suit_isomorphism"] else 2
        self._num_cards = self._suits * (players + 1)  # that are told apart
        self._shows_bets = observation == "information_state"
        self._sequence_size = 4 * self._round_length
        public = self._sequence_size if self._shows_bets else players
        self.observation_size = players + 2 * self._num_cards + public
        self._deals = all_deals(
            2 * (players + 1), players + 1, kind=lambda cards: [card // 2 for card in cards]
        )

    def init(self, key: jax.Array) -> LeducState:
        return self._begin(deal(key, 2 * (self.num_players + 1), self.num_players + 1))

    def _begin(self, cards: jax.Array) -> LeducState:
        players = self.num_players
        return LeducState(
            player=jnp.int32(self._starting_player),
            legal=jnp.array([self._maps_actions, True, True]),
            terminal=jnp.bool_(False),
            truncated=jnp.bool_(False),
            rewards=jnp.zeros(players),
            cards=cards if self._suits == 2 else cards // 2,
            second=jnp.bool_(False),
            paid=jnp.ones(players, jnp.int32),
            folded=jnp.zeros(players, bool),
            raises=jnp.int32(0),
            calls=jnp.int32(0),
            moves=jnp.int32(0),
            sequence=jnp.asarray(bits.packed([], self._sequence_size)),
        )

    def step(self, state: LeducState, action: jax.Array, key: jax.Array) -> LeducState:
        del key
        plays = (state.legal & (jnp.arange(3) == action)).any()
        own = jnp.arange(self.num_players) == state.player
        stake = state.paid.max()
        fold = (action == FOLD) & (jnp.where(own, state.paid, 0).sum() < stake)
        raises = (action == RAISE) & (state.raises < MAX_RAISES)
        raised = stake + jnp.where(state.second, SECOND_RAISE, FIRST_RAISE)
        due = jnp.where(raises, raised, stake)
        folded = state.folded | own & fold
        num_raises = state.raises + raises
        num_calls = jnp.where(raises, 0, state.calls + ~fold)
        remaining = (~folded).sum(dtype=jnp.int32)
        round_ends = num_calls == remaining - (num_raises > 0)
        terminal = (remaining == 1) | state.second & round_ends
        round_ends &= ~terminal
        paid = jnp.where(own & ~fold, due, state.paid)
        before = jnp.where(round_ends, self._starting_player - 1, state.player)
        player = jnp.where(terminal, 0, self._next_player(before, folded))
        num_raises = jnp.where(round_ends, 0, num_raises)
        mark = bits.one(
            2 * (state.moves + self._round_length * state.second) + raises, state.sequence.size
        )
        after = LeducState(
            player=player,
            legal=self._legal(player, paid, num_raises) & ~terminal,
            terminal=terminal,
            truncated=state.truncated,
            rewards=jnp.where(terminal, self._returns(state.cards, paid, folded), 0.0),
            cards=state.cards,
            second=state.second | round_ends,
            paid=paid,
            folded=folded,
            raises=num_raises,
            calls=jnp.where(round_ends, 0, num_calls),
            moves=jnp.where(round_ends, 0, state.moves + 1),
            sequence=state.sequence | jnp.where(fold, 0, mark),
        )
        before = dataclasses.replace(state, rewards=jnp.zeros(self.num_players))
        return jax.tree.map(lambda new, old: jnp.where(plays, new, old), after, before)

    def observe(self, state: LeducState) -> jax.Array:
        own_card = jnp.where(jnp.arange(self.num_players) == state.player, state.cards[:-1], 0)
        public_card = jnp.where(state.second, state.cards[-1], self._num_cards)
        public = (
            bits.unpacked(state.sequence, self._sequence_size) if self._shows_bets else state.paid
        )
        entries = jnp.concatenate(
            [
                one_hot(state.player, self.num_players),
                one_hot(own_card.sum(), self._num_cards),
                one_hot(public_card, self._num_cards),
                public.astype(jnp.float32),
            ]
        )
        return jnp.where(state.terminal, 0.0, entries)

    def chance(self, state: LeducState) -> jax.Array:
        """The players' cards and the public one, int32 `[P + 1]`."""
        is_dealt = state.second | (jnp.arange(self.num_players + 1) < self.num_players)
        return jnp.where(is_dealt, state.cards, -1)

    def _next_player(self, before: jax.Array, folded: jax.Array) -> jax.Array:
        """The first player after `before` who has not folded, int32 `[]`."""
        distance = (jnp.arange(self.num_players) - before - 1) % self.num_players
        return jnp.where(folded, self.num_players, distance).argmin().astype(jnp.int32)

    def _legal(self, player: jax.Array, paid: jax.Array, num_raises: jax.Array) -> jax.Array:
        if self._maps_actions:
            return jnp.ones(3, bool)
        own = jnp.where(jnp.arange(self.num_players) == player, paid, 0).sum()
        return jnp.stack([own < paid.max(), jnp.bool_(True), num_raises < MAX_RAISES])

    def _returns(self, cards: jax.Array, paid: jax.Array, folded: jax.Array) -> jax.Array:
        """The pot goes to the best hands of those who have not folded, float32 `[P]`."""
        ranks = cards // self._suits
        own, public = ranks[:-1], ranks[-1]
        high, low = jnp.maximum(own, public), jnp.minimum(own, public)
        most = self.num_players + 1
        strength = jnp.where(own == public, most * most, most * high + low)
        strength = jnp.where(folded, -1, strength)
        wins = strength == strength.max()
        return jnp.where(wins, paid.sum() / wins.sum(), 0.0) - paid
