"""Kuhn poker for any number of players: a card each, and one bet that the others may call."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from games.game import State
from games.native.cards import all_deals, deal, one_hot
from games.native.draws import Dealt


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class KuhnState(State):
    """`cards` is each player's, int32 `[P]`; `turns` counts the decisions so far, int32 `[]`; bit t
    of `bets` (int32 `[]`) says whether decision t was a bet."""

    cards: jax.Array
    turns: jax.Array
    bets: jax.Array


class KuhnPoker(Dealt[KuhnState]):
    """OpenSpiel's `kuhn_poker`: P players, cards 0 to P, an ante of 1. In turn they pass (0) or bet
    1 more (1); after the first bet everybody else has one decision, to fold or to call. The highest
    card among those who bet, or else of all, takes the pot.
    """

    num_actions = 2

    def __init__(self, name: str, parameters: dict[str, Any], observation: str):
        players = parameters["players"]
        self.name = name
        self.num_players = players
        self.max_length = 2 * players - 1
        self.max_return = 2.0 * (players - 1)
        self._shows_bets = observation == "information_state"
        public = 2 * self.max_length if self._shows_bets else players
        self.observation_size = players + (players + 1) + public
        self._deals = all_deals(players + 1, players, kind=lambda cards: cards)

    def init(self, key: jax.Array) -> KuhnState:
        return self._begin(deal(key, self.num_players + 1, self.num_players))

    def _begin(self, cards: jax.Array) -> KuhnState:
        return KuhnState(
            player=jnp.int32(0),
            legal=jnp.ones(2, bool),
            terminal=jnp.bool_(False),
            truncated=jnp.bool_(False),
            rewards=jnp.zeros(self.num_players),
            cards=cards,
            turns=jnp.int32(0),
            bets=jnp.int32(0),
        )

    def step(self, state: KuhnState, action: jax.Array, key: jax.Array) -> KuhnState:
        del key
        plays = ~state.terminal & ((action == 0) | (action == 1))
        turns = state.turns + plays
        bets = state.bets | jnp.where(plays, action << state.turns, 0)
        round_ends = turns >= self.num_players
        first_bettor = bets >> jnp.maximum(turns - self.num_players, 0) & 1 == 1
        terminal = round_ends & ((bets == 0) | first_bettor)
        return KuhnState(
            player=jnp.where(terminal, 0, turns % self.num_players),
            legal=jnp.broadcast_to(~terminal, 2),
            terminal=terminal,
            truncated=state.truncated,
            rewards=jnp.where(plays & terminal, self._returns(state.cards, bets), 0.0),
            cards=state.cards,
            turns=turns,
            bets=bets,
        )

    def observe(self, state: KuhnState) -> jax.Array:
        own_card = jnp.where(jnp.arange(self.num_players) == state.player, state.cards, 0).sum()
        if self._shows_bets:
            turns = jnp.arange(self.max_length)
            bet = state.bets >> turns & 1  # [T]
            public = (bet[:, None] == jnp.arange(2)[None]) & (turns < state.turns)[:, None]
        else:
            public = 1 + self._has_bet(state.bets)
        entries = jnp.concatenate(
            [
                one_hot(state.player, self.num_players),
                one_hot(own_card, self.num_players + 1),
                public.reshape(-1).astype(jnp.float32),
            ]
        )
        return jnp.where(state.terminal, 0.0, entries)

    def chance(self, state: KuhnState) -> jax.Array:
        """The players' cards, int32 `[P]`."""
        return state.cards

    def _has_bet(self, bets: jax.Array) -> jax.Array:
        """Whether each player has bet, in its first or its second decision, int32 `[P]`."""
        return (bets | bets >> self.num_players) >> jnp.arange(self.num_players) & 1

    def _returns(self, cards: jax.Array, bets: jax.Array) -> jax.Array:
        has_bet = self._has_bet(bets)
        strength = cards + jnp.where(has_bet == 1, self.num_players + 1, 0)
        wins = strength == strength.max()
        paid = 1 + has_bet
        return (jnp.where(wins, paid.sum(), 0) - paid).astype(jnp.float32)
