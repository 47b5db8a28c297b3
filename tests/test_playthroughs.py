"""What was recorded of small runs (`playthroughs.py`) is what they do today."""

import playthroughs
import pytest


@pytest.mark.parametrize(("game", "variant"), playthroughs.CELLS)
def test_a_playthrough_is_as_it_was_recorded(game, variant):
    recorded = playthroughs.path_of(game, variant).read_text().splitlines()
    differences = playthroughs.differences(recorded, playthroughs.played(game, variant))
    assert not differences, "\n".join([*differences, "If that is meant: make playthroughs"])


def test_every_recording_is_of_a_cell():
    paths = {playthroughs.path_of(*cell) for cell in playthroughs.CELLS}
    assert paths == set(playthroughs.FOLDER.glob("*.txt")) and len(paths) >= 40


def test_a_difference_is_seen():
    recorded = ["iteration 0: 1 policies", "  value: 0.5 -0.5", "ended: budget"]
    assert not playthroughs.differences(recorded, recorded)
    rounded = [line.replace("0.5", "0.50000000001") for line in recorded]
    assert not playthroughs.differences(recorded, rounded)
    for changed in (
        [recorded[0], "  value: 0.5 -0.50000001", recorded[2]],
        [recorded[0], recorded[1], "iteration 1: 2 policies"],
        recorded[:2],
        [*recorded, "more"],
    ):
        assert playthroughs.differences(recorded, changed)
    as_far_as_it_is_stable = [*recorded[:2], playthroughs.END]
    assert not playthroughs.differences(as_far_as_it_is_stable, [*recorded[:2], "iteration 1"])
    assert playthroughs.differences(as_far_as_it_is_stable, recorded[:1])
