"""The page of `psro play --web`: what it is sent, and the page itself in a real browser."""

import contextlib
import functools
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from browser import HANGS, chromium, console_errors, requested, wait_for

import psro
from psro.play import page as match_page
from psro.play.match import Match
from psro.views.server import LoopbackServer

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    @functools.cache
    def run(game):
        config = psro.RunConfig(
            game=game, oracle="best_response", iterations=3, meta_solver="uniform"
        )
        return psro.run(config, tmp_path_factory.mktemp("runs") / "run")

    return run


@contextlib.contextmanager
def serving(match):
    with LoopbackServer(match_page.routes(match)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Page:
    """What a page could send, and every byte that it gets."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=HANGS)
        self.received = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def ask(self, method, path, body=None, headers=None):
        """Status and body."""
        if isinstance(body, dict):
            body = json.dumps(body)
        self.connection.request(method, path, body, headers or {})
        answer = self.connection.getresponse()
        content = answer.read()
        self.received.append((answer.status, answer.getheaders(), content))
        return answer.status, content.decode()

    def get(self, path):
        status, content = self.ask("GET", path)
        assert status == 200
        return content

    def view(self):
        return json.loads(self.get("/api/view"))

    def do(self, what, **sent):
        status, content = self.ask("POST", f"/api/{what}", sent)
        assert status == 200, content
        return json.loads(content)


def test_a_match_through_the_server(trained):
    match = Match(trained("leduc_poker"), 0, seed=1)
    rng = np.random.default_rng(0)
    with serving(match) as server, Page(server) as page:
        said = page.view()
        assert said["game"] == "leduc_poker" and said["view"]["hand"] == 1
        for hand in range(1, 9):
            while said["view"]["end"] is None:
                action = rng.choice([each["number"] for each in said["view"]["actions"]])
                said = page.do("play", turn=said["view"]["turn"], action=int(action))
            last = match.history[-1]
            assert said["view"]["end"]["returns"] == list(last.end.returns)
            assert said["score"] == match.score
            assert [past["hand"] for past in said["history"]] == list(range(1, hand + 1))
            past = said["history"][-1]
            assert past["result"] == last.end.returns[last.seat]
            assert past["met"][0]["policy"] == last.end.met[0].policy
            said = page.do("deal", turn=said["view"]["turn"], seat=hand % 2)
            assert said["view"]["seat"] == hand % 2


@pytest.mark.parametrize(
    "game", ["kuhn_poker", pytest.param("leduc_poker", marks=pytest.mark.slow)]
)
def test_nothing_is_told_before_the_end(trained, game):
    """Every byte that the server has sent, headers and refusals included, is the same in all hands
    that are the same to the person, whatever the others hold."""
    experiment = trained(game)
    received, hidden = {}, {}
    for seed in range(90):
        seat, other = seed % 2, 1 - seed % 2
        match = Match(experiment, seat, seed)
        rng = np.random.default_rng(seed % 3)  # few ways to play, many deals
        with serving(match) as server, Page(server) as page:
            seen = [seed % 3, seat]
            for path in ("/", "/play.js", "/served.js", "/play.css", "/api/end", "/api/state"):
                page.ask("GET", path)
            said = page.view()
            while said["view"]["end"] is None:
                turn = said["view"]["turn"]
                seen.append(match._state.information_state_string(seat))
                page.ask("POST", "/api/deal", {"turn": turn, "seat": other})
                page.ask("POST", "/api/play", {"turn": turn, "action": 99})
                page.view()
                sent = re.sub(f":{server.server_port}", "", repr(page.received))
                received.setdefault(tuple(seen), set()).add(sent)
                hidden.setdefault(tuple(seen), set()).add(
                    match._state.information_state_string(other)
                )
                action = int(rng.choice([each["number"] for each in said["view"]["actions"]]))
                seen.append(action)
                said = page.do("play", turn=turn, action=action)
    assert all(len(each) == 1 for each in received.values())
    assert sum(len(each) > 1 for each in hidden.values()) >= 6  # and it was not for want of deals


def test_moves_are_checked(trained):
    match = Match(trained("kuhn_poker"), 0, seed=1)
    with serving(match) as server, Page(server) as page:
        turn, before = match.view.turn, match.view
        for path, sent, status, words in (
            ("/api/play", {"turn": turn, "action": 5}, 400, "not legal"),
            ("/api/play", {"turn": turn - 1, "action": 0}, 409, "gone on"),
            ("/api/play", {"turn": turn, "action": "0"}, 400, "action must be a whole number"),
            ("/api/play", {"turn": turn, "action": True}, 400, "action must be a whole number"),
            ("/api/play", {"action": 0}, 400, "turn must be a whole number"),
            ("/api/deal", {"turn": turn, "seat": 0}, 400, "not over"),
            ("/api/deal", {"turn": turn}, 400, "seat must be a whole number"),
        ):
            got, content = page.ask("POST", path, sent)
            assert got == status and words in content and content.count("\n") == 1
        assert match.view is before
        while match.view.end is None:
            page.do("play", turn=match.view.turn, action=0)
        got, content = page.ask("POST", "/api/deal", {"turn": match.view.turn, "seat": 2})
        assert got == 400 and "seat 2" in content


@pytest.mark.parametrize(
    "body, words",
    [
        ("{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ("[" * 60_000, "not JSON"),
        ("", "not JSON"),
        ("[1]", "a JSON object"),
    ],
)
def test_what_is_no_move_is_refused(trained, body, words):
    """With a sentence; and the server answers the next request."""
    with serving(Match(trained("kuhn_poker"), 0, seed=1)) as server, Page(server) as page:
        status, content = page.ask("POST", "/api/play", body)
        assert status == 400 and words in content and content.endswith(".\n")
        page.view()


def test_only_the_page_and_the_match_are_served(trained):
    with serving(Match(trained("kuhn_poker"), 0, seed=1)) as server, Page(server) as page:
        for path in ("/play.html", "/__init__.py", "/match_page/play.html", "/../pyproject.toml"):
            assert page.ask("GET", path)[0] == 404
        for method, path in (("GET", "/api/play"), ("POST", "/api/view"), ("POST", "/")):
            assert page.ask(method, path)[0] == 405


def test_the_page_names_no_other_site():
    for file in Path(match_page.__file__).parent.glob("play.*"):
        found = set(re.findall(r"(?:https?:)?//[\w.]+[^\s'\"]*", file.read_text(encoding="utf-8")))
        assert {each for each in found if "://" in each} <= {"http://www.w3.org/2000/svg"}


# The browser


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


def find(browser, selector):
    return browser.find_elements("css selector", selector)


def ready(browser, match):
    """Waits until the page shows the match as it is."""
    wait_for(
        lambda: (
            browser.execute_script("return shown && !waiting && shown.view.turn") == match.view.turn
        )
    )


def texts(browser, selector):
    return [each.text for each in find(browser, selector)]


def test_hands_are_played_with_clicks(trained, browser):
    match = Match(trained("leduc_poker"), 0, seed=6)
    rng = np.random.default_rng(2)
    with serving(match) as server:
        requested(browser), console_errors(browser)  # of pages before
        browser.get(server.url)
        for hand in range(1, 7):
            ready(browser, match)
            while match.view.end is None:
                buttons = find(browser, "button[data-action]")
                names = [action.name for action in match.view.actions]
                assert all(n in b.text for n, b in zip(names, buttons, strict=True))
                assert len(find(browser, "#others .card.back")) == 1
                own = match.view.picture.own[0]
                card = find(browser, "#you .card")[0]
                assert card.get_attribute("aria-label") == own.rank + own.suit
                assert "policy" not in browser.find_element("css selector", "#table").text
                buttons[rng.integers(len(buttons))].click()
                ready(browser, match)
            end, seat = match.view.end, match.view.seat
            assert not find(browser, ".card.back")
            card = find(browser, "#others .card")[0].get_attribute("aria-label")
            other = end.pictures[1 - seat].own[0]
            assert card == other.rank + other.suit
            won = end.returns[seat]
            said = texts(browser, "#result")[0]
            assert f"{abs(won):g}" in said and ("win" in said) == (won > 0)
            assert f"policy {end.met[0].policy}" in said and f"{end.met[0].weight:.1%}" in said
            assert texts(browser, "#score") == [
                "0" if match.score == 0 else f"{match.score:+g}".replace("-", "−")
            ]
            assert len(find(browser, "#history tr")) == hand
            seats = find(browser, "#seat option")
            seats[hand % 2].click()
            find(browser, "#next")[0].click()
            ready(browser, match)
            assert match.view.seat == hand % 2
    assert len(match.history) == 6
    assert [each for each in requested(browser) if not each.startswith(server.url)] == []
    assert console_errors(browser) == []


def test_keys_a_stale_page_and_a_server_that_is_gone(trained, browser):
    match = Match(trained("kuhn_poker(players=3)"), 1, seed=6)
    with serving(match) as server:
        browser.get(server.url)
        ready(browser, match)
        assert len(find(browser, ".card.back")) == 2
        match.play(0)  # in another tab
        browser.find_element("css selector", "body").send_keys("1")
        ready(browser, match)
        assert "gone on" in texts(browser, "#note")[0]
        if match.view.end is not None:
            match.deal()
            browser.refresh()
            ready(browser, match)
        while match.view.end is None:
            turn = match.view.turn
            browser.find_element("css selector", "body").send_keys("1")
            wait_for(lambda turn=turn: match.view.turn > turn)
            ready(browser, match)
            assert texts(browser, "#note") == [""]
        assert len(texts(browser, "#result p")) == 2
        turn = match.view.turn
        browser.find_element("css selector", "body").send_keys("\ue007")
        wait_for(lambda: match.view.turn > turn)
        ready(browser, match)
        assert match.view.hand == 1 + len(match.history)
    find(browser, "button[data-action], #next")[0].click()
    wait_for(lambda: "still running" in texts(browser, "#note")[0])


def test_a_game_without_pictures(trained, browser):
    game = "goofspiel(imp_info=True,num_cards=3,points_order=descending)"
    match = Match(trained(game), 1, seed=1)
    with serving(match) as server:
        browser.get(server.url)
        ready(browser, match)
        while match.view.end is None:
            assert texts(browser, "#text")[0].split() == match.view.text.split()
            find(browser, "button[data-action]")[0].click()
            ready(browser, match)
        assert texts(browser, "#text")[0].split() == match.view.end.state.split()
        assert f"policy {match.view.end.met[0].policy}" in texts(browser, "#result")[0]


def test_the_command_serves_until_it_is_interrupted(trained):
    """As a process: it prints where it is, answers there, and ends with exit code 0."""
    command = [sys.executable, "-m", "psro", "play", trained("kuhn_poker").folder, "--web"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANGS)
        with contextlib.closing(connection):
            connection.request("GET", "/api/view")
            assert json.loads(connection.getresponse().read())["game"] == "kuhn_poker"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=HANGS) == ("", "")
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()
