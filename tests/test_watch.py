"""`psro watch`: the live page's server, and both kinds of page in a real browser."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import pytest
from browser import HANGS, chromium, console_errors, requested, wait_for

import psro
from psro.runs import experiment
from psro.runs import folder as run_folder
from psro.views import page, watch
from psro.views.page import document

COMMAND = str(Path(sys.executable).with_name("psro"))
CONFIG = psro.RunConfig(oracle="best_response", iterations=4, tolerance=0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    psro.run(CONFIG, out=folder)
    return folder


@contextlib.contextmanager
def watching(folder):
    """Yields the live page's address."""
    with watch.server(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


def get(url, path="/"):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=HANGS)
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()


def contents(folder):
    """Every file of a folder, with its bytes and its times."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns) if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def test_the_document_is_the_report_s(finished):
    before = contents(finished)
    with watching(finished) as url:
        status, text = get(url, "/document.json")
    assert status == 200
    live = json.loads(text)
    assert (live.pop("status"), live.pop("ended")) == ("ended: budget", True)
    assert live == json.loads(page.as_json(document.of_run(run_folder.snapshot(finished))))
    assert contents(finished) == before  # watching only reads


def test_a_run_is_followed_from_its_start(tmp_path):
    """Iteration by iteration, the version changes and the document with it."""
    fresh = experiment.create(CONFIG, out=tmp_path / "run")
    with watching(fresh.folder) as url:
        empty = json.loads(get(url, "/document.json")[1])
        assert empty["status"] == "waiting for the first iteration"
        assert [each["id"] for each in empty["sections"]] == ["configuration"]
        versions = [get(url, "/version")[1]]
        for record in fresh.train():
            versions.append(get(url, "/version")[1])
            content = json.loads(get(url, "/document.json")[1])
            curve = content["sections"][0]["figures"][0]["views"]["iterations"]["data"][0]
            assert curve["y"][-1] == max(record.exploitability, 1e-9)
            assert content["ended"] == (record.iteration == CONFIG.iterations)
    assert len(set(versions)) == len(versions) == CONFIG.iterations + 2


def test_an_unfinished_iteration_is_not_seen(finished, tmp_path):
    """A policy file that is not named yet, and half of the next commit beside this one."""
    folder = shutil.copytree(finished, tmp_path / "copy")
    expected = document.of_run(run_folder.snapshot(folder))
    (folder / "policies" / "0005.safetensors").write_bytes(b"half")
    (folder / ".payoffs.safetensors.tmp").write_bytes(b"half")
    assert document.of_run(run_folder.snapshot(folder)) == expected


def test_it_is_made_once_for_each_change(finished, monkeypatch):
    made = []
    whole = document.of_run
    monkeypatch.setattr(document, "of_run", lambda run: made.append(run) or whole(run))
    with watching(finished) as url:
        assert len({get(url, "/document.json") for _ in range(3)}) == 1
    assert len(made) == 1


def test_a_folder_that_is_damaged_or_gone_is_told(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "copy")
    with watching(folder) as url:
        assert get(url, "/document.json")[0] == 200
        (folder / run_folder.COMMIT).write_bytes(b"damaged")
        status, sentence = get(url, "/document.json")
        assert status == 503 and "is damaged" in sentence
        (folder / run_folder.COMMIT).unlink()
        assert get(url, "/document.json")[0] == 200
        (folder / run_folder.COMMIT).symlink_to(run_folder.COMMIT)  # which leads nowhere
        status, sentence = get(url, "/document.json")
        assert status == 503 and "is a link" in sentence
        shutil.rmtree(folder)
        status, sentence = get(url, "/document.json")
        assert status == 503 and "does not exist" in sentence
        assert get(url)[0] == 200


def test_only_its_own_files_are_served(finished):
    with watching(finished) as url:
        for path in ("/config.json", "/../config.json", "/payoffs.safetensors", "/__init__.py"):
            assert get(url, path)[0] == 404


def test_the_command(finished, tmp_path):
    """It prints where it listens, serves, and ends well by Ctrl-C."""
    done = subprocess.run(
        [COMMAND, "watch", str(tmp_path)], capture_output=True, text=True, timeout=HANGS
    )
    assert done.returncode == 2 and "no experiment" in done.stderr
    with subprocess.Popen(
        [COMMAND, "watch", str(finished)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            url = process.stdout.readline().split()[0]
            assert url.startswith("http://127.0.0.1:")
            assert "kuhn_poker" in get(url)[1]
            nicest = min(os.getpriority(os.PRIO_PROCESS, 0) + watch.NICENESS, 19)
            assert os.getpriority(os.PRIO_PROCESS, process.pid) == nicest
            process.send_signal(signal.SIGINT)
            assert process.wait(HANGS) == 0
        finally:
            process.kill()


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


PLOTS = """return Object.fromEntries([...document.querySelectorAll('.plot')].map(
    plot => [plot.id, [plot.querySelectorAll('.main-svg').length > 0, plot.data[0].type]]))"""


def wait_for_script(driver, script, *arguments):
    """Until a script returns something true; returns that."""
    return wait_for(lambda: driver.execute_script(script, *arguments))


def at_width(driver, width):
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_in_a_browser(finished, tmp_path, browser, width, scheme):
    """From disk: every plot is drawn, nothing is fetched, nothing complains or sticks out."""
    at_width(browser, width)
    wish = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [wish]})
    path = page.write(page.report([finished]), tmp_path / "report.html")
    requested(browser), console_errors(browser)  # of pages before
    browser.get(path.as_uri())
    assert browser.execute_script(PLOTS) == {
        "plot-gap": [True, "scatter"],
        "plot-weights-0": [True, "heatmap"],
        "plot-weights-1": [True, "heatmap"],
        "plot-payoffs-0-1": [True, "heatmap"],
        "plot-best-responses": [True, "scatter"],
        "plot-time": [True, "scatter"],
    }
    text = browser.execute_script("return document.body.innerText")
    assert "kuhn_poker" in text and "queen, facing a bet" in text
    wide = "return document.documentElement.scrollWidth <= window.innerWidth"
    assert browser.execute_script(wide)
    luminance = """return getComputedStyle(document.body).backgroundColor
        .match(/\\d+/g).slice(0, 3).map(Number).reduce((a, b) => a + b)"""
    assert (browser.execute_script(luminance) < 384) == (scheme == "dark")
    assert requested(browser) == [path.as_uri()]
    assert console_errors(browser) == []


def test_the_curve_s_axis_is_chosen(finished, tmp_path, browser):
    at_width(browser, 1280)
    path = page.write(page.report([finished]), tmp_path / "report.html")
    browser.get(path.as_uri())
    buttons = browser.find_elements("css selector", "#views-gap button")
    assert [button.text for button in buttons] == ["iterations", "seconds"]
    buttons[1].click()
    title = "return document.querySelector('#plot-gap').layout.xaxis.title.text"
    assert browser.execute_script(title) == "wall seconds"
    assert buttons[1].get_attribute("aria-pressed") == "true"
    assert buttons[0].get_attribute("aria-pressed") == "false"


def test_runs_beside_each_other_in_a_browser(finished, tmp_path, browser):
    psro.run(psro.RunConfig(oracle="best_response", meta_solver="uniform", iterations=2),
             out=tmp_path / "uniform")  # fmt: skip
    path = page.write(page.report([finished, tmp_path / "uniform"]), tmp_path / "report.html")
    browser.get(path.as_uri())
    drawn = browser.execute_script(PLOTS)
    assert set(drawn) == {"plot-gap", "plot-best-responses", "plot-time"}
    assert all(there for there, _ in drawn.values())
    assert console_errors(browser) == []


def test_a_live_page_in_a_browser(tmp_path, browser):
    """It follows a run without a reload, and says when it has ended and when the server is gone."""
    at_width(browser, 1280)
    fresh = experiment.create(CONFIG, out=tmp_path / "run")
    with watching(fresh.folder) as url:
        requested(browser), console_errors(browser)
        browser.get(url)
        status = "return document.getElementById('status')?.textContent === arguments[0]"
        wait_for_script(browser, status, "waiting for the first iteration")
        browser.execute_script("window.here = true")
        steps = fresh.train()
        next(steps), next(steps)
        wait_for_script(browser, status, "iteration 1 of 4 is finished")
        assert browser.execute_script("return document.querySelector('#plot-gap').data[0].x") == [
            0,
            1,
        ]
        for _ in steps:
            pass
        wait_for_script(browser, status, "ended: budget")
        gaps = browser.execute_script("return document.querySelector('#plot-gap').data[0].y")
        assert gaps == [max(record.exploitability, 1e-9) for record in fresh.records]
        assert browser.execute_script("return window.here")  # it was never loaded again
        assert all(each.startswith(url) for each in requested(browser))
        assert console_errors(browser) == []
    wait_for_script(browser, status, "psro watch has stopped")
