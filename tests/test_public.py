"""Public trees against enumerated ones, against a recursion through OpenSpiel, and their sizes."""

from __future__ import annotations

import functools
import json

import numpy as np
import pyspiel
import pytest

import games
from games.forms import open_form
from games.info_states import check_memory
from games.public import public_tree
from games.public.tree import PublicTree
from psro import cli, exact
from psro.exact.cfr import cfr_plus
from psro.exact.public_on_device import DevicePublicTree
from psro.measure.simple_play import uniform

LEDUC = (
    "universal_poker(betting=limit,numPlayers=2,numRounds=2,blind=1 1,raiseSize=2 4,"
    "firstPlayer=1 1,maxRaises=2 2,numSuits={suits},numRanks={ranks},numHoleCards={hole},"
    "numBoardCards=0 {board})"
)
KUHN = (
    "universal_poker(betting=limit,numPlayers=2,numRounds=1,blind=1 1,raiseSize= 1,"
    "firstPlayer= 1,maxRaises= 1,numSuits=1,numRanks={ranks},numHoleCards=1,numBoardCards= 0)"
)
DICE = "liars_dice(numdice={},dice_sides={},bidding_rule={})"


def leduc(ranks, suits=2, hole=1, board=1):
    return LEDUC.format(suits=suits, ranks=ranks, hole=hole, board=board)


SMALL = [
    DICE.format(1, 2, "reset-face"),
    DICE.format(1, 3, "reset-quantity"),
    DICE.format(2, 2, "reset-face"),
    DICE.format(2, 2, "reset-quantity"),
    "kuhn_poker",
    *(KUHN.format(ranks=ranks) for ranks in (4, 5, 6)),
    "leduc_poker",
    "leduc_poker(suit_isomorphism=True,starting_player=1)",
    leduc(3),
    leduc(3, hole=2),
]
SLOW = [DICE.format(2, 3, "reset-face"), leduc(4), leduc(5), leduc(10), leduc(3, board=2)]
NAMES = [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


class Pair:
    """A game enumerated and as a public tree; `sequences[p]` are the public tree's numbers of the
    sequences of the enumerated one's player p."""

    def __init__(self, name: str):
        self.tree, self.public = games.load(name), public_tree(name)
        self.info_states, self.sequences = [], []
        for ours, theirs in zip(self.public.players, self.tree.players, strict=True):
            rows = {row.tobytes(): i for i, row in enumerate(ours.observe(slice(None)))}
            assert len(rows) == ours.num_info_states  # no two look alike
            observation = np.asarray(theirs.observation, np.float32)
            info_states = np.array([rows[row.tobytes()] for row in observation])
            owner = theirs.info_state[1:]
            place = np.arange(1, theirs.num_sequences) - theirs.first_sequence[owner]
            sequences = ours.first_sequence[info_states[owner]] + place
            self.info_states.append(info_states)
            self.sequences.append(np.append(0, sequences))

    def of_tree(self, per_sequence):
        """Numbers per sequence of every player, from the public tree's order to the other's."""
        return [x[..., s] for x, s in zip(per_sequence, self.sequences, strict=True)]


pair = functools.cache(Pair)


def random_plans(form, seed, count=None):
    generator = np.random.default_rng(seed)
    plans = []
    for player in form.players:
        shape = (player.num_sequences,) if count is None else (count, player.num_sequences)
        behaviour = generator.random(shape)
        sums = np.add.reduceat(behaviour, player.first_sequence[:-1], axis=-1)
        behaviour /= np.concatenate([behaviour[..., :1], sums[..., player.info_state[1:]]], axis=-1)
        plans.append(exact.realization_plan(player, behaviour))
    return plans


@pytest.mark.parametrize("name", NAMES)
def test_its_info_states_are_the_trees(name):
    """Sizes, levels, actions and what led to an info state; rows in pieces as in one."""
    both = pair(name)
    for attribute in ("num_histories", "num_info_states", "max_length", "max_return"):
        assert getattr(both.public, attribute) == getattr(both.tree, attribute)
    for p, (ours, theirs) in enumerate(zip(both.public.players, both.tree.players, strict=True)):
        info_states, sequences = both.info_states[p], both.sequences[p]
        np.testing.assert_array_equal(sorted(info_states), np.arange(ours.num_info_states))
        np.testing.assert_array_equal(ours.level_start, theirs.level_start)
        np.testing.assert_array_equal(ours.action[sequences], theirs.action)
        np.testing.assert_array_equal(ours.parent[info_states], sequences[theirs.parent])
        np.testing.assert_array_equal(
            ours.info_state[sequences[1:]], info_states[theirs.info_state[1:]]
        )
        some = np.arange(ours.num_info_states)[::3]
        np.testing.assert_array_equal(ours.observe(some), ours.observe(slice(None, None, 3)))


@pytest.mark.parametrize("name", [DICE.format(2, 2, "reset-face"), "leduc_poker", "kuhn_poker"])
def test_it_has_both_of_openspiel_s_tensors(name):
    public, tree = public_tree(name, "observation"), games.load(name, observation="observation")
    for p, player in enumerate(public.players):
        seen = np.asarray(tree.players[p].observation, np.float32)
        np.testing.assert_array_equal(player.observe(pair(name).info_states[p]), seen)


@pytest.mark.parametrize("name", NAMES)
def test_exact_quantities_are_the_trees(name):
    both = pair(name)
    for seed in range(2):
        plans = random_plans(both.public, seed)
        theirs = both.of_tree(plans)
        value, gains = both.public.returns_and_gains(plans)
        np.testing.assert_allclose(value, both.tree.returns(theirs), atol=1e-12)
        np.testing.assert_allclose(both.public.returns(plans), value, atol=1e-12)
        for p, of_player in enumerate(both.of_tree(gains)):
            np.testing.assert_allclose(of_player, both.tree.gains(p, theirs), atol=1e-12)
            ours, best = (
                exact.best_response(form, p, x)
                for form, x in ((both.public, plans), (both.tree, theirs))
            )
            assert ours.value == pytest.approx(best.value, abs=1e-12)
            against = list(plans)
            against[p] = ours.plan
            assert both.public.returns(against)[p] == pytest.approx(best.value, abs=1e-12)
        measured, expected = (
            exact.exploitability(both.public, plans),
            exact.exploitability(both.tree, theirs),
        )
        assert measured.nash_conv == pytest.approx(expected.nash_conv, abs=1e-12)


@pytest.mark.parametrize("name", SMALL[2:10:3])
def test_mixtures_and_tables_of_payoffs_are_the_trees(name):
    both = pair(name)
    three, two = random_plans(both.public, 3, 3)[0], random_plans(both.public, 4, 2)[1]
    for plans in ([three, two], [three[:1], two]):
        table = both.public.payoffs(plans)
        np.testing.assert_allclose(table, both.tree.payoffs(both.of_tree(plans)), atol=1e-12)
    mixed = exact.mix(three, np.array([0.2, 0.3, 0.5]))
    gains = [both.public.gains(1, [plan, None]) for plan in three]
    np.testing.assert_allclose(
        both.public.gains(1, [mixed, None]), np.array([0.2, 0.3, 0.5]) @ gains, atol=1e-15
    )
    assert both.public.gains(0, [None, two[0].astype(np.float32)]).dtype == np.float64


def test_values_are_those_of_a_recursion_through_openspiel():
    """Nothing of the tree's arrays: a policy is looked up by OpenSpiel's tensor."""
    name = DICE.format(1, 3, "reset-face")
    form, generator = public_tree(name), np.random.default_rng(7)
    policy, behaviours = {}, []
    for player in form.players:
        behaviour = np.ones(player.num_sequences)
        for i, row in enumerate(player.observe(slice(None))):
            start, stop = player.first_sequence[i], player.first_sequence[i + 1]
            behaviour[start:stop] = generator.dirichlet(np.ones(stop - start))
            policy[row.tobytes()] = dict(
                zip(player.action[start:stop].tolist(), behaviour[start:stop], strict=True)
            )
        behaviours.append(behaviour)

    def value(state):
        if state.is_terminal():
            return state.player_return(0)
        if state.is_chance_node():
            return sum(p * value(state.child(a)) for a, p in state.chance_outcomes())
        tensor = np.array(state.information_state_tensor(), np.float32)
        policy_here = policy[tensor.tobytes()]
        assert list(policy_here) == state.legal_actions()
        return sum(p * value(state.child(a)) for a, p in policy_here.items())

    plans = list(map(exact.realization_plan, form.players, behaviours))
    expected = value(pyspiel.load_game(name).new_initial_state())
    assert form.returns(plans)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "value"),
    [("kuhn_poker", -1 / 18), ("leduc_poker(suit_isomorphism=True)", -0.085606)],
)
def test_cfr_plus_finds_the_values(name, value):
    """-1/18: Kuhn 1950; -0.0856: Southey et al. 2005 and OpenSpiel's tests."""
    form = public_tree(name)
    plans = next(plans for k, plans in enumerate(cfr_plus(form), 1) if k == 300)
    measured = exact.exploitability(form, plans)
    assert measured.nash_conv < 6e-3
    assert abs(measured.value[0] - value) <= measured.nash_conv


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("phantom_ttt", "no public tree holds"),
        ("kuhn_poker(players=3)", "for two players"),
        ("liars_dice(numdice=2,dice_sides=7)", "at most 24 bids"),
        ("leduc_poker(action_mapping=True)", "forget"),
        ("universal_poker(betting=nolimit)", "betting=limit"),
    ],
)
def test_other_games_are_refused(name, words):
    with pytest.raises(games.GameError, match=words):
        public_tree(name)


def test_forms_of_names():
    """A public tree where the game is too large to enumerate, and refused where that is too."""
    assert isinstance(open_form(KUHN.format(ranks=4)), games.GameTree)
    name = "leduc_poker(suit_isomorphism=True)"
    assert isinstance(open_form(name, max_histories=1000), PublicTree)
    for name, words in (
        ("liars_dice(numdice=2,dice_sides=7)", "too large to enumerate.*at most 24 bids"),
        ("no_such_game", "no_such_game"),
    ):
        with pytest.raises(games.GameError, match=words):
            open_form(name, max_histories=1000)
    with pytest.raises(games.GameError, match=r"10,000,000,000 sequences, which take 317 GiB"):
        check_memory("large", 10**10)


def test_cfr_plus_is_measured_without_a_run(capsys):
    cli.main(["eval", "cfr+", "--game", "kuhn_poker", "--cfr-iterations", "100", "--json"])
    measured = json.loads(capsys.readouterr().out)
    assert measured["policy"] == "cfr+" and measured["nash_conv"] < 0.01
    assert abs(measured["value"][0] + 1 / 18) < 0.01
    with pytest.raises(SystemExit) as refusal:
        cli.main(["eval", "cfr+", "--game", "kuhn_poker", "--cfr-iterations", "0"])
    assert refusal.value.code == 2 and "at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("name", [
    "liars_dice(numdice=1,dice_sides=3)",
    pytest.param("leduc_poker", marks=pytest.mark.slow),
])  # fmt: skip
def test_a_device_gives_the_same_gains(name):
    form = public_tree(name)
    device = DevicePublicTree(form, "cpu", chunk=5)
    plans = random_plans(form, 0)
    value, gains = form.returns_and_gains(plans)
    device_value, device_gains = device.returns_and_gains(plans)
    np.testing.assert_allclose(device_value, value, atol=1e-9)
    for own, expected in zip(device_gains, gains, strict=True):
        np.testing.assert_allclose(own, expected, atol=1e-9)
    measured = exact.exploitability(form, uniform(form))
    on_device = device.uniform_exploitability()
    np.testing.assert_allclose(on_device.value, measured.value, atol=1e-9)
    np.testing.assert_allclose(
        on_device.best_response_value, measured.best_response_value, atol=1e-9
    )
