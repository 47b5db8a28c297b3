"""How likely hands and boards are, and in how many orders they are dealt."""

from __future__ import annotations

import itertools
import math

import numpy as np

Cards = tuple[int, ...]
"""In order of their numbers."""


class Deals:
    """Hands of two players, and boards, from one deck.

    D different cards, T hands. Cards that nobody tells apart, such as the suits of a rank, are one
    card with several `copies`.

    Attributes:
        copies: of each card, int64 `[D]`.
        hands: what a player may hold.
        counts: the cards of each hand, int64 `[T, D]`.
        probability: of the two players' hands, float64 `[T, T]`.
    """

    def __init__(self, copies: np.ndarray, hand_size: int):
        self.copies = copies
        self.hands = self._sets(copies, hand_size)
        self.counts = np.array([self._count(hand) for hand in self.hands])
        self._hand_size = hand_size
        first = _ways(copies, self.counts)
        self._left = copies - self.counts[:, None] - self.counts[None]  # [T, T, D]
        second = _ways(copies - self.counts[:, None], self.counts[None])
        self.probability = first[:, None] * second

    def boards(self, board: tuple[Cards, ...], size: int) -> list[Cards]:
        """The cards that may come after the board of earlier rounds."""
        left = self.copies - sum(
            (self._count(cards) for cards in board), np.zeros_like(self.copies)
        )
        return self._sets(left, size)

    def weight(self, board: tuple[Cards, ...]) -> np.ndarray:
        """The probability of both hands and of the board, `[T, T]`."""
        weight, left = self.probability, self._left
        for cards in board:
            drawn = self._count(cards)
            weight = weight * _ways(left, drawn)
            left = left - drawn
        return weight

    def orders(self, board: tuple[Cards, ...]) -> int:
        """The number of ways to deal two hands and the board, card by card."""
        orders = np.array([_orders(hand) for hand in self.hands])
        of_board = math.prod(map(_orders, board))
        return int(orders @ (self.weight(board) > 0) @ orders) * of_board

    def orders_before_hands(self) -> int:
        """The number of ways to deal fewer cards than both hands, none included."""
        words = [1] + [0] * (2 * self._hand_size - 1)  # of each length
        for copies in self.copies.tolist():
            words = [
                sum(math.comb(n, m) * words[n - m] for m in range(min(n, copies) + 1))
                for n in range(len(words))
            ]
        return sum(words)

    def orders_on_the_way(self, board: tuple[Cards, ...], size: int) -> int:
        """The number of ways to deal both hands, the board, and fewer cards than the `size` that
        come next. Only one card comes at a time if cards have copies."""
        left = len(self.copies) - 2 * self._hand_size - sum(map(len, board))
        return self.orders(board) * sum(math.perm(left, dealt) for dealt in range(size))

    def _count(self, cards: Cards) -> np.ndarray:
        return np.bincount(cards, minlength=len(self.copies))

    @staticmethod
    def _sets(copies: np.ndarray, size: int) -> list[Cards]:
        cards = np.flatnonzero(copies).tolist()
        return list(itertools.combinations(cards, size))


def _ways(left: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The probability of drawing these cards from those that are left, counts `[..., D]` each."""
    most = max(int(left.max()), int(drawn.max()))
    table = np.array([[math.comb(n, k) for k in range(most + 1)] for n in range(most + 1)])
    ways = table[np.maximum(left, 0), drawn].prod(axis=-1)
    total, size = int(left.sum(axis=-1).flat[0]), int(drawn.sum(axis=-1).flat[0])
    return ways / math.comb(total, size)


def _orders(cards: Cards) -> int:
    return math.factorial(len(cards))
