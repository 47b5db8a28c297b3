"""Goofspiel: everybody bids a card of their own for each point card, and the highest takes it."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from games.errors import GameError
from games.game import Game, State
from games.native import bits
from games.native.draws import draw

POINTS_ORDERS = ("random", "descending", "ascending")
RETURNS_TYPES = ("win_loss", "point_difference", "total_points")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class GoofspielState(State):
    """A round in which the players before `player` have bid.

    Attributes:
        round: rounds that are over, int32 `[]`.
        deck: in the random order the point cards: those up to this round's as they came, the rest
            in no order, int32 `[C]`; otherwise `[0]`.
        bids: this round's, int32 `[P]`.
        held: the sum of the cards in each player's hand, int32 `[P]`.
        points: int32 `[P]`.
        sight: each player's tensor, packed by `games.native.bits`, uint32 `[P, W]`.
    """

    round: jax.Array
    deck: jax.Array
    bids: jax.Array
    held: jax.Array
    points: jax.Array
    sight: jax.Array


class Goofspiel(Game[GoofspielState]):
    """OpenSpiel's `goofspiel` by turns: P players have the cards 0 to C - 1 each, and bid in turn
    without seeing the others' bids. The highest bid takes the point card, which is worth its number
    plus 1; a tie discards it. The last of C rounds plays itself.

    A tensor begins with the player to move and the observer. An observation goes on with the point
    card and those still to come, an information state has all point cards so far further on. Then
    come the points, by seats from the observer's on. With imperfect information the own hand and
    the rounds' winners follow (and, in an information state, the own bids); with perfect
    information all hands.
    """

    def __init__(self, name: str, parameters: dict[str, Any], observation: str):
        players, cards, rounds = (parameters[key] for key in ("players", "num_cards", "num_turns"))
        rounds = cards if rounds == -1 else rounds
        if cards < 1 or not (rounds == cards or 1 <= rounds <= cards - 2):
            raise GameError(
                f"{name!r}: num_turns = {rounds} must be 1 to num_cards - 2, or num_cards, which "
                f"is {cards}; OpenSpiel cannot play other numbers"
            )
        for key, known in (("points_order", POINTS_ORDERS), ("returns_type", RETURNS_TYPES)):
            if parameters[key] not in known:
                raise GameError(
                    f"{name!r}: {key} {parameters[key]!r} must be one of {', '.join(known)}"
                )
        self.name = name
        self.num_players = players
        self.num_actions = cards
        self._plays_last = rounds == cards > 1  # by itself
        self._rounds = rounds - self._plays_last
        self.max_length = players * self._rounds
        self._order = parameters["points_order"]
        self._returns_type = parameters["returns_type"]
        self._egocentric = parameters["egocentric"]
        points = cards * (cards + 1) // 2
        self.max_return = {
            "win_loss": 1.0,
            "point_difference": (players - 1) * points / players,
            "total_points": float(points),
        }[self._returns_type]
        self._lay_out(rounds, points + 1, observation, parameters["imp_info"])

    def _lay_out(self, rounds: int, point_slots: int, observation: str, hides: bool) -> None:
        """Where the parts of a tensor begin, None for those it lacks; and the first tensors."""
        players, cards = self.num_players, self.num_actions
        recalls = observation == "information_state"
        parts = {
            "seats": 2 * players,
            "point_card": 0 if recalls else cards,
            "remaining": 0 if recalls else cards,
            "points": players * point_slots,
            "hand": cards if hides else 0,
            "winners": rounds * players if hides else 0,
            "point_cards": rounds * cards if recalls else 0,
            "own_bids": rounds * cards if recalls and hides else 0,
            "hands": 0 if hides else players * cards,
        }
        first, self._first = 0, {}
        for part, size in parts.items():
            self._first[part] = first if size else None
            first += size
        self.observation_size = first
        self._point_slots = point_slots
        start = self._first["points"]
        shown = [start + seat * point_slots for seat in range(players)]  # no points
        for part in ("remaining", "hand", "hands"):
            if parts[part]:
                shown += range(self._first[part], self._first[part] + parts[part])
        self._start = np.stack(
            [bits.packed([*shown, p, players + p], first) for p in range(players)]
        )

    def init(self, key: jax.Array) -> GoofspielState:
        players, cards = self.num_players, self.num_actions
        if self._order == "random":
            deck = self._dealt(jnp.arange(cards), jnp.int32(0), key)
        else:
            deck = jnp.zeros(0, jnp.int32)
        sight = jnp.asarray(self._start) ^ self._new_card(jnp.int32(0), deck)[None]
        return GoofspielState(
            player=jnp.int32(0),
            legal=jnp.ones(cards, bool),
            terminal=jnp.bool_(False),
            truncated=jnp.bool_(False),
            rewards=jnp.zeros(players),
            round=jnp.int32(0),
            deck=deck,
            bids=jnp.zeros(players, jnp.int32),
            held=jnp.full(players, cards * (cards - 1) // 2),
            points=jnp.zeros(players, jnp.int32),
            sight=sight,
        )

    def step(self, state: GoofspielState, action: jax.Array, key: jax.Array) -> GoofspielState:
        players = self.num_players
        plays = (state.legal & (jnp.arange(self.num_actions) == action)).any()
        bids = jnp.where(plays & (jnp.arange(players) == state.player), action, state.bids)
        over = plays & (state.player == players - 1)  # the round
        next_round = state.round + over
        terminal = state.terminal | (next_round == self._rounds)
        deck = state.deck
        if self._order == "random":
            dealt = self._dealt(deck, next_round, key)
            deck = jnp.where(over & ~terminal, dealt, deck)
        won = self._won(bids, self._point_card(state.round, deck))
        points = state.points + jnp.where(over, won, 0)
        held = state.held - jnp.where(over, bids, 0)
        seen = self._result(state, bids, won, points) ^ self._new_card(next_round, deck)[None]
        sight = jnp.where(over & ~terminal, state.sight ^ seen, state.sight)
        player = jnp.where(terminal, 0, (state.player + plays) % players)
        final = points
        if self._plays_last:
            final += self._won(held, self._point_card(jnp.int32(self._rounds), deck))
        return GoofspielState(
            player=player,
            legal=self._hand(bits.row(sight, player)) & ~terminal,
            terminal=terminal,
            truncated=state.truncated,
            rewards=jnp.where(over & terminal, self._returns(final), 0.0),
            round=next_round,
            deck=deck,
            bids=bids,
            held=held,
            points=points,
            sight=sight,
        )

    def observe(self, state: GoofspielState) -> jax.Array:
        words = jnp.where(state.terminal, 0, bits.row(state.sight, state.player))
        return bits.unpacked(words, self.observation_size).astype(jnp.float32)

    def chance(self, state: GoofspielState) -> jax.Array:
        """The point cards so far, where their order is random, int32 `[rounds]`."""
        rounds = jnp.arange(self._rounds if self._order == "random" else 0)
        return jnp.where(rounds <= state.round, state.deck[: self._rounds][: len(rounds)], -1)

    def _dealt(self, deck: jax.Array, place: jax.Array, key: jax.Array) -> jax.Array:
        """The deck with any of the cards from `place` on at `place`, and its own card there."""
        cards = len(deck)
        drawn, _ = draw(jax.random.bits(key), cards - place)
        drawn += place
        places = jnp.arange(cards)
        new = jnp.where(places == drawn, deck, 0).sum()
        old = jnp.where(places == place, deck, 0).sum()
        return jnp.where(places == place, new, jnp.where(places == drawn, old, deck))

    def _point_card(self, round: jax.Array, deck: jax.Array) -> jax.Array:
        """The point card of a round, from 0, int32 `[]`."""
        if self._order == "ascending":
            return round
        if self._order == "descending":
            return self.num_actions - 1 - round
        return jnp.where(jnp.arange(len(deck)) == round, deck, 0).sum()

    def _won(self, bids: jax.Array, point_card: jax.Array) -> jax.Array:
        """What each player wins by the bids, int32 `[P]`."""
        highest = bids == bids.max()
        return jnp.where(highest & (highest.sum() == 1), point_card + 1, 0)

    def _hand(self, words: jax.Array) -> jax.Array:
        """The cards in the observer's hand, bool `[C]`."""
        hand = self._first["hand"] or self._first["hands"]
        entries = bits.unpacked(words, self.observation_size)
        return entries[hand : hand + self.num_actions].astype(bool)

    def _new_card(self, round: jax.Array, deck: jax.Array) -> jax.Array:
        """What changes in a tensor when a round's point card is dealt, uint32 `[W]`."""
        place, size = self._point_card(round, deck), self._start.shape[1]
        if self._first["point_cards"] is not None:
            row = self._first["point_cards"] + round * self.num_actions
            return bits.one(row + place, size)
        shown = bits.one(self._first["point_card"] + place, size)
        return shown ^ bits.one(self._first["remaining"] + place, size)

    def _result(
        self, state: GoofspielState, bids: jax.Array, won: jax.Array, points: jax.Array
    ) -> jax.Array:
        """What changes in the tensors when a round ends, uint32 `[P, W]`."""
        players, cards, first = self.num_players, self.num_actions, self._first
        size, seats = self._start.shape[1], jnp.arange(players)
        rows = []
        for observer in range(players):
            seat = (seats - observer) % players  # of every player
            start = first["points"] + seat * self._point_slots
            changes = [start + state.points, start + points]  # the same, so nothing, if none is won
            if first["hands"] is not None:
                changes.append(first["hands"] + seat * cards + bids)
            else:
                changes.append(first["hand"] + bids[observer : observer + 1])
                index = seat if self._egocentric else seats
                winner = jnp.where(won > 0, first["winners"] + state.round * players + index, -1)
                changes.append(winner.max(keepdims=True))
            if first["own_bids"] is not None:
                row = first["own_bids"] + state.round * cards
                changes.append(row + bids[observer : observer + 1])
            if first["point_card"] is not None:
                card = self._point_card(state.round, state.deck)
                changes.append(first["point_card"] + card[None])
            rows.append(bits.flipped(jnp.concatenate(changes), size))
        return jnp.stack(rows)

    def _returns(self, points: jax.Array) -> jax.Array:
        """float32 `[P]`."""
        players = self.num_players
        if self._returns_type == "total_points":
            return points.astype(jnp.float32)
        if self._returns_type == "point_difference":
            return points - points.sum() / players
        wins = points == points.max()
        number = wins.sum()
        returns = jnp.where(wins, 1 / number, -1 / jnp.maximum(players - number, 1))
        return jnp.where(number == players, 0.0, returns)
