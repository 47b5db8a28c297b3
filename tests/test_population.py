"""Populations: stacks that grow, and keep what is in them."""

import numpy as np
import pytest

from psro.policies.population import Population


def policies(number):
    """One a player, of two."""
    return {"w": np.full((2, 3), float(number), np.float32)}


def test_what_is_put_is_there_however_often_room_is_made():
    population = Population.empty(1)
    for number in range(9):
        population = population.put(number, policies(number))
        assert population.size == number + 1 <= population.capacity
        assert population.capacity & (population.capacity - 1) == 0  # a power of two
    population = population.put(4, policies(40))  # instead of what was there
    for number in range(9):
        expected = policies(40 if number == 4 else number)["w"]
        np.testing.assert_array_equal(population.policies(number)["w"], expected)
        np.testing.assert_array_equal(population.params["w"][:, number], expected)
    assert population.params["w"].shape == (2, 16, 3)
    assert not population.params["w"][:, 9:].any()
    assert population.size == 9


def test_what_is_not_there_is_refused():
    with pytest.raises(ValueError, match="capacity = 0 must be at least 1"):
        Population.empty(0)
    population = Population.empty(2).put(0, policies(0))
    for slot in (-1, 2):
        with pytest.raises(IndexError, match=f"slot {slot} of a population of 1"):
            population.put(slot, policies(0))
    for index in (-1, 1):
        with pytest.raises(IndexError, match=f"policy {index} of a population of 1"):
            population.policies(index)
