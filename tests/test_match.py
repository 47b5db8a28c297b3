"""A person against a population: the hands themselves, how they are drawn, and the terminal."""

import io
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import rich.console

import psro
from games.readers import openspiel
from psro import cli
from psro.play import cards
from psro.play import page as match_page
from psro.play import terminal as play
from psro.play.cards import Card
from psro.play.match import Match, MatchError

HERE = Path(__file__).parent
ENTRY = "tests/entry.efg"
GAMES = [
    "kuhn_poker",
    "kuhn_poker(players=3)",
    "leduc_poker",
    "goofspiel(imp_info=True,num_cards=3,points_order=descending)",
    "matrix_rps",
    "pig(horizon=3)",
    ENTRY,
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Short runs of double oracle; uniform, so that several policies are met."""
    runs = {}

    def run(game):
        if game not in runs:
            config = psro.RunConfig(
                game=game, oracle="best_response", iterations=3, meta_solver="uniform"
            )
            runs[game] = psro.run(config, tmp_path_factory.mktemp("runs") / "run")
        return runs[game]

    return run


def play_hand(match, choose):
    """To its end; the views before it, and the last one."""
    views = [match.view]
    while views[-1].end is None:
        views.append(match.play(choose(views[-1])))
    return views[:-1], views[-1]


def anything(seed):
    rng = np.random.default_rng(seed)
    return lambda view: int(rng.choice([action.number for action in view.actions]))


@pytest.mark.parametrize("game", GAMES)
def test_hands_are_those_of_the_game(trained, game):
    """Legal actions, returns and text are OpenSpiel's, in every seat, or text is that of the game's
    file; the score adds up; whom the person met are policies that the meta-strategy plays."""
    experiment = trained(game)
    labelled = game == ENTRY
    match, choose, total = Match(experiment, 0, seed=4), anything(1), 0.0
    for hand in range(1, 13):
        before, last = play_hand(match, choose)
        state, seat = match._state, last.seat
        assert state.is_terminal() and not last.actions
        assert labelled or last.end.state == str(state)
        assert last.end.returns == tuple(state.returns())
        again = openspiel.load_openspiel(experiment.tree.name).new_initial_state()
        seen = iter(before)
        for action in state.history():
            if again.current_player() == seat:
                view = next(seen)
                assert view.hand == hand and view.end is None
                assert [each.number for each in view.actions] == again.legal_actions()
                kind = again.get_game().get_type()
                names = [again.action_to_string(seat, a) for a in again.legal_actions()]
                if labelled:
                    assert view.text in experiment.tree.players[seat].names
                    again.apply_action(action)
                    continue
                assert [each.name for each in view.actions] == names
                if kind.provides_observation_string:
                    assert view.text == again.observation_string(seat)
                else:
                    assert view.text == again.information_state_string(seat)
            again.apply_action(action)
        assert next(seen, None) is None
        total += last.end.returns[seat]
        assert (len(match.history), match.score) == (hand, pytest.approx(total))
        others = [p for p in range(match.num_players) if p != seat]
        assert [met.player for met in last.end.met] == others
        for met in last.end.met:
            assert met.weight == experiment.meta_strategy[met.player][met.policy] > 0
        match.deal(hand % match.num_players)
        assert (match.view.seat, match.view.hand) == (hand % match.num_players, hand + 1)
    turns = [view.turn for view in match.history]
    assert turns == sorted(set(turns))


def test_a_person_who_plays_as_the_population_makes_par(trained):
    """Deals, opponents and the expected returns fit each other, within 4 standard errors."""
    experiment = trained("leduc_poker")
    for seat in range(2):
        match, bot = Match(experiment, seat, seed=seat), experiment.bot(seat, 9)
        returns, met = [], []
        for _ in range(1200):
            bot.restart()
            _, last = play_hand(match, lambda _, m=match, b=bot: b.step(m._state))
            returns.append(last.end.returns[seat])
            met.append(last.end.met[0].policy)
            match.deal()
        error = np.std(returns) / np.sqrt(len(returns))
        assert abs(np.mean(returns) - match.par[seat].value) < 4 * error
        assert match.par[seat].best_response > match.par[seat].value
        share = np.bincount(met, minlength=4) / len(met)
        weights = experiment.meta_strategy[1 - seat]
        assert (np.abs(share - weights) < 4 * np.sqrt(weights / len(met)) + 1e-9).all()


def test_a_joint_meta_strategy_is_drawn_from_for_all_at_once(trained, monkeypatch):
    """Where a joint gives everybody the policy of the same number, or player 2 the next one."""
    experiment = trained("kuhn_poker(players=3)")
    joint = np.zeros((4, 4, 4))
    for number in range(4):
        joint[number, number, (number + 1) % 4] = 1 / 4
    monkeypatch.setattr(type(experiment), "joint", joint)
    match, counts = Match(experiment, 0, seed=1), np.zeros(4)
    for hand in range(400):
        _, last = play_hand(match, lambda view: view.actions[0].number)
        met = {each.player: each.policy for each in last.end.met}
        number = met[0] if 0 in met else met[1]
        assert met.get(1, number) == number and met.get(2, (number + 1) % 4) == (number + 1) % 4
        counts[number] += 1
        match.deal((hand + 1) % 3)
    assert (np.abs(counts / 400 - 1 / 4) < 4 * np.sqrt(3 / 16 / 400)).all()


def test_a_seed_repeats_a_match_and_others_differ(trained):
    def hands(seed):
        match, choose = Match(trained("leduc_poker"), 1, seed), anything(0)
        for _ in range(8):
            play_hand(match, choose)
            match.deal()
        return match.history

    assert hands(3) == hands(3)
    assert hands(3) != hands(4)
    assert hands(None) != hands(None)


def test_what_cannot_be_played_is_refused(trained):
    experiment = trained("kuhn_poker")
    with pytest.raises(MatchError, match="seat 2 must be from 0 to 1"):
        Match(experiment, 2)
    with pytest.raises(MatchError, match="seed -1"):
        Match(experiment, 0, -1)
    match = Match(experiment, 0, 0)
    before = match.view
    with pytest.raises(MatchError, match="action 2 is not legal"):
        match.play(2)
    with pytest.raises(MatchError, match="not over"):
        match.deal()
    assert match.view is before
    play_hand(match, anything(0))
    with pytest.raises(MatchError, match="is over"):
        match.play(0)
    with pytest.raises(MatchError, match="seat -1"):
        match.deal(-1)
    assert match.deal(1).seat == 1


LEDUC = ["leduc_poker", "leduc_poker(suit_isomorphism=True)", "leduc_poker(starting_player=1)"]


@pytest.mark.parametrize(
    "name", ["kuhn_poker", "kuhn_poker(players=3)", *LEDUC, "leduc_poker(players=3)"]
)
def test_pictures_show_what_was_dealt_and_played(name):
    """In random games, after every action, from every seat."""
    game = openspiel.load_openspiel(name)
    read, parameters = cards.READERS[game.get_type().short_name], game.get_parameters()
    num_players, rng = game.num_players(), np.random.default_rng(0)
    drawn = {}
    for _ in range(150):
        state, dealt, moves = game.new_initial_state(), [], []
        while not state.is_terminal():
            player, action = state.current_player(), int(rng.choice(state.legal_actions()))
            if player < 0:
                dealt.append(action)
            else:
                moves.append((player, state.action_to_string(player, action)))
            state.apply_action(action)
            if len(dealt) < num_players:
                continue
            for seat in range(num_players):
                picture = read(state.information_state_string(seat), num_players, parameters)
                drawn.setdefault(dealt[seat], picture.own)
                assert picture.own == drawn[dealt[seat]] and len(picture.own) == 1
                assert [(move.player, move.name) for move in picture.moves] == moves
                if name.startswith("kuhn"):
                    assert picture.board == ()
                    assert picture.pot == num_players + sum(m == "Bet" for _, m in moves)
                elif state.is_terminal():
                    assert picture.pot is None
                else:
                    money = state.observation_string(seat).partition("[Money: ")[2]
                    spent = [100 - int(each) for each in money.partition("]")[0].split()]
                    assert picture.pot == sum(spent)
                    public = None
                    if len(dealt) > num_players:
                        public = drawn.setdefault(dealt[-1], picture.board)[0]
                    assert picture.board == (public,)
    assert len(set(drawn.values())) == len(drawn)  # every card looks like itself
    ranks = [drawn[number][0].rank for number in sorted(drawn)]
    assert ranks[0] == "J" and ranks == sorted(ranks, key="JQKA".index)


def test_meanings_of_checking_calling_and_folding():
    read = cards.READERS["kuhn_poker"]
    assert read("0", 2, {}).meanings == {"Pass": "check", "Bet": ""}
    assert read("0pb", 2, {}).meanings == {"Pass": "fold", "Bet": "call"}
    said = [move.meaning or move.name for move in read("0pbb", 2, {}).moves]
    assert said == ["check", "Bet", "call"]
    seen = "[Private: 1][Pot: 4][Public: 2][Round1: 1 2 1][Round2: 1]"
    picture = cards.READERS["leduc_poker"](seen, 2, {})
    said = [(m.round, m.player, m.meaning or m.name) for m in picture.moves]
    assert said == [(1, 0, "check"), (1, 1, "Raise"), (1, 0, "Call"), (2, 0, "check")]
    assert picture.meanings == {"Call": "check"}
    raised = cards.READERS["leduc_poker"](seen[:-1] + " 2]", 2, {})
    assert raised.meanings == {}


# The terminal


def transcript(match, typed, monkeypatch, ascii_only=False):
    """What is printed when those lines are typed, and then the input ends."""
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in typed)))
    file = io.TextIOWrapper(io.BytesIO(), "ascii" if ascii_only else "utf-8")
    play.in_terminal(match, rich.console.Console(file=file, width=100))
    file.seek(0)
    return file.read()


def test_a_hand_in_the_terminal(trained, monkeypatch):
    match = Match(trained("kuhn_poker"), 1, seed=2)
    shown = transcript(match, ["7", "stand", "", "BET", "x", "", "1", "", "q"], monkeypatch)
    assert len(match.history) == 2
    bad = [line for line in shown.splitlines() if "is not a move here" in line]
    assert len(bad) == 3 and all("type 1 to 2" in line for line in bad)
    assert "'stand'" in bad[1]
    assert "press Enter or q" in shown
    assert "(check)" in shown or "(fold)" in shown
    first, second = (view.end for view in match.history)
    for view, end in zip(match.history, (first, second), strict=True):
        met = end.met[0]
        assert f"Player 0 played policy {met.policy} (iteration {met.policy}, weight" in shown
        assert f"{met.weight:.1%}" in shown
        won = end.returns[view.seat]
        assert f"You {'win' if won > 0 else 'lose'} {abs(won):g}." in shown
    assert f"Score after 2 hands: {match.score:+g}" in shown
    assert "you are player 1 of 2" in shown and f"{match.par[1].value:+.3f}" in shown
    assert "2 hands: " in shown.splitlines()[-1]
    for line in cards.box(Card(rank="Q", suit="♠")):
        assert line in shown


def test_every_way_to_say_a_move(trained, monkeypatch):
    """By number, by name whatever its case, by what it means, and by how these begin."""
    for typed in ("1", "Pass", " pass ", "check", "p", "ch"):
        match = Match(trained("kuhn_poker"), 0, seed=1)
        transcript(match, [typed], monkeypatch)
        assert match._state.history()[2] == 0


@pytest.mark.parametrize("typed", [[], ["q"], ["quit"], ["1", "q"], ["nonsense"]])
def test_it_ends_in_the_middle_of_a_hand(trained, monkeypatch, typed):
    match = Match(trained("leduc_poker"), 0, seed=1)
    shown = transcript(match, typed, monkeypatch)
    assert shown.splitlines()[-1] == "No hand was finished." and not match.history


@pytest.mark.parametrize("game", GAMES)
def test_every_game_is_played_in_the_terminal(trained, monkeypatch, game):
    match = Match(trained(game), 0, seed=5)
    shown = transcript(match, ["1"] * 40 if game != "kuhn_poker" else ["1", ""] * 20, monkeypatch)
    assert match.history
    if not match.view.picture:
        assert match.history[0].end.state.strip() in shown
    assert match.history[0].end.met and "played policy" in shown


@pytest.mark.parametrize(
    "name, players, words",
    [
        (
            "labels.efg",
            ("Alice", "Bob"),
            {"Alice with King", "Alice with Jack", "Bob faces a bet", "Bet", "Fold", "Call", "Pass",
             "chance: King", "chance: Jack", "Alice: Bet", "Alice: Fold", "Bob: Call", "Bob: Pass"},
        ),
        (
            "labels.nfg",
            ("Row", "Column"),
            {"the only decision", "Cooperate", "Defect", "Row: Defect", "Column: Cooperate"},
        ),
    ],
)  # fmt: skip
def test_a_file_s_labels_are_what_a_person_reads(trained, monkeypatch, name, players, words):
    match = Match(trained(str(HERE / "data" / name)), 0, seed=1)
    shown = transcript(match, ["1", "", "2", "", "defect", ""] * 20, monkeypatch)
    match = Match(trained(str(HERE / "data" / name)), 1, seed=1)
    shown += transcript(match, ["1", "", "2", ""] * 20, monkeypatch)
    assert f"you are {players[0]} (player 0 of 2)" in shown
    assert f"you are {players[1]} (player 1 of 2)" in shown
    assert f"{players[1]} played policy" in shown and f"{players[0]} played policy" in shown
    assert [word for word in words if word not in shown] == []
    view = json.loads(match_page.routes(match)["GET", "/api/view"](b"")[2])
    assert view["players"] == list(players)
    assert {action["name"] for action in view["view"]["actions"]} <= words
    assert not re.search(r"action\d|0-0-|Observing player|Player [01] was", shown)


def test_a_terminal_without_unicode(trained, monkeypatch):
    match = Match(trained("leduc_poker"), 0, seed=1)
    shown = transcript(match, ["call"] * 6, monkeypatch, ascii_only=True)
    assert match.history and shown.isascii() and "  you: " in shown and "table: ?" in shown


def test_the_terminal_tells_nothing_before_the_end(trained, monkeypatch):
    """What was printed up to a prompt is the same for all hands that are the same to the person."""
    printed, hidden = {}, {}
    for seed, typed in itertools.product(range(40), (["1"], ["2"])):
        match = Match(trained("leduc_poker"), 0, seed)
        first = match._state.information_state_string(0)
        shown = transcript(match, typed, monkeypatch)
        if match.history:
            continue
        seen = (first, *typed, match._state.information_state_string(0))
        printed.setdefault(seen, set()).add(shown)
        hidden.setdefault(seen, set()).add(match._state.information_state_string(1))
    assert all(len(each) == 1 for each in printed.values())
    assert sum(len(each) > 1 for each in hidden.values()) >= 5


def test_the_command(trained, monkeypatch, capsys):
    folder = str(trained("kuhn_poker").folder)
    monkeypatch.setattr("sys.stdin", io.StringIO("bet\nq\n"))
    cli.main(["play", folder, "--seat", "1", "--seed", "3"])
    assert "kuhn_poker: you are player 1 of 2" in capsys.readouterr().out
    for arguments, sentence in (
        (["--seat", "2"], "seat 2 must be from 0 to 1"),
        (["--port", "80"], "--port 80 is for the page; add --web"),
        (["--web", "--port", "70000"], "port 70000"),
    ):
        with pytest.raises(SystemExit) as exit:
            cli.main(["play", folder, *arguments])
        assert exit.value.code == 2
        assert sentence in capsys.readouterr().err
