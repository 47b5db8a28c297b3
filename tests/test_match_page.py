"""The page: what the server sends, what it refuses, and the page itself in a real browser."""

import contextlib
import functools
import http.client
import importlib.util
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import psro
from psro import loopback, match_page
from psro.match import Match

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
    with loopback.Server(match_page.routes(match)) as server:
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
        self.connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
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
        self.headers = dict(answer.getheaders())
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


@pytest.mark.parametrize("game", ["kuhn_poker", "leduc_poker"])
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
            for path in ("/", "/play.js", "/play.css", "/api/end", "/api/state"):
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


# The server


@pytest.fixture(scope="module")
def server(trained):
    with serving(Match(trained("kuhn_poker"), 0, seed=1)) as server:
        yield server


@pytest.mark.parametrize(
    "method, path, body, headers, status",
    [
        ("GET", "/", None, {"Host": "example.com"}, 403),
        ("GET", "/", None, {"Host": "127.0.0.1"}, 403),
        ("GET", "/", None, {"Host": "127.0.0.1:1"}, 403),
        ("GET", "/", None, {"Host": ""}, 403),
        ("POST", "/api/play", "{}", {"Origin": "http://example.com"}, 403),
        ("POST", "/api/play", "{}", {"Origin": "null"}, 403),
        ("POST", "/api/play", "{}", {"Origin": "http://127.0.0.1:1"}, 403),
        ("GET", "/../pyproject.toml", None, {}, 404),
        ("GET", "/..%2fplay.py", None, {}, 404),
        ("GET", "/pages/play.html", None, {}, 404),
        ("GET", "http://example.com/", None, {}, 403),
        ("GET", "/api/play", None, {}, 405),
        ("PUT", "/api/play", "{}", {}, 405),
        ("POST", "/api/view", "{}", {}, 405),
        ("POST", "/api/play", "x" * (loopback.MAX_BODY + 1), {}, 413),
        ("POST", "/api/play", None, {"Content-Length": str(10**15)}, 413),
        ("POST", "/api/play", None, {"Content-Length": "-5"}, 400),
        ("POST", "/api/play", None, {"Content-Length": "many"}, 400),
        ("POST", "/api/play", None, {"Transfer-Encoding": "chunked"}, 411),
        ("POST", "/api/play", "{", {}, 400),
        ("POST", "/api/play", b"\xff\xfe", {}, 400),
        ("POST", "/api/play", "[" * 60_000, {}, 400),
        ("POST", "/api/play", "[1]", {}, 400),
        ("POST", "/api/play", "", {}, 400),
    ],
)
def test_requests_that_are_refused(server, method, path, body, headers, status):
    """With a sentence; and the server answers the next one."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    with contextlib.closing(connection):
        connection.putrequest(method, path, skip_host="Host" in headers)
        if body is not None and "Content-Length" not in headers:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in headers.items():
            connection.putheader(name, value)
        # An oversized body may be cut off while it is being sent.
        with contextlib.suppress(ConnectionError):
            connection.endheaders(body.encode() if isinstance(body, str) else body)
        answer = connection.getresponse()
        content = answer.read().decode()
    assert answer.status == status
    assert content.endswith(".\n") and 10 < len(content) < 200 and "Traceback" not in content
    with Page(server) as page:
        page.get("/api/view")


def test_two_hosts_or_none_are_refused(server):
    for hosts in ([], [f"127.0.0.1:{server.server_port}", "example.com"]):
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as raw:
            lines = ["GET / HTTP/1.1", *(f"Host: {host}" for host in hosts), "", ""]
            raw.sendall("\r\n".join(lines).encode())
            assert raw.recv(100).startswith(b"HTTP/1.0 403 ")


def test_the_server_s_own_names_and_page_are_answered(server):
    with Page(server) as page:
        for name in ("127.0.0.1", "localhost"):
            own = f"{name}:{server.server_port}"
            headers = {"Host": own, "Origin": f"http://{own}"}
            assert page.ask("GET", "/api/view?x=1", headers=headers)[0] == 200
        page.get("/")
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Cache-Control"] == "no-store"
        assert server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_told(server):
    with pytest.raises(loopback.LoopbackError, match=f":{server.server_port}.*another --port"):
        loopback.Server({}, server.server_port)


def test_the_page_names_no_other_site():
    for file in (Path(match_page.__file__).parent / "pages").iterdir():
        found = set(re.findall(r"(?:https?:)?//[\w.]+[^\s'\"]*", file.read_text(encoding="utf-8")))
        assert {each for each in found if "://" in each} <= {"http://www.w3.org/2000/svg"}


# The browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A headless Chromium with an empty profile."""
    if importlib.util.find_spec("selenium") is None:
        pytest.skip("selenium is not installed (pip install '.[test]')")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not (chromium and chromedriver):
        pytest.skip("no chromium with chromedriver on the PATH")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--window-size=1240,900", f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    yield driver
    driver.quit()


def find(browser, selector):
    return browser.find_elements("css selector", selector)


def until(condition):
    """Waits until it holds."""
    ends = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.02)


def ready(browser, match):
    """Waits until the page shows the match as it is."""
    until(
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
    loaded = browser.execute_script("return performance.getEntries().map(e => e.name)")
    assert all(n.startswith(server.url) for n in loaded if "://" in n)
    assert browser.get_log("browser") == []


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
            until(lambda turn=turn: match.view.turn > turn)
            ready(browser, match)
            assert texts(browser, "#note") == [""]
        assert len(texts(browser, "#result p")) == 2
        turn = match.view.turn
        browser.find_element("css selector", "body").send_keys("\ue007")
        until(lambda: match.view.turn > turn)
        ready(browser, match)
        assert match.view.hand == 1 + len(match.history)
    find(browser, "button[data-action], #next")[0].click()
    until(lambda: "still running" in texts(browser, "#note")[0])


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
    command = [sys.executable, "-m", "psro.cli", "play", trained("kuhn_poker").folder, "--web"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", "/api/view")
            assert json.loads(connection.getresponse().read())["game"] == "kuhn_poker"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()
