"""The dashboard in a real browser: a run is watched to its end, and each panel says what has happened."""

import threading
import urllib.error
import urllib.request
from operator import add

import pytest
from browser import PHONE, browser, needs_chromium, wait_until, watched
from dashboards import compare_with_snapshot, is_over, live, shows, snapshot, text_of

import mobula
import mobula.dask

pytestmark = needs_chromium

#: Lets tasks go on.
GATE = threading.Event()


def wait(number):
    GATE.wait()
    return number


def fail(_):
    raise ValueError("no luck with <b>this</b>")


@pytest.fixture(scope="module")
def chrome():
    with browser() as opened:
        yield opened


@pytest.fixture
def url():
    mobula.shutdown()
    GATE.clear()
    mobula.init(num_cpus=2, dashboard=True, memory_limit="1 GiB")
    yield mobula.dashboard_url()
    GATE.set()
    mobula.shutdown()


@pytest.fixture
def page(chrome, url):
    with watched(chrome) as page:
        page.goto(url)
        live(page)
        yield page


def test_a_run_is_watched_to_its_end(page):
    graph = {("load", i): (add, i, 1) for i in range(20)}
    graph |= {("wait", i): (wait, ("load", i)) for i in range(20)}
    graph["total"] = (sum, [("wait", i) for i in range(20)])
    answer = []
    caller = threading.Thread(target=lambda: answer.append(mobula.dask.get(graph, "total")))
    caller.start()
    wait_until(page, "document.querySelector('[data-run]') !== null")
    run = int(page.locator("[data-run]").first.get_attribute("data-run"))
    shows(page, f'[data-run="{run}"] [data-count="running"]', 2)
    seen = compare_with_snapshot(page, run)
    assert seen["counts"]["running"] == 2
    # Both workers are in a task, and the page says in which.
    tasks = {worker["task"] for worker in snapshot()["workers"]}
    for number in (0, 1):
        assert any(task in text_of(page, f'[data-worker="{number}"]') for task in tasks)

    GATE.set()
    caller.join()
    assert answer == [sum(range(1, 21))]
    is_over(page, run, "done")
    seen = compare_with_snapshot(page, run)
    assert (seen["counts"]["total"], seen["counts"]["done"]) == (41, 41)
    for prefix in seen["prefixes"]:
        row = f'[data-run="{run}"] [data-prefix="{prefix["name"]}"]'
        shows(page, f'{row} [data-count="done"]', prefix["counts"]["done"])
    tasks_of_workers = sum(worker["tasks"] for worker in snapshot()["workers"])
    assert tasks_of_workers == 41


def test_the_traceback_of_a_failed_task_can_be_read(page):
    with pytest.raises(ValueError, match="no luck"):
        mobula.dask.get({"x": (add, 1, 1), "wrong": (fail, "x")}, "wrong")
    wait_until(page, "document.querySelector('[data-error]') !== null")
    error = page.locator("[data-error]").first
    assert "wrong" in error.inner_text()
    page.locator("[data-error] details summary").first.focus()
    page.keyboard.press("Enter")
    traceback = page.locator("[data-error] details").first.inner_text()
    assert "Traceback (most recent call last)" in traceback
    assert "in fail" in traceback and "no luck with <b>this</b>" in traceback
    run = snapshot()["runs"][-1]["id"]
    is_over(page, run, "failed")
    compare_with_snapshot(page, run)


def test_a_key_is_looked_up(page):
    with pytest.raises(ValueError, match="no luck"):
        mobula.dask.get({("wrong", 0): (fail, 1)}, ("wrong", 0))
    field = page.locator("form input[type=search], form input[type=text]").first
    field.fill("('wrong', 0)")
    field.press("Enter")
    wait_until(page, "document.querySelector('#explanation').innerText.includes('no luck')")
    assert "no run that goes on" in text_of(page, "#explanation")


def test_memory_is_that_of_the_store(page):
    kept = mobula.put(b"x" * 50_000_000)
    held = snapshot()["memory"]["bytes"]
    assert held >= 50_000_000
    shows(page, '[data-memory="bytes"]', held)
    shows(page, '[data-memory="limit"]', 1 << 30)
    resident = page.locator('[data-memory="resident"]').first.get_attribute("data-value")
    assert int(resident) > 1 << 20
    del kept


def test_the_graph_of_a_run_is_drawn(page):
    mobula.dask.get({"a": (add, 1, 1), "b": (add, "a", 1), "c": (add, "a", "b")}, "c")
    page.locator("#graph").scroll_into_view_if_needed()  # It is asked for when it is seen.
    wait_until(page, "document.querySelectorAll('#graph [data-node]').length === 3")
    states = page.locator("#graph [data-node]").evaluate_all("all => all.map(n => n.dataset.state)")
    assert states == ["done"] * 3 or states == ["2"] * 3


def test_twenty_thousand_tasks_end_with_the_right_counts(page):
    graph = {("x", i): (add, i, 1) for i in range(20_000)}
    mobula.dask.get(graph, list(graph))
    run = snapshot()["runs"][-1]["id"]
    is_over(page, run, "done")
    seen = compare_with_snapshot(page, run)
    assert seen["counts"]["done"] == 20_000
    assert page.locator("*").count() < 5_000


def test_a_long_traceback_comes_when_it_is_opened(page):
    def fail(x):
        raise ValueError("long " * 2_000 + "end")

    with pytest.raises(ValueError, match="long"):
        mobula.dask.get({"x": (fail, 1)}, "x")
    page.locator("[data-error] details summary").first.click()
    shown = "document.querySelector('[data-error] pre').textContent"
    wait_until(page, f"{shown}.includes('Traceback (most recent call last)')")
    assert page.evaluate(shown).rstrip().endswith("long end")
    assert any("/api/snapshot" in request for request in page.requests)


def test_the_end_is_told_and_the_last_numbers_stay(chrome, url):
    # What the page asks for just then is refused, and the browser itself says so in the console.
    page = chrome.new_page()
    page.goto(url)
    live(page)
    mobula.dask.get({"x": (add, 1, 1)}, "x")
    run = snapshot()["runs"][-1]["id"]
    shows(page, f'[data-run="{run}"] [data-count="done"]', 1)
    mobula.shutdown()
    wait_until(page, "document.querySelector('#connection').dataset.state === 'ended'")
    shows(page, f'[data-run="{run}"] [data-count="done"]', 1)
    page.close()


def test_a_wrong_token_and_a_foreign_host_are_refused(chrome, url):
    page = chrome.new_page()
    answer = page.goto(url[:-1] + ("0" if url[-1] != "0" else "1"))
    assert answer.status == 401
    assert "dashboard_url()" in page.inner_text("body")
    page.close()
    request = urllib.request.Request(url, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="421"):
        urllib.request.urlopen(request)


def test_the_page_asks_nobody_but_its_host(page, url):
    mobula.dask.get({"x": (add, 1, 1)}, "x")
    origin = url.split("/?")[0]
    assert all(asked.startswith((f"{origin}/", "data:")) for asked in page.requests)


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_it_fits_every_screen(chrome, url, look):
    options = dict(PHONE) if look == "phone" else {"viewport": {"width": 1440, "height": 1300}}
    options["color_scheme"] = "dark" if look == "dark" else "light"
    with watched(chrome, **options) as page:
        page.goto(url)
        live(page)
        for round in range(2):
            graph = {("load", i): (pow, i + 3, 40_000) for i in range(40)}
            graph |= {("clean", i): (int.bit_length, ("load", i)) for i in range(40)}
            graph |= {("pair", i): (add, ("clean", i), ("clean", i + 1)) for i in range(0, 40, 2)}
            graph["total"] = (sum, [("pair", i) for i in range(0, 40, 2)])
            mobula.dask.get(graph, "total")
            with pytest.raises(ValueError, match="no luck"):
                mobula.dask.get({("parse", round): (fail, 1)}, ("parse", round))
        runs = snapshot()["runs"]
        for run in runs[-3:]:
            wait_until(page, f"document.querySelector('[data-run=\"{run['id']}\"]') !== null")
        page.locator("#graph").scroll_into_view_if_needed()
        wait_until(page, "document.querySelectorAll('#graph [data-node]').length > 0")
        page.evaluate("scrollTo(0, 0)")
        wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert page.evaluate(wide)
