"""Whether ships on a board can be placed so that they bar every place for the next one."""

from __future__ import annotations

from collections.abc import Sequence

MOST_STEPS = 20_000
"""The search is given up after as many steps, about a second."""


def places(height: int, width: int, size: int) -> list[int]:
    """The cells of a ship of `size` wherever it can lie, as sets of bits: across, then down. One of
    a single cell lies across."""
    across = sum(1 << cell for cell in range(size))
    down = sum(1 << cell * width for cell in range(size))
    return [
        across << row * width + column
        for row in range(height)
        for column in range(width - size + 1)
    ] + [
        down << row * width + column
        for row in range(height - size + 1 if size > 1 else 0)
        for column in range(width)
    ]


def may_bar(height: int, width: int, ships: Sequence[int], size: int) -> bool:
    """Whether ships of these sizes can bar every place for another of `size`; True where the search
    is given up.

    One of the ships has to lie across any place that is open. A branch ends where more open places
    lie side by side than the ships that are left have cells.
    """
    ways = {length: places(height, width, length) for length in set(ships)}
    steps = 0

    def search(free: list[int], left: list[int], taken: int) -> bool:
        nonlocal steps
        steps += 1
        if not free or steps > MOST_STEPS:
            return True
        if max(_side_by_side(free), _side_by_side(free[::-1])) > sum(left):
            return False
        target = free[len(free) // 2]
        for length in sorted(set(left), reverse=True):
            rest = left.copy()
            rest.remove(length)
            for ship in ways[length]:
                if not ship & target or ship & taken:
                    continue
                if search([place for place in free if not place & ship], rest, taken | ship):
                    return True
        return False

    return search(places(height, width, size), list(ships), 0)


def _side_by_side(free: list[int]) -> int:
    """How many of the places can be filled one after the other."""
    taken = number = 0
    for place in free:
        if not place & taken:
            taken |= place
            number += 1
    return number
