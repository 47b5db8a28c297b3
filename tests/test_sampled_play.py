"""Runs that are measured by episodes, at OpenSpiel's table: policies, bots, matches and replays."""

import io
import json
import pickle

import numpy as np
import pyspiel
import pytest
import rich.console

import games
import psro
from games.readers.states import Way
from psro import exact
from psro.measure import replay
from psro.oracles import PPOConfig
from psro.play import page as match_page
from psro.play import terminal
from psro.play.match import Match
from psro.policies.policy import Tabulator
from psro.runs import folder
from psro.views.page import episodes

GOOFSPIEL = "goofspiel(imp_info=True,num_cards=3,points_order=descending)"
RUNS = {
    "kuhn": {"game": "kuhn_poker", "backend": "tree", "iterations": 2},
    "native": {"game": "leduc_poker", "backend": "native"},
    "hosted": {"game": "kuhn_poker(players=3)", "backend": "openspiel", "cell": "gru"},
    "turns": {"game": GOOFSPIEL, "backend": "openspiel"},
    "file": {"game": "tests/entry.efg"},
    "phantom": {"game": "phantom_ttt", "backend": "native"},
    "hex": {"game": "dark_hex(num_rows=2,num_cols=3)", "backend": "native"},
    "negotiation": {"game": "negotiation"},
}
SMALL = ["kuhn", "native", "hosted", "turns", "file"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Tiny runs; uniform, so that several policies count."""
    runs = {}

    def run(name):
        if name not in runs:
            settings = {"iterations": 1, "hidden_size": 8, "meta_solver": "uniform"} | RUNS[name]
            config = psro.RunConfig(
                **settings,
                evaluation="sampled",
                payoff_episodes=128,
                payoff_error=1.0,
                ppo=PPOConfig(decisions=512, num_envs=16, rollout_length=8, learning_rate=0.03),
            )
            runs[name] = psro.run(config, tmp_path_factory.mktemp("runs") / name)
        return runs[name]

    return run


def behaviours(experiment):
    """The tree, and the same mixture by its realization plans: the exact behaviour, `[P][S_p]`."""
    tree = games.load(experiment.config.game)
    tabulate = Tabulator(experiment.policy_network, tree)
    population = experiment._last.population
    plans = [
        [exact.realization_plan(tree.players[p], behaviour) for p, behaviour in enumerate(both)]
        for both in (tabulate(population.policies(k)) for k in range(population.size))
    ]
    mixed = [
        exact.mix(np.stack(own), w)
        for own, w in zip(zip(*plans, strict=True), experiment.meta_strategy, strict=True)
    ]
    return tree, [exact.behaviour(tree.players[p], plan) for p, plan in enumerate(mixed)]


def decisions(game):
    """Every state in which a player decides."""
    waiting = [game.new_initial_state()]
    while waiting:
        state = waiting.pop()
        if state.is_player_node():
            yield state
        waiting += [state.child(action) for action in state.legal_actions()]


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in ("file", "turns") else n for n in SMALL],
)
def test_policies_are_the_mixed_realization_plans_in_every_state(trained, name):
    experiment = trained(name)
    tree, expected = behaviours(experiment)
    index = games.InfoStateIndex(tree, range(tree.num_players))
    policy, copy = experiment.policy(), pickle.loads(pickle.dumps(experiment.policy(0)))
    met = [set() for _ in tree.players]
    for state in decisions(index.game):
        player = state.current_player()
        info_state = index.info_state(state, player)
        if info_state in met[player]:
            continue
        met[player].add(info_state)
        first, stop = tree.players[player].first_sequence[info_state : info_state + 2]
        got = policy.action_probabilities(state)
        assert list(got) == state.legal_actions()
        np.testing.assert_allclose(list(got.values()), expected[player][first:stop], atol=1e-5)
        if player == 0:
            assert copy.action_probabilities(state, 0) == got
        else:
            with pytest.raises(KeyError, match="not for player"):
                copy.action_probabilities(state)
    assert [len(states) for states in met] == [own.num_info_states for own in tree.players]


def test_action_probabilities_are_not_averaged(trained):
    """The test above would see the difference."""
    experiment = trained("kuhn")
    tree, expected = behaviours(experiment)
    population = experiment._last.population
    naive = np.mean(
        [
            np.concatenate(Tabulator(experiment.policy_network, tree)(population.policies(k)))
            for k in range(population.size)
        ],
        axis=0,
    )
    assert np.abs(naive - np.concatenate(expected)).max() > 1e-3


@pytest.mark.parametrize("name", ["kuhn", "hosted", "turns"])
def test_bots_play_one_policy_and_step_it_once_for_each_own_decision(trained, name):
    """Also in OpenSpiel's own games, some with simultaneous moves; two games by turns; a copy in
    the middle of a game goes on alike."""
    experiment = trained(name)
    tree = games.load(experiment.config.game)
    bots = [experiment.bot(p, p) for p in range(tree.num_players)]
    drawn = [bot.drawn for bot in bots]
    tabulate = Tabulator(experiment.policy_network, tree)
    table = [tabulate(experiment._last.population.policies(k))[p] for p, k in enumerate(drawn)]
    index = games.InfoStateIndex(tree, range(tree.num_players))
    steps, step = [], bots[0]._step
    bots[0]._step = lambda *inputs: steps.append(inputs) or step(*inputs)
    rng, asked = np.random.default_rng(0), 0
    game = pyspiel.load_game(tree.name)
    for number in range(12):
        state = game.new_initial_state()
        for bot in bots:
            bot.restart_as(drawn[bot.player])
        while not state.is_terminal():
            if state.is_chance_node():
                state.apply_action(int(rng.choice(state.legal_actions())))
                continue
            simultaneous = state.is_simultaneous_node()
            movers = range(tree.num_players) if simultaneous else [state.current_player()]
            actions = []
            for p in movers:
                got = dict(bots[p].get_policy(state))
                info_state = index.info_state(state, p)
                first, stop = tree.players[p].first_sequence[info_state : info_state + 2]
                assert list(got) == state.legal_actions(p)
                np.testing.assert_allclose(list(got.values()), table[p][first:stop], atol=1e-5)
                asked += p == 0
                actions.append(bots[p].step(state))
            if p and not number:
                copy = pickle.loads(pickle.dumps(bots[p]))
                assert copy.get_policy(state) == bots[p].get_policy(state)
                assert [copy.step(state) for _ in range(9)] == [
                    bots[p].step(state) for _ in range(9)
                ]
            state.apply_actions(actions) if simultaneous else state.apply_action(actions[0])
    assert len(steps) == asked > 10


def test_a_bot_that_joins_late_draws_from_the_posterior(trained):
    """Over its draws it plays as `policy()`: within 4 standard errors of 300."""
    experiment = trained("kuhn")
    bot, policy = experiment.bot(0, 7), experiment.policy(0)
    late = [s for s in decisions(pyspiel.load_game("kuhn_poker")) if len(s.history()) == 4]
    for state in late[:3]:
        played = []
        for _ in range(300):
            bot.restart_at(state)
            played.append([probability for _, probability in bot.get_policy(state)])
        expected = np.array(list(policy.action_probabilities(state).values()))
        error = np.sqrt(expected * (1 - expected) / len(played))  # at most
        assert (np.abs(np.mean(played, axis=0) - expected) <= 4 * error + 1e-5).all()


@pytest.mark.slow
def test_where_chance_is_hidden_a_player_is_asked_at_each_decision(trained):
    experiment = trained("negotiation")
    states, bots = experiment.setup.states, [experiment.bot(p, p) for p in range(2)]

    def first(seed):
        state = states.new_state(seed)
        state.apply_action(state.legal_actions()[0])  # chance, without saying which
        return state

    assert len({str(first(seed)) for seed in range(20)}) > 5
    assert str(first(5)) == str(first(5))
    state, way = first(5), Way(states, 1)
    while not state.is_terminal():
        bot = bots[state.current_player()]
        assert bot.get_policy(state) == bot.get_policy(state)
        if bot.player == 1 and len(way.to(state)) > 1:
            with pytest.raises(games.GameError, match="hides its chance"):
                Way(states, 1).to(state)
        state.apply_action(bot.step(state))


def hand(match, rng):
    """Plays a hand at random; every view, and the state behind it."""
    seen = []
    while match.view.end is None:
        seen.append((match.view, match._state.clone()))
        match.play(int(rng.choice([action.number for action in match.view.actions])))
    return seen, match.view.end


@pytest.mark.parametrize("name", ["phantom", "hex"])
def test_boards_in_the_dark_are_the_seat_s_own(trained, name):
    """What is drawn before the end is OpenSpiel's observation of the seat; then it is the state."""
    experiment, rng = trained(name), np.random.default_rng(0)
    match = Match(experiment, 0, seed=1)
    for number in range(6):
        seat = match.view.seat
        seen, end = hand(match, rng)
        for view, state in seen:
            marks = [mark or "." for mark in view.board.cells]
            assert "".join(marks) == "".join(state.observation_string(seat).split())
            assert [action.number for action in view.actions] == state.legal_actions()
            assert [action.name for action in view.actions] == [
                state.action_to_string(seat, action) for action in state.legal_actions()
            ]
        whole = "".join(mark or "." for mark in end.board.cells)
        assert whole == "".join(str(match._state).lower().split()).translate(
            str.maketrans("yzpq", "xxoo")
        )
        assert end.returns == tuple(match._state.returns())
        match.deal((number + 1) % 2)
    par = match.par[0]
    assert par.best_response is None and par.error > 0


def test_a_page_is_told_nothing_of_the_other_s_marks(trained):
    """What is sent is the same in all hands that are the same to the person."""
    experiment, sent, hidden = trained("phantom"), {}, {}
    for seed in range(60):
        match, rng = Match(experiment, seed % 2, seed), np.random.default_rng(seed % 2)
        known = [seed % 2]
        while match.view.end is None:
            state, seat = match._state, match.view.seat
            known.append(state.information_state_string(seat))
            said = json.dumps(match_page._view(match))
            sent.setdefault(tuple(known), set()).add(said)
            hidden.setdefault(tuple(known), set()).add(str(state))
            match.play(int(rng.choice([action.number for action in match.view.actions])))
    assert all(len(texts) == 1 for texts in sent.values())
    assert sum(len(states) > 1 for states in hidden.values()) >= 6


SLOW = pytest.param("negotiation", marks=pytest.mark.slow)


@pytest.mark.parametrize("name", ["phantom", "hex", SLOW, "native", "file"])
def test_a_hand_in_the_terminal(trained, name, monkeypatch):
    """With boards, cards and texts; the first action each time, and then `q`."""
    match = Match(trained(name), 1, seed=2)
    out = rich.console.Console(file=io.StringIO(), width=100)
    typed = []

    def answer(prompt):
        over = match.view.end is not None
        typed.append("q" if over else match.view.actions[0].name)
        return typed[-1]

    monkeypatch.setattr(out, "input", answer)
    terminal.in_terminal(match, out)
    text = out.file.getvalue()
    assert "measured by episodes" in text and "played policy" in text and "1 hand:" in text
    if match.view.board:
        assert "You are o" in text and "not a move" not in text


@pytest.mark.parametrize("name", ["phantom", "hosted", "file"])
def test_episodes_are_told_in_the_game_s_words(trained, name):
    """The same for the same seed; the moves, played again by their names, lead to the returns."""
    experiment = trained(name)
    dealer, told = replay.episodes(experiment, 6, seed=3)
    assert replay.episodes(experiment, 6, seed=3)[1] == told
    assert len({episode.policies for episode in told}) > 1  # drawn for each
    for episode in told:
        state = dealer.game.new_initial_state()
        for move in episode.moves:
            legal = state.legal_actions()
            assert move.player == (None if state.is_chance_node() else state.current_player())
            if move.player is not None:
                assert move.seen == dealer.text(state, move.player)
            state.apply_action(next(a for a in legal if dealer.name(state, a) == move.name))
        assert state.is_terminal() and not episode.is_cut
        assert episode.returns == tuple(state.returns()) and episode.end == str(state)
    (section,) = episodes.section(folder.snapshot(experiment.folder))
    assert section["title"] == "Episodes" and len(section["tables"]) == episodes.EPISODES
    assert all(len(row) == 3 for table in section["tables"] for row in table["rows"])
