"""A real Chromium without a window, for tests of pages; they are skipped where there is none."""

import contextlib
import json
import shutil
import tempfile
import time
import warnings

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1280,900",
)  # fmt: skip
HANGS = 300
"""Seconds after which a test that waits for a browser or a server fails: however busy the machine
is, none takes so long."""
THE_BROWSERS_OWN = ("chrome:", "chrome-untrusted:", "chrome-extension:", "devtools:")
"""How the addresses begin of pages that belong to the browser, such as that of its new tabs."""


@contextlib.contextmanager
def chromium():
    """Yields a selenium driver with an empty profile that logs the console and the network."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = selenium.ChromeOptions()
        options.binary_location = binary
        for option in (*OPTIONS, f"--user-data-dir={profile}"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # of sockets within selenium
            opened = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
            opened.set_page_load_timeout(HANGS)
            opened.set_script_timeout(HANGS)
            _wait_for_pages(opened)
            try:
                opened.get("about:blank")
                yield opened
            finally:
                opened.quit()


def _wait_for_pages(driver):
    """Has `driver.get` return only when the page that it was given is there and its scripts have
    run: on a busy machine the driver may still be on the page before."""
    get = driver.get
    there = (
        "return document.readyState === 'complete'"
        " && decodeURI(location.href).startsWith(decodeURI(arguments[0]))"
    )

    def get_and_wait(address):
        get(address)
        wait_for(lambda: driver.execute_script(there, address.rstrip("/")))

    driver.get = get_and_wait


def console_errors(driver):
    """What the pages so far have complained of."""
    messages = [entry["message"] for entry in driver.get_log("browser")]
    return [message for message in messages if not message.startswith(THE_BROWSERS_OWN)]


def requested(driver):
    """Every address that our pages so far have asked for, but for data within a page. What the
    browser's own pages ask for is not ours: the page of new tabs may still be loading."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    requests = [
        message["params"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    return [
        request["request"]["url"]
        for request in requests
        if not request["documentURL"].startswith(THE_BROWSERS_OWN)
        and not request["request"]["url"].startswith(("about:", "data:", "blob:"))
    ]


def wait_for(condition):
    """Waits until `condition()` is true, and returns what it returns."""
    ends = time.monotonic() + HANGS
    while not (result := condition()):
        assert time.monotonic() < ends, f"waited in vain; the last was {result!r}"
        time.sleep(0.02)
    return result
