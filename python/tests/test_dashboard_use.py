"""The dashboard's page for everybody: by keyboard, by what it says to screen readers, in every light."""

import json
import threading
from operator import add

import dask
import pytest
from browser import PHONE, browser, needs_chromium, wait_until, watched
from dashboards import is_over, last_run, live, says, shows, snapshot, text_of

import mobula
import mobula.dask

pytestmark = needs_chromium

EVIL = "</script><script>document.title = 'taken'</script><img src=x onerror=alert(1)>"

#: Lets tasks go on.
GATE = threading.Event()


def wait(number):
    GATE.wait()
    return number


def fail(_):
    raise ValueError(EVIL)


class Flaky:
    """Fails the first time."""

    def __init__(self):
        self.calls = 0

    def __call__(self, number):
        self.calls += 1
        if self.calls == 1:
            raise ConnectionError("the peer has gone")
        return number


@mobula.remote
class Counter:
    def __init__(self):
        self.count = 0

    def add(self, number):
        self.count += number
        return self.count


@pytest.fixture(scope="module")
def chrome():
    with browser() as opened:
        yield opened


@pytest.fixture
def url():
    mobula.shutdown()
    GATE.clear()
    mobula.init(num_cpus=2, dashboard=0)
    yield mobula.dashboard_url()
    GATE.set()
    mobula.shutdown()


@pytest.fixture
def page(chrome, url):
    with watched(chrome) as page:
        page.goto(url)
        live(page)
        yield page


def focus_of(page):
    return page.evaluate("document.activeElement.getAttribute('data-node')")


def test_actors_are_shown_with_the_calls_they_were_sent(page):
    counter = Counter.remote()
    assert mobula.get([counter.add.remote(1) for _ in range(7)])[-1] == 7
    (state,) = snapshot()["states"]
    assert (state["name"], state["messages"], state["is_alive"]) == ("Counter", 7, True)
    shows(page, "[data-state-actor=Counter] td", 7)
    mobula.kill(counter)
    wait_until(
        page, "document.querySelector('[data-state-actor=Counter]').dataset.alive === 'false'"
    )


def test_a_task_that_was_tried_again_is_no_failure(page):
    flaky = dask.delayed(Flaky(), pure=False)
    with dask.annotate(retries=1):
        value = flaky(5, dask_key_name="flaky")
    assert value.compute(scheduler="mobula") == 5
    run = last_run()
    is_over(page, run, "done")
    shows(page, f"[data-run='{run}'] [data-count=retried]", 1)
    shows(page, f"[data-run='{run}'] [data-count=failed]", 0)
    shows(page, "[data-total=failed]", 0)
    says(page, "[data-error] .status", "tried again")
    says(page, "[data-error] pre", "ConnectionError: the peer has gone")


def test_the_stream_tells_how_many_tasks_it_has_seen(page):
    graph = {("x", i): (add, i, 1) for i in range(5_000)}
    mobula.dask.get(graph, list(graph))
    label = "document.querySelector('#stream canvas')?.getAttribute('aria-label')"
    wait_until(page, f"{label}?.startsWith('Task stream: 5,000 tasks in 2 workers;')")


def test_nothing_that_comes_from_the_cluster_is_markup(page):
    with pytest.raises(ValueError, match="script"):
        mobula.dask.get({(EVIL, 0): (fail, 1)}, (EVIL, 0))
    run = last_run()
    is_over(page, run, "failed")
    page.locator("#graph").scroll_into_view_if_needed()
    wait_until(page, "document.querySelector('[data-node]') !== null")
    page.locator("[data-error] summary").click()
    page.get_by_role("button", name="Look up the key").click()
    says(page, "#explanation", "onerror=alert(1)")
    assert page.locator("img").count() == 0
    assert "taken" not in page.title()
    says(page, "[data-error] pre", EVIL)
    says(page, f"[data-run='{run}'] [data-run-error]", EVIL)


def test_very_many_prefixes_are_told_in_short(page):
    graph = {f"single{i}": (add, i, 1) for i in range(3_000)} | {"last": (add, 1, 1)}
    mobula.dask.get(graph, list(graph))
    run = last_run()
    is_over(page, run, "done")
    says(page, f"[data-run='{run}'] summary", "3,001 key prefixes")
    shows(page, f"[data-run='{run}'] .share", 3_001)
    assert page.locator("*").count() < 5_000
    assert len(json.dumps(snapshot())) < 200_000


def test_a_graph_that_is_not_known_any_more_is_no_mistake(page):
    page.locator("#graph").scroll_into_view_if_needed()
    # The graph is asked for when the run is over.
    page.evaluate(
        """() => {
            const ask = window.fetch;
            const over = new Promise((go) => { window.go = go; });
            window.fetch = (url) => over.then(() => ask(url));
        }"""
    )
    graph = {("x", i): (add, i, 1) for i in range(3_000)}
    mobula.dask.get(graph, list(graph))
    is_over(page, last_run(), "done")
    page.evaluate("go()")
    says(page, "#graph", "The graph of this run is not known any more.")


def test_a_graph_is_walked_by_keyboard(page):
    graph = {"a": (add, 1, 1), "b": (add, "a", 1), "c": (add, "a", 2), "d": (add, "b", "c")}
    mobula.dask.get(graph, "d")
    page.locator("#graph").scroll_into_view_if_needed()
    wait_until(page, "document.querySelectorAll('#graph [data-node]').length === 4")
    page.locator("#graph .graph").focus()
    page.keyboard.press("Tab")
    assert focus_of(page) == "a"
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "a, done"
    page.keyboard.press("ArrowDown")
    first = focus_of(page)
    page.keyboard.press("ArrowRight" if first == "b" else "ArrowLeft")
    assert {first, focus_of(page)} == {"b", "c"}
    page.keyboard.press("ArrowDown")
    assert focus_of(page) == "d"
    page.keyboard.press("ArrowDown")
    assert focus_of(page) == "d"
    page.keyboard.press("Enter")
    says(page, "#explanation h3", "d")
    assert page.input_value("#lookup-key") == "d"


def test_all_that_works_by_pointer_can_be_reached_by_tab(page):
    with pytest.raises(ValueError, match="script"):
        mobula.dask.get({"x": (add, 1, 1), "wrong": (fail, "x")}, "wrong")
    page.locator("#graph").scroll_into_view_if_needed()
    wait_until(page, "document.querySelector('[data-node]') !== null")
    page.locator(".skip").focus()
    seen = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        name = (
            "document.activeElement.closest('section')?.id + ' ' + document.activeElement.localName"
        )
        seen.add(page.evaluate(name))
        if page.evaluate("document.activeElement.matches('.node')"):
            break
    assert {"runs summary", "stream button", "stream canvas", "errors summary"} <= seen
    assert {"memory canvas", "lookup input", "lookup button", "workers button"} <= seen
    assert {"graph select", "graph button", "graph g"} <= seen


#: What can be used, or is a picture, and has no name for those who do not see it.
NAMELESS = """() => {
    const labelled = (e) => document.getElementById(e.getAttribute("aria-labelledby")) || e.labels?.length;
    const named = (e) => e.getAttribute("aria-label") || labelled(e) || e.textContent.trim() || e.title;
    const all = document.querySelectorAll("button, input, select, canvas, [role], section, summary, th");
    return [...all].filter((e) => e.checkVisibility() && !named(e)).map((e) => e.outerHTML.slice(0, 120));
}"""

#: Words whose contrast to what is behind them is below that of WCAG's level AA.
PALE = """() => {
    const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const paint = (colours) => {
        context.clearRect(0, 0, 1, 1);
        for (const colour of colours) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (rgb) => {
        const linear = rgb.map((value) => {
            const v = value / 255;
            return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const pale = [];
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
        const isSeen = element.checkVisibility({ opacityProperty: true });
        if (!own || !isSeen || element.closest("svg, .unseen, noscript, option")) continue;
        const behind = [];
        for (let e = element; e; e = e.parentElement) behind.unshift(getComputedStyle(e).backgroundColor);
        const style = getComputedStyle(element);
        const [a, b] = [paint(behind), paint([...behind, style.color])].map(light);
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const size = parseFloat(style.fontSize);
        const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        const text = element.textContent.trim().slice(0, 40);
        if (ratio < (isLarge ? 3 : 4.5)) pale.push(`${ratio.toFixed(2)} ${text}`);
    }
    return pale;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_has_a_name_and_enough_contrast(chrome, url, scheme):
    options = {"color_scheme": scheme, "reduced_motion": "reduce"}
    with watched(chrome, **options) as page:
        page.goto(url)
        live(page)
        counter = Counter.remote()
        mobula.get(counter.add.remote(1))
        with pytest.raises(ValueError, match="script"):
            mobula.dask.get({"x": (add, 1, 1), "wrong": (fail, "x")}, "wrong")
        is_over(page, last_run(), "failed")
        graph = {("wait", i): (wait, i) for i in range(8)} | {
            "end": (sum, [("wait", i) for i in range(8)])
        }
        caller = threading.Thread(target=mobula.dask.get, args=(graph, "end"))
        caller.start()
        wait_until(page, "document.querySelectorAll('[data-worker][data-state=busy]').length === 2")
        page.locator("[data-error] summary").click()
        page.fill("#lookup-key", "wrong")
        page.press("#lookup-key", "Enter")
        says(page, "#explanation", "no run that goes on")
        page.locator("#graph").scroll_into_view_if_needed()
        wait_until(page, "document.querySelectorAll('#graph [data-state=running]').length === 2")
        assert page.evaluate(NAMELESS) == []
        assert page.evaluate(PALE) == []
        GATE.set()
        caller.join()


def test_what_matters_is_announced(page):
    mobula.dask.get({"x": (add, 1, 1)}, "x")
    says(page, "#announcer", f"Run {last_run()} is done, 1 task, after ")
    assert page.get_attribute("#announcer", "aria-live") == "polite"
    with pytest.raises(ValueError, match="script"):
        mobula.dask.get({"wrong": (fail, 1)}, "wrong")
    says(page, "#announcer", "Task wrong failed: ")


def test_a_bar_says_what_it_shows(page):
    graph = {("wait", i): (wait, i) for i in range(8)} | {
        "end": (sum, [("wait", i) for i in range(8)])
    }
    caller = threading.Thread(target=mobula.dask.get, args=(graph, "end"))
    caller.start()
    wait_until(page, "document.querySelector('[data-run] [role=progressbar]') !== null")
    bar = page.locator("[data-run] [role=progressbar]").first
    run = page.locator("[data-run]").first.get_attribute("data-run")
    assert bar.get_attribute("aria-label") == f"Run {run}"
    wait_until(page, "document.querySelector('[data-run] [role=progressbar]').ariaValueMax === '9'")
    assert bar.get_attribute("aria-valuetext") == "0 %, 0 of 9 tasks"
    GATE.set()
    caller.join()
    is_over(page, run, "done")
    assert bar.get_attribute("aria-valuetext") == "100 %, 9 of 9 tasks"


def test_a_phone_shows_all_of_it_in_one_column(chrome, url):
    with watched(chrome, **PHONE) as page:
        page.goto(url)
        live(page)
        with pytest.raises(ValueError, match="script"):
            mobula.dask.get({("a-long-name" * 20, 0): (fail, 1)}, ("a-long-name" * 20, 0))
        is_over(page, last_run(), "failed")
        page.locator("[data-error] summary").tap()
        assert "Traceback" in text_of(page, "[data-error] pre")
        page.locator("#graph").scroll_into_view_if_needed()
        wait_until(page, "document.querySelector('[data-node]') !== null")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        lefts = page.locator("main section").evaluate_all(
            "all => all.map((e) => Math.round(e.getBoundingClientRect().left))"
        )
        assert len(set(lefts)) == 1
        for target in page.locator("button:visible").all():
            box = target.bounding_box()
            assert box["height"] >= 24 and box["width"] >= 24, target.inner_text()
