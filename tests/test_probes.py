"""The size of a game before it is enumerated, against sizes that are known."""

from __future__ import annotations

import numpy as np
import pytest

from games.readers.openspiel import load_openspiel
from games.readers.probes import Probes

SIZES = {
    "kuhn_poker": 58,
    "kuhn_poker(players=3)": 617,
    "leduc_poker": 9_457,
    "liars_dice(numdice=1)": 294_883,
    "liars_dice(numdice=1,dice_sides=7)": 1_605_591,
    "tic_tac_toe": 549_946,
    "tiny_bridge_2p": 107_129,
    "sheriff": 28_085,
    "first_sealed_auction": 7_096,
    "goofspiel(imp_info=True,num_cards=5,points_order=descending)": 26_931,
    "dark_hex(gameversion=cdh,board_size=2)": 441,
    "leduc_poker(players=3)": 1_831_601,
}
"""Histories, as counted by enumerating."""


def probed(name: str, limit: int, probes: int) -> Probes:
    result = Probes(load_openspiel(name), limit)
    for _ in range(probes):
        result.probe()
    return result


@pytest.mark.parametrize("name", SIZES)
def test_the_mean_of_the_probes_is_the_number_of_histories(name):
    """Within four standard errors of it, or the rounding where all probes agree."""
    probes = probed(name, limit=10**9, probes=200)
    error = np.std(probes.estimates) / np.sqrt(len(probes.estimates))
    assert probes.mean == pytest.approx(SIZES[name], rel=1e-9, abs=4 * error)
    assert f"{len(probes.estimates)} random probes estimate" in probes.sentence(1e-6, 100)


@pytest.mark.parametrize("name", SIZES)
def test_a_game_that_fits_is_never_hopeless_and_one_ten_times_too_large_soon_is(name):
    assert not probed(name, limit=SIZES[name], probes=200).hopeless
    assert probed(name, limit=SIZES[name] // 10, probes=60).hopeless


@pytest.mark.parametrize("tail", [1.5, 3.0])
def test_a_heavy_tail_refuses_no_game_that_fits(tail):
    """Two hundred limits that equal the mean of Pareto estimates, asked after every probe."""
    generator = np.random.default_rng(0)
    for _ in range(200):
        probes = Probes(load_openspiel("kuhn_poker"), 1000)
        for estimate in 1000 * (tail - 1) / tail * (1 + generator.pareto(tail, 300)):
            probes.note(estimate)
            assert not probes.hopeless


def test_a_probe_of_an_endless_game_is_cut_short():
    probes = probed("chess", limit=10, probes=3)
    assert probes.hopeless
    assert "more than" in probes.sentence(1e-5, 100)


@pytest.mark.parametrize(
    ("seconds", "says"), [(1e-3, "about 1 s"), (1.0, "about 17 min"), (1e3, "about 280 h")]
)
def test_the_sentence_says_how_long_in_fitting_units(seconds, says):
    """Of a game with 1,000 histories, by what one of them takes."""
    probes = Probes(load_openspiel("kuhn_poker"), 10)
    for _ in range(2):
        probes.note(1000.0)
    assert says in probes.sentence(seconds, 100)
