"""The exact engine: against OpenSpiel's C++, against brute force, and against the literature."""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pyspiel
import pytest
from open_spiel.python.algorithms import best_response, expected_game_score

import games
from games.readers import openspiel
from games.tree import GameTree, PlayerTree
from psro import exact

GOOFSPIEL = "goofspiel(imp_info=True,num_cards=4,points_order=descending)"
SMALL = [
    "kuhn_poker",
    "kuhn_poker(players=3)",
    "leduc_poker",
    GOOFSPIEL,
    "matrix_rps",
    "matrix_bos",
    "tiny_hanabi",
]
LARGE = [
    "tiny_bridge_2p",
    pytest.param("liars_dice(numdice=1)", marks=pytest.mark.slow),  # C++ takes 5 s and more
]

HERE = Path(__file__).parent
WIDER = [
    "kuhn_poker(players=3)",
    "kuhn_poker(players=4)",
    pytest.param("leduc_poker(players=3,suit_isomorphism=True)", marks=pytest.mark.slow),
    "goofspiel(players=3,num_cards=3,imp_info=True,points_order=descending)",
    "sheriff(max_bribe=2,max_items=2,num_rounds=2)",
    pytest.param("sheriff", marks=pytest.mark.slow),
    "bargaining(max_num_instances=4,max_turns=2)",
    pytest.param("bargaining(max_turns=1)", marks=pytest.mark.slow),
    "first_sealed_auction(max_value=4)",
    "first_sealed_auction(players=3,max_value=3)",
    pytest.param("first_sealed_auction", marks=pytest.mark.slow),
    "tiny_hanabi",
    "trade_comm(num_items=2)",
    "lewis_signaling",
    "matching_pennies_3p",
    "matrix_shapleys_game",
    "oshi_zumo(coins=3,size=1,horizon=4)",
    "battleship(board_width=2,board_height=2,ship_sizes=[1],ship_values=[1],num_shots=2,"
    "allow_repeated_shots=False)",
    "blotto(coins=5,fields=3)",
    "blotto(coins=3,fields=2,players=3)",
    "nim(pile_sizes=1;2)",
    "normal_form_extensive_game(game=kuhn_poker())",
    "repeated_game(stage_game=matrix_pd(),num_repetitions=2)",
    "repeated_game(stage_game=matching_pennies_3p(),num_repetitions=2)",
    f"{HERE / 'lopsided.efg'}",
    f"{HERE / 'entry.efg'}",
    f"{HERE / 'three.nfg'}",
]

load = cache(games.load)


def random_behaviour(player: PlayerTree, seed: int, *, zeros: float = 0.0) -> np.ndarray:
    """Dirichlet(1) at every info state; a share of `zeros` of the actions is never played."""
    generator = np.random.default_rng(seed)
    result = np.ones(player.num_sequences)
    for i in range(player.num_info_states):
        start, stop = player.first_sequence[i : i + 2]
        weight = generator.dirichlet(np.ones(stop - start))
        kept = generator.random(stop - start) >= zeros
        if kept.any():
            weight = weight * kept
        result[start:stop] = weight / weight.sum()
    return result


def random_pure(player: PlayerTree, seed: int) -> np.ndarray:
    """One action at every info state, uniformly at random."""
    generator = np.random.default_rng(seed)
    result = np.zeros(player.num_sequences)
    result[0] = 1
    for start, stop in itertools.pairwise(player.first_sequence):
        result[generator.integers(start, stop)] = 1
    return result


def random_profile(tree: GameTree, seed: int, **options) -> list[np.ndarray]:
    return [random_behaviour(p, 10 * seed + q, **options) for q, p in enumerate(tree.players)]


def to_plans(tree: GameTree, behaviours) -> list[np.ndarray]:
    return [exact.realization_plan(p, b) for p, b in zip(tree.players, behaviours, strict=True)]


def random_plans(tree: GameTree, player: int, count: int, seed: int) -> np.ndarray:
    """`[count, S_p]`"""
    mine = tree.players[player]
    return np.stack(
        [
            exact.realization_plan(mine, random_behaviour(mine, 1000 * seed + 10 * k + player))
            for k in range(count)
        ]
    )


def openspiel_policy(tree: GameTree, behaviours) -> dict[str, list[tuple[int, float]]]:
    """What OpenSpiel's C++ takes: (action, probability) by information state string."""
    return {
        name: [(int(player.action[s]), float(behaviour[s])) for s in range(start, stop)]
        for player, behaviour in zip(tree.players, behaviours, strict=True)
        for name, (start, stop) in zip(
            player.keys, itertools.pairwise(player.first_sequence), strict=True
        )
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SMALL)
def test_nash_conv_and_returns_are_openspiel_s(name, seed):
    against_openspiel(name, random_profile(load(name), seed))


@pytest.mark.parametrize("name", ["leduc_poker", GOOFSPIEL])
def test_unreached_info_states_change_nothing(name):
    """Where a policy never goes, what it would do there does not count; nor does OpenSpiel."""
    against_openspiel(name, random_profile(load(name), 0, zeros=0.4))


@pytest.mark.parametrize("name", LARGE)
def test_larger_games_are_openspiel_s_too(name):
    against_openspiel(name, random_profile(load(name), 0))


def against_openspiel(name: str, behaviours: list[np.ndarray]) -> None:
    tree, game = load(name), pyspiel.load_game_as_turn_based(name)
    ours = exact.exploitability(tree, to_plans(tree, behaviours))
    theirs = openspiel_policy(tree, behaviours)
    values = pyspiel.expected_returns(
        game.new_initial_state(), pyspiel.TabularPolicy(theirs), -1, True
    )
    np.testing.assert_allclose(ours.value, values, atol=1e-9)
    assert ours.nash_conv == pytest.approx(pyspiel.nash_conv(game, theirs), abs=1e-9)
    assert ours.exploitability == pytest.approx(ours.nash_conv / tree.num_players)
    assert ours.nash_conv > 0


@pytest.mark.parametrize("name", [*SMALL, "tiny_bridge_2p"])
def test_best_response_values_are_openspiel_s(name):
    """Player by player: a sum may hide two errors."""
    tree, game = load(name), pyspiel.load_game_as_turn_based(name)
    behaviours = random_profile(tree, 7)
    ours = exact.exploitability(tree, to_plans(tree, behaviours)).best_response_value
    theirs = openspiel_policy(tree, behaviours)
    for player in range(1 if name == "tiny_bridge_2p" else tree.num_players):
        reference = pyspiel.TabularBestResponse(game, player, theirs)
        assert ours[player] == pytest.approx(
            reference.value_from_state(game.new_initial_state()), abs=1e-9
        )


@pytest.mark.parametrize("name", WIDER)
@pytest.mark.parametrize("seed", [None, 11])
def test_every_player_s_returns_and_best_response_are_openspiel_s(name, seed):
    """Three and four players, common interests, auctions, bargaining, signalling, files: general
    payoffs, uniform play and random."""
    tree, game = load(name), openspiel.load_openspiel(name)
    behaviours = (
        [exact.uniform_behaviour(player) for player in tree.players]
        if seed is None
        else random_profile(tree, seed)
    )
    ours = exact.exploitability(tree, to_plans(tree, behaviours))
    root = game.new_initial_state()
    if tree.identity == "string":
        theirs = openspiel_policy(tree, behaviours)
        values = pyspiel.expected_returns(root, pyspiel.TabularPolicy(theirs), -1, True)
        best = [
            pyspiel.TabularBestResponse(game, player, theirs).value_from_state(root)
            for player in range(tree.num_players)
        ]
    else:  # their C++ goes by strings that these games do not have
        policy = games.TreePolicy(tree, dict(enumerate(behaviours)))
        values = expected_game_score.policy_value(root, [policy] * tree.num_players)
        best = [
            BestResponseByHistory(game, player, policy).value(root)
            for player in range(tree.num_players)
        ]
    np.testing.assert_allclose(ours.value, values, atol=1e-9)
    np.testing.assert_allclose(ours.best_response_value, best, atol=1e-9)


class BestResponseByHistory(best_response.BestResponsePolicy):
    """OpenSpiel's Python best response, in a game that has no information states: told apart by
    all that the player has seen and done."""

    def _info_state(self, state) -> tuple:
        seen, before = [], self._root_state.clone()
        for action in state.history():
            if before.current_player() == self._player_id:
                seen.append((before.observation_string(self._player_id), action))
            before.apply_action(action)
        return (*seen, state.observation_string(self._player_id))

    def info_sets(self, state) -> dict:
        found = defaultdict(list)
        for node, reach in self.decision_nodes(state):
            found[self._info_state(node)].append((node, reach))
        return found

    def value(self, state) -> float:
        if state.is_terminal():
            return state.player_return(self._player_id)
        if state.current_player() == self._player_id:
            return self.q_value(state, self.best_response_action(self._info_state(state)))
        return sum(p * self.q_value(state, action) for action, p in self.transitions(state))


@pytest.mark.parametrize(
    "name, nash_conv, digits",
    [
        ("kuhn_poker", 11 / 12, 1e-12),  # OpenSpiel's exploitability_test.py
        ("leduc_poker", 4.747222222222222, 1e-9),  # 4.7472 there
        ("matrix_rps", 0.0, 1e-12),
    ],
)
def test_uniform_play_has_the_known_nash_conv(name, nash_conv, digits):
    tree = load(name)
    plans = to_plans(tree, [exact.uniform_behaviour(player) for player in tree.players])
    assert exact.exploitability(tree, plans).nash_conv == pytest.approx(nash_conv, abs=digits)


def kuhn_equilibrium(tree: GameTree, alpha: float) -> list[np.ndarray]:
    """Kuhn (1950), "Simplified two-person poker": all equilibria, by the first player's bluffing
    frequency alpha in [0, 1/3]. Names are the card and what was played: pass, bet."""
    bet = {
        **{"0": alpha, "1": 0, "2": 3 * alpha, "0pb": 0, "1pb": alpha + 1 / 3, "2pb": 1},
        **{"0p": 1 / 3, "1p": 0, "2p": 1, "0b": 0, "1b": 1 / 3, "2b": 1},
    }
    behaviours = []
    for player in tree.players:
        behaviour = np.ones(player.num_sequences)
        for s in range(1, player.num_sequences):
            share = bet[player.names[player.info_state[s]]]
            behaviour[s] = share if player.action[s] == 1 else 1 - share
        behaviours.append(behaviour)
    return behaviours


@pytest.mark.parametrize("alpha", [0, 0.1, 0.2, 1 / 3])
def test_kuhn_s_equilibria_have_nash_conv_zero_and_value_minus_one_18th(alpha):
    tree = load("kuhn_poker")
    ours = exact.exploitability(tree, to_plans(tree, kuhn_equilibrium(tree, alpha)))
    assert ours.nash_conv == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(ours.value, [-1 / 18, 1 / 18], atol=1e-12)
    np.testing.assert_allclose(ours.best_response_value, [-1 / 18, 1 / 18], atol=1e-12)


def test_bluffing_more_than_a_third_is_no_equilibrium():
    """Otherwise the test above could pass for lack of any gain to be found."""
    tree = load("kuhn_poker")
    behaviours = kuhn_equilibrium(tree, 1 / 3)
    first = tree.players[0]
    always = [s for s in range(1, first.num_sequences) if first.names[first.info_state[s]] == "0"]
    for s in always:
        behaviours[0][s] = first.action[s] == 1
    assert exact.exploitability(tree, to_plans(tree, behaviours)).nash_conv > 0.01


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("zeros", [0.0, 0.5])
def test_a_plan_gives_its_behaviour_back(name, zeros):
    """Where the plan arrives; elsewhere it says nothing and the behaviour is uniform."""
    for seat, player in enumerate(load(name).players):
        behaviour = random_behaviour(player, seat, zeros=zeros)
        plan = exact.realization_plan(player, behaviour)
        back = exact.behaviour(player, plan)
        reached = plan[player.parent[player.info_state[1:]]] > 0
        np.testing.assert_allclose(back[1:][reached], behaviour[1:][reached], atol=1e-12)
        np.testing.assert_allclose(
            back[1:][~reached], exact.uniform_behaviour(player)[1:][~reached], atol=0
        )
        np.testing.assert_allclose(exact.realization_plan(player, back), plan, atol=1e-12)
        if zeros == 0:
            assert reached.all()


@pytest.mark.parametrize("name", SMALL)
def test_a_plan_is_a_flow(name):
    """von Stengel (1996), eq. 2.1 and 2.2: the shares of an info state add up to its parent's."""
    for seat, player in enumerate(load(name).players):
        plan = exact.realization_plan(player, random_behaviour(player, seat))
        assert plan[0] == 1
        outgoing = np.add.reduceat(plan, player.first_sequence[:-1])
        np.testing.assert_allclose(outgoing, plan[player.parent], atol=1e-12)


def test_leading_axes_are_batches():
    player = load("leduc_poker").players[0]
    many = np.stack([random_behaviour(player, seed) for seed in range(6)])
    one_by_one = np.stack([exact.realization_plan(player, each) for each in many])
    batched = exact.realization_plan(player, many.reshape(2, 3, -1))
    np.testing.assert_array_equal(batched, one_by_one.reshape(2, 3, -1))
    np.testing.assert_array_equal(
        exact.behaviour(player, batched), exact.behaviour(player, one_by_one).reshape(2, 3, -1)
    )


@pytest.mark.parametrize("name", ["kuhn_poker", "kuhn_poker(players=3)", "leduc_poker"])
def test_a_mixture_is_worth_the_average_of_its_members(name):
    """Every player draws one policy for the episode: the profile's table, weighted."""
    tree, generator = load(name), np.random.default_rng(5)
    plans = [random_plans(tree, p, 3, seed=1) for p in range(tree.num_players)]
    weights = [generator.dirichlet(np.ones(3)) for _ in plans]
    expected = np.zeros(tree.num_players)
    for profile in itertools.product(range(3), repeat=tree.num_players):
        share = np.prod([w[k] for w, k in zip(weights, profile, strict=True)])
        members = [each[k] for each, k in zip(plans, profile, strict=True)]
        expected += share * exact.returns(tree, members)
    mixture = [exact.mix(each, w) for each, w in zip(plans, weights, strict=True)]
    np.testing.assert_allclose(exact.returns(tree, mixture), expected, atol=1e-12)


def test_averaging_action_probabilities_is_another_policy():
    """Kuhn poker, first player: half "pass, then fold", half "bet", against one who always bets.

    By hand: passing and folding loses 1, betting and being called wins 0 on average, so the
    mixture gets -1/2. Averaged action probabilities call half of the time after a pass, worth 0
    instead of -1: 1/2 (-1/2) + 1/2 (0) = -1/4.
    """
    tree = load("kuhn_poker")
    first, second = tree.players
    passes, bets = (np.where(first.action == a, 1.0, 0.0) for a in (0, 1))
    passes[0] = bets[0] = 1
    always_bets = np.where(second.action == 1, 1.0, 0.0)
    always_bets[0] = 1
    opponent = exact.realization_plan(second, always_bets)
    members = np.stack([exact.realization_plan(first, each) for each in (passes, bets)])
    mixture = exact.mix(members, np.array([0.5, 0.5]))
    averaged = exact.realization_plan(first, (passes + bets) / 2)
    assert exact.returns(tree, [mixture, opponent])[0] == pytest.approx(-1 / 2)
    assert exact.returns(tree, [averaged, opponent])[0] == pytest.approx(-1 / 4)


@pytest.mark.parametrize("name", SMALL)
def test_a_best_response_gets_its_value_and_nothing_beats_it(name):
    tree = load(name)
    plans = to_plans(tree, random_profile(tree, 2))
    for player, mine in enumerate(tree.players):
        best = exact.best_response(tree, player, plans)

        def value_of(plan, player=player):
            return exact.returns(tree, [*plans[:player], plan, *plans[player + 1 :]])[player]

        assert value_of(best.plan) == pytest.approx(best.value, abs=1e-12)
        assert set(np.unique(best.plan)) <= {0.0, 1.0}
        np.testing.assert_array_equal(
            np.add.reduceat(best.plan, mine.first_sequence[:-1]), best.plan[mine.parent]
        )
        for seed in range(50):
            pure = exact.realization_plan(mine, random_pure(mine, seed))
            assert value_of(pure) <= best.value + 1e-12
        assert value_of(plans[player]) <= best.value + 1e-12


@pytest.mark.parametrize("player", [0, 1])
def test_a_best_response_beats_every_pure_policy_of_kuhn_poker(player):
    """All 64 of them: six info states with two actions."""
    tree = load("kuhn_poker")
    mine, plans = tree.players[player], to_plans(tree, random_profile(tree, 4))
    values = []
    for actions in itertools.product([0, 1], repeat=mine.num_info_states):
        chosen = np.array(actions)[mine.info_state] == mine.action
        chosen[0] = True
        pure = exact.realization_plan(mine, chosen.astype(float))
        values.append(exact.returns(tree, [*plans[:player], pure, *plans[player + 1 :]])[player])
    assert exact.best_response(tree, player, plans).value == pytest.approx(max(values), abs=1e-14)


def test_a_best_response_ignores_the_player_s_own_plan():
    tree = load("leduc_poker")
    plans, others = (to_plans(tree, random_profile(tree, seed)) for seed in (0, 1))
    first = exact.best_response(tree, 0, plans)
    second = exact.best_response(tree, 0, [others[0], plans[1]])
    assert first.value == second.value
    np.testing.assert_array_equal(first.plan, second.plan)


@pytest.mark.parametrize("name", ["kuhn_poker", "leduc_poker", "kuhn_poker(players=3)"])
def test_ties_go_to_the_first_action(name):
    """In a game where nothing matters, everything is a tie."""
    tree = load(name)
    tree = dataclasses.replace(tree, terminal_returns=np.zeros_like(tree.terminal_returns))
    plans = to_plans(tree, random_profile(tree, 0))
    for player, mine in enumerate(tree.players):
        best = exact.best_response(tree, player, plans)
        assert best.value == 0
        first = np.zeros(mine.num_sequences)
        first[0] = 1
        first[mine.first_sequence[:-1]] = 1
        np.testing.assert_array_equal(best.plan, exact.realization_plan(mine, first))


@pytest.mark.parametrize(
    "name, counts",
    [
        ("kuhn_poker", (3, 4)),
        ("kuhn_poker", (4, 1)),
        ("leduc_poker", (2, 2)),
        ("matrix_bos", (2, 3)),
        ("kuhn_poker(players=3)", (2, 3, 2)),
        ("kuhn_poker(players=3)", (1, 2, 3)),
        ("kuhn_poker(players=3)", (3, 1, 2)),
    ],
)
def test_payoffs_are_returns_cell_by_cell(name, counts):
    tree = load(name)
    plans = [random_plans(tree, p, count, seed=3) for p, count in enumerate(counts)]
    table = exact.payoffs(tree, plans)
    assert table.shape == (tree.num_players, *counts)
    for profile in np.ndindex(*counts):
        members = [each[k] for each, k in zip(plans, profile, strict=True)]
        np.testing.assert_allclose(
            table[(slice(None), *profile)], exact.returns(tree, members), atol=1e-12
        )


def test_no_policies_no_payoffs():
    tree = load("kuhn_poker")
    plans = [random_plans(tree, 0, 2, seed=0), np.zeros((0, tree.players[1].num_sequences))]
    assert exact.payoffs(tree, plans).shape == (2, 2, 0)


def test_a_player_that_never_moves_has_nothing_to_gain():
    """The turn passes after one roll in Pig, so with a horizon of one only the first one plays."""
    tree = load("pig(horizon=1)")
    assert tree.players[1].num_info_states == 0
    plans = to_plans(tree, [exact.uniform_behaviour(player) for player in tree.players])
    ours = exact.exploitability(tree, plans)
    assert ours.value[1] == ours.best_response_value[1]
