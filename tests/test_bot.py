"""Bots play what was tabulated, in every state and through OpenSpiel's own evaluation."""

import pickle
from pathlib import Path

import numpy as np
import pyspiel
import pytest

import games
import psro
from games.readers import openspiel
from psro import exact
from psro.oracles import ConditionalConfig, DistillConfig
from psro.policies.bot import PopulationBot
from psro.policies.policy import Tabulator

GOOFSPIEL = "goofspiel(imp_info=True,num_cards=3,points_order=descending)"
RUNS = {
    "kuhn": {"game": "kuhn_poker"},
    "three": {"game": "kuhn_poker(players=3)", "meta_solver": "mgcce", "cell": "gru"},
    "leduc": {"game": "leduc_poker"},
    "table": {"game": "leduc_poker", "oracle": "best_response", "iterations": 4},
    "symmetric": {"game": GOOFSPIEL, "symmetric": True, "oracle": "best_response"},
    "conditional": {
        "game": "kuhn_poker",
        "oracle": "conditional",
        "expansion": "hierarchy",
        "conditional": ConditionalConfig(steps=20),
    },
    "several": {"game": "leduc_poker", "expansion": "rectified", "oracle": "best_response"},
    "extensive": {"game": "kuhn_poker", "expansion": "extensive"},
    "history": {"game": "pig(horizon=3)", "oracle": "best_response"},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    runs = {}

    def run(name):
        if name not in runs:
            settings = {"oracle": "distill", "iterations": 2, "hidden_size": 8} | RUNS[name]
            config = psro.RunConfig(**settings, tolerance=0.0, distill=DistillConfig(steps=20))
            runs[name] = psro.run(config, tmp_path_factory.mktemp("runs") / name)
        return runs[name]

    return run


def decisions(game):
    """Every state in which a player decides."""
    waiting = [game.new_initial_state()]
    while waiting:
        state = waiting.pop()
        if state.is_player_node():
            yield state
        waiting += [state.child(action) for action in state.legal_actions()]


def bot_of(experiment, player, weights, seed=0):
    """The bot of an experiment, with another meta-strategy."""
    return PopulationBot(
        tree=experiment.tree,
        player=player,
        policy=experiment.policy_network,
        params=experiment.populations[player],
        weights=weights,
        plans=experiment.plans[player],
        seed=seed,
    )


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "leduc" else n for n in RUNS]
)
def test_action_probabilities_are_the_tabulated_ones_in_every_state(trained, name):
    """Of the last policy, in an order in which most states are in another game than the one before;
    and again from a fresh start in every state."""
    experiment = trained(name)
    tree, last = experiment.tree, experiment.records[-1].size - 1
    policies = experiment._last.population.policies(last)
    behaviours = Tabulator(experiment.policy_network, tree)(policies)
    weights = np.eye(last + 1)[last]
    bots = [bot_of(experiment, p, weights) for p in range(tree.num_players)]
    index = games.InfoStateIndex(tree, range(tree.num_players))
    met = [set() for _ in bots]
    states = list(decisions(index.game))
    for number, state in enumerate(states):
        player = state.current_player()
        bot, mine = bots[player], tree.players[player]
        info_state = index.info_state(state, player)
        met[player].add(info_state)
        first, stop = mine.first_sequence[info_state : info_state + 2]
        if number % 3 == 0:
            bot.restart_at(state)
        policy = bot.get_policy(state)
        assert [action for action, _ in policy] == state.legal_actions()
        np.testing.assert_allclose(
            [probability for _, probability in policy], behaviours[player][first:stop], atol=1e-5
        )
        assert bot.get_policy(state) == policy  # asking twice changes nothing
    assert [len(each) for each in met] == [each.num_info_states for each in tree.players]


@pytest.mark.parametrize("name", ["leduc", "table", "three"])
def test_one_network_step_for_each_own_decision(trained, name):
    experiment = trained(name)
    bot, other = experiment.bot(0, 1), experiment.bot(1, 2)
    steps, act = [], bot._act
    bot._act = lambda *inputs: steps.append(inputs) or act(*inputs)
    rng, asked = np.random.default_rng(0), 0
    for _ in range(20):
        state = openspiel.load_openspiel(experiment.tree.name).new_initial_state()
        bot.restart()
        while not state.is_terminal():
            if state.current_player() == 0:
                asked += 1
                state.apply_action(bot.step(state))
            elif state.current_player() == 1:
                state.apply_action(other.step(state))
            else:
                state.apply_action(int(rng.choice(state.legal_actions())))
    assert len(steps) == asked > 20


@pytest.mark.parametrize(
    "name", ["kuhn", "leduc", "three", "table", "several", "extensive", "symmetric"]
)
def test_openspiel_s_evaluation_finds_the_exact_value(trained, name):
    """The mean return over games within 4 standard errors; policies with equal weights, so that
    they are drawn anew for each game."""
    experiment = trained(name)
    tree = experiment.tree
    weights = [np.full(len(each), 1 / len(each)) for each in experiment.plans]
    value = exact.returns(
        tree, [exact.mix(plan, w) for plan, w in zip(experiment.plans, weights, strict=True)]
    )
    seats = range(tree.num_players)
    bots = [bot_of(experiment, p, weights[p], seed=p) for p in seats]
    game = pyspiel.load_game(tree.name)  # for some, with simultaneous moves
    drawn, returns = [], []
    for seed in range(800):
        returns.append(pyspiel.evaluate_bots(game.new_initial_state(), bots, seed))
        drawn.append([bot.drawn for bot in bots])
    error = np.std(returns, axis=0) / np.sqrt(len(returns))
    assert (error > 0).all()
    assert (np.abs(np.mean(returns, axis=0) - value) < 4 * error).all()
    counts = np.array(
        [np.bincount([d[p] for d in drawn], minlength=len(weights[p])) for p in seats]
    )
    share = 1 / len(weights[0])
    assert (np.abs(counts / len(drawn) - share) < 4 * np.sqrt(share / len(drawn))).all()


def test_a_bot_that_joins_late_plays_the_mixture(trained):
    """Restarted at every own decision it may play another policy each time, and yet the actions'
    probabilities, over its draws, are those of the mixed realization plan."""
    experiment = trained("leduc")
    tree, player = experiment.tree, 1
    weights = np.full(len(experiment.plans[player]), 1 / len(experiment.plans[player]))
    bot = bot_of(experiment, player, weights, seed=3)
    mixture = exact.mix(experiment.plans[player], weights)
    behaviour = exact.behaviour(tree.players[player], mixture)
    index = games.InfoStateIndex(tree, [player])
    rng = np.random.default_rng(0)
    mine = [s for s in decisions(index.game) if s.current_player() == player]
    deep = [s for s in mine if index.sequence(s, player) > 0]
    for number in rng.choice(len(deep), 6, replace=False):
        state = deep[number]
        info_state = index.info_state(state, player)
        first, stop = tree.players[player].first_sequence[info_state : info_state + 2]
        if mixture[tree.players[player].parent[info_state]] == 0:
            continue
        played = []
        for _ in range(300):
            bot.restart_at(state)
            played.append([probability for _, probability in bot.get_policy(state)])
        expected = behaviour[first:stop]
        error = np.sqrt(expected * (1 - expected) / len(played))  # at most
        assert (np.abs(np.mean(played, axis=0) - expected) <= 4 * error + 1e-5).all()


def test_bots_are_repeatable_and_draw_by_weight(trained):
    experiment = trained("kuhn")

    def games_of(seed):
        bots = [bot_of(experiment, p, np.full(3, 1 / 3), seed + p) for p in range(2)]
        game = pyspiel.load_game("kuhn_poker")
        return [pyspiel.evaluate_bots(game.new_initial_state(), bots, s) for s in range(30)]

    assert games_of(0) == games_of(0) != games_of(5)
    bot = bot_of(experiment, 0, np.eye(3)[2])
    for _ in range(5):
        bot.restart()
        assert bot.drawn == 2


def test_a_bot_says_to_openspiel_that_it_tells_its_policy(trained):
    experiment = trained("kuhn")
    bot = experiment.bot(0, 0)
    assert bot.provides_policy()
    state = openspiel.load_openspiel("kuhn_poker").new_initial_state()
    for card in (0, 1):
        state.apply_action(card)
    for number in range(len(experiment.plans[0])):
        bot.restart_as(number)
        told, action = bot.step_with_policy(state)
        assert bot.drawn == number and action in dict(told)
        mine, plan = experiment.tree.players[0], experiment.plans[0][number]
        at = mine.names.index(state.information_state_string(0))
        start, stop = mine.first_sequence[at : at + 2]
        np.testing.assert_allclose(list(dict(told).values()), plan[start:stop], atol=1e-5)


def test_what_is_not_in_the_game_is_refused(trained):
    experiment = trained("kuhn")
    with pytest.raises(ValueError, match="player 2 of a game for 2"):
        experiment.bot(2, 0)
    state = pyspiel.load_game("leduc_poker").new_initial_state()
    for action in (0, 1):
        state.apply_action(action)
    with pytest.raises(KeyError):
        experiment.bot(0, 0).step(state)


@pytest.mark.parametrize("name", ["kuhn_ppo", "kuhn_neupl", "matrix_exact"])
def test_policies_and_bots_are_pickled(name):
    """As `multiprocessing` needs it: equal probabilities, also in the middle of a game."""
    run = psro.load(Path(__file__).parent / "data" / "format_3" / name)
    policy = run.policy()
    copied = pickle.loads(pickle.dumps(policy))
    bot = run.bot(0, seed=1)
    state, decided = policy._index.game.new_initial_state(), 0
    while not state.is_terminal():
        if state.is_chance_node():
            state.apply_action(state.legal_actions()[0])
            continue
        assert copied.action_probabilities(state) == policy.action_probabilities(state)
        if state.current_player() == 0:
            other = pickle.loads(pickle.dumps(bot))
            assert other.drawn == bot.drawn
            assert other.step_with_policy(state) == bot.step_with_policy(state)
            decided += 1
        state.apply_action(0)
    assert decided
