"""What the tests of the dashboard's page have in common."""

import json

from browser import wait_until

from mobula import _core


def live(page):
    wait_until(page, "document.querySelector('#connection').dataset.state === 'live'")


def snapshot():
    """How things stand in the cluster right now, as it tells itself."""
    (text,) = _core.snapshots()
    return json.loads(text)


def last_run():
    return snapshot()["runs"][-1]["id"]


def shows(page, selector, value):
    """Wait until an element shows a number."""
    found = f"document.querySelector({json.dumps(selector)})"
    wait_until(page, f"{found} !== null && {found}.dataset.value === {json.dumps(str(value))}")


def says(page, selector, text):
    """Wait until an element says something."""
    found = f"document.querySelector({json.dumps(selector)})"
    wait_until(page, f"{found}?.textContent.includes({json.dumps(text)})")


def is_over(page, run, status):
    wait_until(
        page, f"document.querySelector('[data-run=\"{run}\"]')?.dataset.status === '{status}'"
    )


def text_of(page, selector):
    return page.locator(selector).first.inner_text()


def compare_with_snapshot(page, run):
    """Each number of a run on the page is that of the cluster."""
    (seen,) = [seen for seen in snapshot()["runs"] if seen["id"] == run]
    total = f"document.querySelector('[data-run=\"{run}\"] [role=progressbar]').ariaValueMax"
    wait_until(page, f"{total} === {json.dumps(str(seen['counts']['total']))}")
    for name in ("done", "cached", "failed", "skipped", "running", "waiting"):
        shows(page, f'[data-run="{run}"] [data-count="{name}"]', seen["counts"][name])
    return seen
