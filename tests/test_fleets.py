"""Ships that bar every place for the next one, beside every way to place them."""

from __future__ import annotations

import itertools

import pytest

from games.native.fleets import may_bar, places


def bars(height: int, width: int, ships: list[int], size: int) -> bool:
    """Whether any placement of the ships bars every place for another, by trying all."""
    for fleet in itertools.product(*(places(height, width, length) for length in ships)):
        taken = sum(fleet)
        if taken.bit_count() != sum(map(int.bit_count, fleet)):
            continue  # two ships overlap
        if all(taken & place for place in places(height, width, size)):
            return True
    return False


@pytest.mark.parametrize("height,width", [(1, 3), (1, 6), (2, 2), (2, 4), (3, 3), (4, 4)])
@pytest.mark.parametrize("ships", [[1], [2], [1, 1], [2, 2], [3, 2], [2, 3, 1]])
def test_finds_every_bar(height, width, ships):
    for size in range(1, 5):
        fits = all(places(height, width, length) for length in [*ships, size])
        if fits and sum(ships) <= height * width:
            assert may_bar(height, width, ships, size) == bars(height, width, ships, size)
