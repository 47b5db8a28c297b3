"""A real Chromium without a window, for tests of pages; they are skipped where there is none."""

import contextlib
import json
import shutil
import tempfile
import warnings

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1280,900",
)  # fmt: skip


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
            try:
                yield opened
            finally:
                opened.quit()


def console_errors(driver):
    """What the pages so far have complained of."""
    return [each["message"] for each in driver.get_log("browser")]


def requested(driver):
    """Every address that the pages so far have asked for, without data within a page and what the
    browser itself is made of: its start page may still be loading."""
    messages = [json.loads(each["message"])["message"] for each in driver.get_log("performance")]
    addresses = [
        each["params"]["request"]["url"]
        for each in messages
        if each["method"] == "Network.requestWillBeSent"
    ]
    return [each for each in addresses if not each.startswith(("data:", "blob:", "chrome:"))]
