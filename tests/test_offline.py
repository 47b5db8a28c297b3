"""`psro export --html`: what is packed into the page, and the page in a real browser."""

import base64
import functools
import gzip
import json
import re

import jax
import numpy as np
import pytest
from browser import chromium, console_errors, requested, wait_for

import psro
from games.readers.openspiel_policy import InfoStateIndex
from games.readers.positions import positions
from psro import cli
from psro.play import offline, publishing
from psro.play.match import MatchError, made_in
from psro.play.offline import policies
from psro.policies.networks.settings import NetworkConfig

ENTRY = "tests/entry.efg"
HEX = "dark_hex(num_rows=2,num_cols=2)"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    @functools.cache
    def run(game, **settings):
        settings = {"oracle": "best_response", "iterations": 3, "meta_solver": "uniform"} | settings
        config = psro.RunConfig(game=game, **settings)
        return psro.run(config, tmp_path_factory.mktemp("runs") / "run")

    return run


def unpacked(page):
    """The header and the arrays of a page."""
    content = gzip.decompress(base64.b64decode(re.search(r'id="book"[^>]*>([^<]*)<', page)[1]))
    size = int.from_bytes(content[:4], "little")
    header = json.loads(content[4 : 4 + size])
    arrays = {
        name: np.frombuffer(content, kind, length, place)
        for name, kind, place, length in header["arrays"]
    }
    return header, arrays


def behaviours(experiment, player):
    """What Python plays: the probabilities of each policy that is drawn, `[K, S]`."""
    tabulate, populations = experiment.setup.tabulate, experiment.populations
    rows = []
    for k in np.flatnonzero(experiment.meta_strategy[player] > 0):
        one = jax.tree.map(
            lambda *leaves, k=k: np.stack([leaf[k] for leaf in leaves]), *populations
        )
        rows.append(tabulate(one)[player])
    return np.stack(rows)


@pytest.mark.parametrize("game", ["kuhn_poker", ENTRY])
def test_positions_are_those_of_the_tree(trained, game):
    tree = trained(game).tree
    index, seen = InfoStateIndex(tree, range(tree.num_players)), []
    for state, node in positions(tree):
        seen.append(node)
        if node >= tree.num_decisions:
            assert state.returns() == tree.terminal_returns[node - tree.num_decisions].tolist()
        else:
            player = state.current_player()
            assert player == tree.decision_player[node]
            assert index.info_state(state, player) == tree.decision_info_state[node]
    assert sorted(seen) == list(range(tree.num_decisions + tree.num_terminals))


def test_a_page_holds_the_game_and_its_policies(trained):
    """Its policy lets it load nothing; what is packed is what Python plays."""
    experiment = trained("kuhn_poker")
    page = offline.page(experiment)
    assert page == offline.page(experiment)
    assert (
        "default-src 'none'" in page
        and "unsafe" not in page
        and "http://" not in (re.sub(r"http://www.w3.org/2000/svg", "", page))
    )
    assert re.findall(r'(?:src|href)="(?!data:)[^"]*"', page) == []
    header, arrays = unpacked(page)
    for p in range(2):
        own = behaviours(experiment, p)
        np.testing.assert_allclose(arrays[f"policies_{p}"].reshape(own.shape), own, atol=1e-7)
    assert [one["iteration"] for one in header["policies"][0]] == [0, 1, 2, 3]
    assert header["par"][0]["value"] == experiment.measure().value[0]


def test_names_from_a_file_cannot_break_the_page(tmp_path):
    evil = '</script><img src=x onerror=alert(1)> & <b>\\"'
    file = tmp_path / "evil.nfg"
    file.write_text(
        f'NFG 1 R "{evil}" {{ "{evil}" "b" }} {{ {{ "{evil}1" "x" }} {{ "y" "z" }} }}\n'
        f'{{ {{ "{evil}o" 1, -1 }} {{ "tie" 0, 0 }} }}\n1 2 2 1\n'
    )
    config = psro.RunConfig(game=str(file), oracle="best_response", iterations=1)
    experiment = psro.run(config, tmp_path / "run")
    page = offline.page(experiment)
    assert "onerror" not in page and page.count("</script>") == 1 + len(offline.SCRIPTS)
    header, arrays = unpacked(page)
    assert "<img src=x onerror=alert(1)>" in header["players"][0]
    outcomes = [header["pool"][k] for k in arrays["close_outcome"]]
    assert outcomes[1:3] == ["tie", "tie"] and outcomes[0] == outcomes[3] != ""


def test_what_has_no_page(trained, tmp_path, monkeypatch, capsys):
    experiment = trained("kuhn_poker")
    monkeypatch.setattr(policies, "MAX_BYTES", 10)
    with pytest.raises(MatchError, match="as tables"):
        offline.page(experiment)
    monkeypatch.setattr(offline.trees, "MAX_HISTORIES", 10)
    monkeypatch.setattr(policies, "MAX_BYTES", 1 << 20)
    with pytest.raises(MatchError, match="histories, and a page holds"):
        offline.page(experiment)
    (tmp_path / "there.html").touch()
    with pytest.raises(SystemExit) as refused:
        cli.main(["export", str(experiment.folder), str(tmp_path / "there.html"), "--html"])
    assert refused.value.code == 2
    assert "exists already" in capsys.readouterr().err


def test_policies_that_are_replaced_have_no_iteration():
    class Record:
        def __init__(self, iteration, size):
            self.iteration, self.size = iteration, size

    assert made_in([Record(0, 1), Record(1, 2), Record(2, 4)]) == [0, 1, 2, 2]
    assert made_in([Record(0, 1), Record(1, 1)]) is None


# The browser


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


NETWORK = NetworkConfig(
    encoder="mlp", width=16, layer_norm=True, separate=True, normalize_observations=True
)
EVERYWHERE = """
const [player, policy, parents, actions, legal] = arguments;
const mind = mindOf(match.book, player, policy), memories = [], result = [1];
for (let i = 0; i < parents.length; i++) {
  const before = parents[i] < 0 ? mind.start() : memories[parents[i]];
  const [chances, memory] = mind.decide(before, i, actions[i], legal[i]);
  memories.push(memory);
  result.push(...chances);
}
return result;
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "game, settings, tables",
    [
        ("kuhn_poker", {"oracle": "ppo", "iterations": 2}, True),
        ("leduc_poker", {"oracle": "ppo", "iterations": 2}, True),
        ("leduc_poker", {"oracle": "ppo", "iterations": 2, "cell": "gru"}, False),
        (
            "leduc_poker",
            {"oracle": "ppo", "iterations": 1, "network": NETWORK, "hidden_size": 16},
            False,
        ),
        ("kuhn_poker", {"oracle": "ppo", "iterations": 1, "cell": "none"}, False),
        (ENTRY, {"meta_solver": "mgcce"}, True),
        (HEX, {}, True),
    ],
)
def test_the_browser_plays_what_python_plays(
    trained, browser, tmp_path, monkeypatch, game, settings, tables
):
    """At every info state, and by the same weights; hands end as the game says; nothing is asked
    for."""
    experiment = trained(game, **settings)
    if not tables:
        monkeypatch.setattr(policies, "SMALL_TABLES", 0)
        monkeypatch.setattr(policies, "_size_of_tables", lambda *_: policies.MAX_BYTES)
    file = offline.write(experiment, tmp_path / "page.html")
    assert file.stat().st_size < 2_000_000
    requested(browser), console_errors(browser)
    browser.get(file.as_uri())
    wait_for(lambda: browser.execute_script("return shown && !waiting"))
    for p, own in enumerate(experiment.tree.players):
        legal = [own.actions(i).tolist() for i in range(own.num_info_states)]
        for k, expected in enumerate(behaviours(experiment, p)):
            before = own.parent_info_state.tolist(), own.previous_action.tolist()
            said = browser.execute_script(EVERYWHERE, p, k, *before, legal)
            assert np.abs(np.array(said) - expected).max() < 1e-5
    ends = {tuple(row) for row in experiment.tree.terminal_returns.tolist()}
    for hand in range(6):
        while not browser.execute_script("return shown.view.end"):
            cells = browser.find_elements("css selector", "button[data-action]")
            browser.execute_script("arguments[0].click()", cells[hand % len(cells)])
            wait_for(lambda: browser.execute_script("return !waiting"))
        view = browser.execute_script("return shown.view")
        assert tuple(view["end"]["returns"]) in ends
        for met in view["end"]["met"]:
            weight = experiment.meta_strategy[met["player"]][met["policy"]]
            assert met["weight"] == pytest.approx(weight)
        browser.execute_script("document.getElementById('next').click()")
        wait_for(lambda: browser.execute_script("return !waiting"))
    asked = [address for address in requested(browser) if not address.startswith(file.as_uri())]
    assert asked == [] and console_errors(browser) == []


ALONG = """
const [player, policy, history] = arguments, { book, game } = match;
const mind = mindOf(book, player, policy), result = [];
let state = game.begin(), memory = mind.start(), last = -1;
for (const action of history) {
  if (game.mover(state) === player) {
    const legal = game.legal(state);
    const [chances, next] = mind.decide(memory, game.seen(state), last, legal);
    result.push(Object.fromEntries(legal.map((cell, k) => [cell, chances[k]])));
    [memory, last] = [next, action];
  }
  state = game.step(state, action);
}
return [result, game.isOver(state), game.close(state).returns];
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "game", ["phantom_ttt", "phantom_ttt(gameversion=abrupt)", "dark_hex(board_size=3)"]
)
def test_the_browser_plays_boards_in_the_dark(browser, tmp_path, game):
    """By the rules, and with the networks of Python's bots, in random games."""
    config = psro.RunConfig(
        game=game, evaluation="sampled", iterations=1, hidden_size=8, payoff_episodes=64,
        ppo=psro.PPOConfig(decisions=2_048, num_envs=16),
    )  # fmt: skip
    experiment = psro.run(config, tmp_path / "run")
    file = offline.write(experiment, tmp_path / "page.html")
    browser.get(file.as_uri())
    wait_for(lambda: browser.execute_script("return shown && !waiting"))
    rng = np.random.default_rng(0)
    for number in range(20):
        player = number % 2
        support = np.flatnonzero(experiment.meta_strategy[player] > 0)
        place = number // 2 % len(support)
        bot, expected = experiment.bot(player, 0), []
        bot.restart_as(int(support[place]))
        state = experiment.setup.states.new_state(0)
        while not state.is_terminal():
            if state.current_player() == player:
                expected.append(dict(bot.get_policy(state)))
            state.apply_action(int(rng.choice(state.legal_actions())))
        said, is_over, returns = browser.execute_script(ALONG, player, place, state.history())
        assert is_over and returns == state.returns()
        for own, other in zip(said, expected, strict=True):
            by_name = {str(cell): share for cell, share in other.items()}
            assert own == pytest.approx(by_name, abs=1e-5)


def test_a_page_does_not_say_where_a_file_was(trained):
    page = offline.page(trained(ENTRY))
    header, _ = unpacked(page)
    assert header["game"] == "entry.efg" and "<title>entry.efg" in page
    card = publishing.model_card(trained(ENTRY), has_page=False)
    assert "--config FOLDER/config.json --game FOLDER/game.efg" in card and "tests/" not in card
    assert not header["wins"] and unpacked(offline.page(trained("kuhn_poker")))[0]["wins"]
