"""Pages in a real browser, which tell all that they complain about and all that they ask for."""

import os
import shutil
import sys
from contextlib import contextmanager

import pytest

if os.environ.get("CI") and sys.prefix.endswith("newest"):
    # Where pages must be tested, what is missing shows.
    import playwright.sync_api as playwright
else:
    # The environments of older Dasks have none.
    playwright = pytest.importorskip("playwright.sync_api")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True}


def chromium():
    """The path of the browser: `MOBULA_CHROMIUM`, or the first one that is installed; else `None`."""
    names = ["chromium", "chromium-browser", "google-chrome", "chrome"]
    found = (shutil.which(name) for name in names)
    return os.environ.get("MOBULA_CHROMIUM") or next(filter(None, found), None)


#: Where pages must be tested, what is missing shows.
needs_chromium = pytest.mark.skipif(
    chromium() is None and not os.environ.get("CI"), reason="there is no Chromium"
)


@contextmanager
def browser(*flags):
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium(), args=[*FLAGS, *flags])
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def watched(opened, **options):
    """A page, and the list of what was wrong with it: complaints in the console, errors, failed requests."""
    page = opened.new_page(**{**DESKTOP, **options})
    complaints = []
    page.requests = []
    page.on("request", lambda request: page.requests.append(request.url))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on(
        "console",
        lambda message: message.type in ("error", "warning") and complaints.append(message.text),
    )
    try:
        yield page
        page.evaluate("0")  # What it has to say is here by then.
        told = list(complaints)
    finally:
        page.close()
    # What it still asks for when it goes is not complained of.
    assert told == [], told


def wait_until(page, expression):
    """Wait until an expression is true. (Playwright's own way makes code from text, which pages forbid.)"""
    for _ in range(1000):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(10)
    raise AssertionError(f"this never became true: {expression}")
