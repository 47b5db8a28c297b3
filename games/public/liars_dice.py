"""Liar's dice as public states and types: a public state is a set of bids, a type a hand."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from games.errors import GameError
from games.public.game import PublicGame, PublicStates

MAX_BIDS = 24
"""Every set of bids is a public state."""

Hand = tuple[int, ...]
"""Faces from 0, in order."""


def liars_dice(name: str, openspiel: Any, observation: str) -> PublicGame:
    """OpenSpiel's `liars_dice` for two players with D dice of F faces.

    Bids rise, so the bids so far are a set: bit b of a public state's mask is bid b. Players see
    their dice in order of the faces, so there are `C(D + F - 1, D)` types.

    Raises:
        GameError: it is not for two players, or there are too many bids.
    """
    parameters = openspiel.get_parameters()
    dice, faces = parameters["numdice"], parameters["dice_sides"]
    bids = 2 * dice * faces
    if parameters["players"] != 2:
        raise GameError(f"{name!r}: public trees are for two players")
    if dice < 1 or faces < 1 or bids > MAX_BIDS:
        raise GameError(
            f"{name!r}: a public tree of dice has at most {MAX_BIDS} bids, and numdice = {dice} "
            f"and dice_sides = {faces} make {bids}"
        )
    hands = list(itertools.combinations_with_replacement(range(faces), dice))
    sets = _BidSets(bids)
    return PublicGame(
        name=name,
        observation_kind=observation,
        observation_size=2 + dice * faces + bids + 1,
        num_actions=bids + 1,
        num_histories=sum(faces**k for k in range(2 * dice))
        + faces ** (2 * dice) * (2 ** (bids + 1) - 1),
        max_length=bids + 1,
        max_return=1.0,
        possible=(np.ones((1, len(hands)), bool),) * 2,
        states=(sets.states(0), sets.states(1)),
        end_slot=sets.end_slots(),
        end_scale=np.where(sets.count[sets.ends] % 2 == 1, 1.0, -1.0),  # who bid last
        kind_start=2 ** np.arange(bids + 1) - 1,  # by the last bid
        payoff=_payoff(hands, faces, parameters["bidding_rule"] == "reset-face"),
        observe=Tensors(
            masks=tuple(sets.own),
            hands=np.array(hands, np.int64),
            faces=faces,
            bids=bids,
            all_bids=observation == "information_state",
        ),
    )


class _BidSets:
    """All sets of bids as masks, and the slots of the players who move there.

    Legal are the higher bids and, after a bid, the call, which has the number of bids. So a state's
    actions are numbers in a row, and so are its slots."""

    def __init__(self, bids: int):
        self.bids = bids
        masks = np.arange(1 << bids, dtype=np.int32)
        self.top = _top(masks)  # the last bid
        self.count = np.bitwise_count(masks)
        # By the last bid; then as the states, so that products take many at once.
        self.ends = 1 + np.argsort(self.top[1:] * (bids + 1) + self.count[1:], kind="stable")
        self.own, self.first_slot = [], []
        self.call = np.empty(len(masks), np.int32)  # the slot that calls the last bidder
        for player in range(2):
            own = masks[self.count % 2 == player]
            own = own[np.argsort(self.count[own], kind="stable")]
            last = self.top[own]
            num_actions = bids - last - (last < 0)
            first_slot = np.concatenate([[1], 1 + np.cumsum(num_actions)]).astype(np.int32)
            self.call[own] = first_slot[:-1] + bids - 1 - last
            self.own.append(own)
            self.first_slot.append(first_slot)

    def states(self, player: int) -> PublicStates:
        own, first_slot = self.own[player], self.first_slot[player]
        last = self.top[own]
        action = np.arange(-1, first_slot[-1] - 1, dtype=np.int32)
        action[1:] += np.repeat(last + 2 - first_slot[:-1], np.diff(first_slot))
        levels = range(player, self.bids + 1, 2)
        return PublicStates(
            level_start=np.append(np.searchsorted(self.count[own], levels), len(own)),
            first_slot=first_slot,
            action=action,
            parent=self.bid_before(self.without_last(own)),
            board=np.zeros(len(own), np.int32),
        )

    def end_slots(self) -> np.ndarray:
        """The slots of both players before the last bid of `ends` is called, int32 `[Z, 2]`."""
        calls, bids = self.call[self.ends], self.bid_before(self.ends)
        is_call = self.count[self.ends] % 2 == np.arange(2)[:, None]  # whose move it is, [2, Z]
        return np.where(is_call, calls, bids).T

    def without_last(self, masks: np.ndarray) -> np.ndarray:
        return masks & ~(1 << np.maximum(self.top[masks], 0))

    def bid_before(self, masks: np.ndarray) -> np.ndarray:
        """The slot of the last bid of each set, 0 for none."""
        slot = self.call[self.without_last(masks)] - (self.bids - self.top[masks])
        return np.where(masks > 0, slot, 0).astype(np.int32)


def _payoff(hands: Sequence[Hand], faces: int, resets_face: bool) -> np.ndarray:
    """What a bidder wins by each bid when it is called, times the probability of the hands, float64
    `[K, T, T]`: 1 if all dice show as many of the face, or of the wild highest one, as it says."""
    dice = len(hands[0])
    rolls = [
        math.factorial(dice) / math.prod(map(math.factorial, Counter(hand).values()))
        for hand in hands
    ]
    probability = np.array(rolls) / faces**dice
    shown = np.array([[hand.count(face) for face in range(faces)] for hand in hands])
    matching = shown + np.where(np.arange(faces) < faces - 1, shown[:, -1:], 0)  # [T, F]
    bids = np.arange(2 * dice * faces)
    if resets_face:
        quantity, face = bids // faces + 1, bids % faces
    else:
        quantity, face = bids % (2 * dice) + 1, bids // (2 * dice)
    together = matching[:, None, face] + matching[None, :, face]  # [T, T, K]
    wins = np.where(together >= quantity, 1.0, -1.0)
    return np.ascontiguousarray(
        np.moveaxis(np.outer(probability, probability)[..., None] * wins, -1, 0)
    )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Tensors:
    """OpenSpiel's tensors: the player, its dice in order, and the bids, all or the last two."""

    masks: tuple[np.ndarray, ...]
    hands: np.ndarray
    faces: int
    bids: int
    all_bids: bool

    def __call__(self, player: int, states: np.ndarray, types: np.ndarray) -> np.ndarray:
        dice = self.hands.shape[1]
        masks = self.masks[player][states]
        if not self.all_bids:
            highest = np.zeros_like(masks)
            for _ in range(2):
                rest = masks & ~highest
                highest |= np.where(rest > 0, 1 << np.maximum(_top(rest), 0), 0)
            masks = highest
        first_bid = 2 + dice * self.faces
        tensors = np.zeros((len(masks), first_bid + self.bids + 1), np.float32)
        tensors[:, player] = 1.0
        places = 2 + self.faces * np.arange(dice) + self.hands[types]  # [n, D]
        np.put_along_axis(tensors, places, 1.0, axis=1)
        tensors[:, first_bid:-1] = masks[:, None] >> np.arange(self.bids) & 1
        return tensors


def _top(masks: np.ndarray) -> np.ndarray:
    """The highest bit of each mask; -1 for 0."""
    return np.frexp(masks.astype(np.float64))[1].astype(np.int32) - 1
