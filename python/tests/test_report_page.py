"""The report in a real browser: it opens offline without a complaint, and shows what the journal says."""

import html
import json
import re

import pytest
from browser import PHONE, browser, needs_chromium, wait_until, watched
from journals import TRACEBACK, Journal, pipeline

import mobula

pytestmark = needs_chromium


def write_report(journal, folder):
    """Have a journal made into a report and a trace."""
    source, report, trace = (folder / f"run.{ending}" for ending in ("jsonl", "html", "json"))
    source.write_text(journal.lines(), encoding="utf-8")
    recording = mobula.read_journal(source)
    recording.report(report)
    recording.trace(trace)
    return report


@pytest.fixture(scope="module")
def chrome():
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def failing():
    return pipeline(1400, fail=True)


@pytest.fixture(scope="module")
def report(failing, tmp_path_factory):
    return write_report(failing, tmp_path_factory.mktemp("report"))


@pytest.fixture
def page(chrome, report):
    with opened(chrome, report) as page:
        yield page


class opened:
    """A report in a page, once it is drawn; afterwards it must have asked for nothing but itself."""

    def __init__(self, chrome, report, **options):
        self.watch = watched(chrome, **options)
        self.url = report.as_uri()

    def __enter__(self):
        self.page = self.watch.__enter__()
        self.page.goto(self.url)
        wait_until(self.page, "performance.getEntriesByName('keys read').length === 1")
        return self.page

    def __exit__(self, *error):
        self.watch.__exit__(*error)
        assert self.page.requests == [self.url]


def spans(journal):
    """By task that was seen to end: its prefix, whether it failed, how long it took and its bytes."""
    names, prefixes = [], []
    for record in journal.records:
        if record["t"] == "keys":
            names += record["new_prefixes"]
            prefixes += [names[place] for place in record["prefixes"]]
    for record in journal.records:
        if record["t"] == "ended":
            took = (record["to"] - record["from"]) / len(record["tasks"])
            for task, size in zip(record["tasks"], record["bytes"], strict=True):
                yield prefixes[task], record.get("failed", False), took, size


def table(page, section):
    """The rows of a section's table: name of the row, then numbers and texts."""
    script = """(rows) => rows.map((row) => [...row.cells].map((cell) =>
        cell.dataset.value !== undefined ? Number(cell.dataset.value) : cell.textContent.trim()))"""
    return page.eval_on_selector_all(f"#{section} tbody tr", script)


def test_prefixes_are_summed_as_the_journal_says(page, failing):
    expected = {}
    for prefix, failed, took, size in spans(failing):
        row = expected.setdefault(prefix, [0, 0, 0, 0, 0])
        row[1 if failed else 0] += 1
        row[2] += took
        row[3] = max(row[3], took)
        row[4] += size
    rows = {name: numbers for name, *numbers in table(page, "prefixes")}
    assert list(rows) == sorted(expected, key=lambda name: -expected[name][2])
    whole = sum(row[2] for row in expected.values())
    for name, (tasks, failed, time, longest, size) in expected.items():
        shown = rows[name]
        assert shown[:3] == [tasks, failed, time]
        assert shown[3:6] == [time // (tasks + failed), longest, size]
        assert shown[6] == pytest.approx(time / whole, abs=1e-6)


def test_workers_are_summed_as_the_journal_says(page, failing):
    ends = [record for record in failing.records if record["t"] == "ended"]
    for worker, process, tasks, failed, busy, _share in table(page, "workers"):
        mine = [record for record in ends if record["worker"] == worker]
        assert process == 4712 + worker
        assert failed == sum(record.get("failed", False) for record in mine)
        assert tasks == len(mine) - failed
        assert busy == sum(record["to"] - record["from"] for record in mine)


def test_the_end_of_the_run_stands_on_top(page, failing):
    end = failing.records[-1]
    assert page.inner_text("h1").split() == ["Mobula", "report", "failed"]
    assert end["error"] in page.inner_text(".notice-failed")
    figures = page.inner_text(".figures")
    assert f"{end['done']:,}" in figures
    assert "of 1,400, 1 failed, 5 skipped" in figures
    run = table(page, "runs")[0]
    assert run[0] == 1 and run[1] == "failed"
    assert run[4:] == [1400, end["done"], 0, 1, 5]


def test_callbacks_are_told_with_their_share(page, failing):
    hooks = {hook["callback"]: hook for hook in failing.records[-1]["hooks"]}
    rows = table(page, "callbacks")
    assert {row[0] for row in rows} == set(hooks)
    in_tasks = sum(took for _, _, took, _ in spans(failing)) / 1e9
    everything = in_tasks + sum(hook["seconds"] for hook in hooks.values())
    for name, calls, seconds, share in rows:
        assert (calls, seconds) == (hooks[name]["calls"], pytest.approx(hooks[name]["seconds"]))
        assert share == pytest.approx(hooks[name]["seconds"] / everything, abs=1e-6)


def test_the_traceback_of_the_task_that_failed_can_be_read(page):
    attempts = page.locator("#errors details")
    assert attempts.count() == 2
    assert "tried again" in attempts.nth(0).inner_text()
    last = attempts.nth(1)
    assert last.get_attribute("open") is not None
    assert "given up after 2 attempts" in last.locator("summary").inner_text()
    assert last.locator("pre").inner_text() == TRACEBACK
    first = attempts.nth(0)
    first.locator("summary").focus()
    page.keyboard.press("Enter")
    assert first.locator("pre").inner_text() == TRACEBACK


def test_a_table_sorts_by_keyboard(page):
    head = page.locator("#prefixes thead button", has_text="Tasks")
    head.focus()
    page.keyboard.press("Enter")
    tasks = [row[1] for row in table(page, "prefixes")]
    assert tasks == sorted(tasks, reverse=True)
    assert page.locator("#prefixes th[aria-sort=descending]").inner_text() == "Tasks"
    page.keyboard.press("Enter")
    assert [row[1] for row in table(page, "prefixes")] == sorted(tasks)
    page.locator("#prefixes thead button", has_text="Prefix").click()
    names = [row[0] for row in table(page, "prefixes")]
    assert names == sorted(names)


STREAM = "#stream canvas"
TIP = "#stream .drawing-tip"


def label(page):
    return page.get_attribute(STREAM, "aria-label")


def test_the_stream_tells_what_it_shows(page, failing):
    count = sum(1 for _ in spans(failing))
    assert f"{count:,} tasks in 8 workers, 2 failed; shown from 0 s to" in label(page)
    legend = page.locator("#stream .legend button").all_inner_texts()
    assert legend == ["read-csv", "astype", "getitem", "sum-chunk", "sum-agg", "to-parquet"]


def test_the_stream_goes_by_keyboard_from_task_to_task(page):
    page.focus(STREAM)
    page.keyboard.press("ArrowRight")
    first = page.inner_text(TIP)
    assert re.match(r"\('[a-z-]+-[0-9a-f]{32}', \d+\)\n[a-z-]+, run 1, worker 0\n", first)
    page.keyboard.press("ArrowRight")
    second = page.inner_text(TIP)
    assert second != first and "worker 0" in second
    page.keyboard.press("ArrowLeft")
    assert page.inner_text(TIP) == first
    page.keyboard.press("ArrowDown")
    assert "worker 1" in page.inner_text(TIP)
    assert page.inner_text("#stream [aria-live]").split() == page.inner_text(TIP).split()
    page.keyboard.press("Escape")
    assert page.locator(TIP).is_hidden()


def shown(page):
    """How many seconds the stream shows, as it says."""
    text = page.inner_text("#stream .drawing-tools .note")
    number, unit = re.match(r"([\d.]+) (\w+) shown", text).groups()
    return float(number) * {"s": 1, "ms": 1e-3, "µs": 1e-6}[unit]


def test_the_stream_zooms_by_keys_buttons_and_wheel(page):
    page.emulate_media(reduced_motion="reduce")
    everything = shown(page)
    page.focus(STREAM)
    page.keyboard.press("+")
    assert shown(page) == pytest.approx(everything / 2, rel=0.02)
    page.click("#stream button[aria-label='Zoom in']")
    assert shown(page) == pytest.approx(everything / 4, rel=0.02)
    page.keyboard.press("Tab")
    page.click("#stream button[aria-label='All tasks']")
    assert shown(page) == pytest.approx(everything, rel=0.02)
    page.hover(STREAM)
    before = page.evaluate("scrollY")
    page.mouse.wheel(0, 200)
    wait_until(page, f"scrollY > {before}")
    assert shown(page) == pytest.approx(everything, rel=0.02), "the wheel scrolls the page"
    page.locator(STREAM).click()
    page.mouse.wheel(0, -400)
    wait_until(
        page, "document.querySelector('#stream .note:last-child').textContent.includes('ms')"
    )
    assert shown(page) < everything / 2


def test_the_stream_is_dragged_and_points(page):
    page.emulate_media(reduced_motion="reduce")
    page.focus(STREAM)
    for _ in range(5):
        page.keyboard.press("+")
    box = page.locator(STREAM).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 12
    page.mouse.move(x, y)
    text = page.inner_text(TIP)
    assert "worker 0" in text
    page.mouse.down()
    page.mouse.move(x - 300, y, steps=4)
    page.mouse.up()
    page.mouse.move(x - 301, y)
    assert page.inner_text(TIP) == text, "what was under the pointer still is"
    page.mouse.move(x, y + 300)
    assert page.locator(TIP).is_hidden()


def test_a_prefix_is_highlighted(page):
    entry = page.locator("#stream .legend button", has_text="astype")
    before = page.locator(STREAM).screenshot()
    entry.click()
    assert entry.get_attribute("aria-pressed") == "true"
    assert page.locator(STREAM).screenshot() != before
    entry.click()
    assert entry.get_attribute("aria-pressed") == "false"


def colours(page, selector):
    """How many pixels of each colour a canvas shows."""
    script = """(canvas) => {
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
        copy.drawImage(canvas, 0, 0);
        const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
        const counts = {};
        for (let i = 0; i < data.length; i += 4) {
            if (data[i + 3] !== 255) continue;
            const colour = "#" + [0, 1, 2].map((j) => data[i + j].toString(16).padStart(2, "0")).join("");
            counts[colour] = (counts[colour] ?? 0) + 1;
        }
        return counts;
    }"""
    return page.eval_on_selector(selector, script)


def token(page, name):
    script = "(name) => getComputedStyle(document.documentElement).getPropertyValue(name)"
    return page.evaluate(script, name).strip()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_are_those_of_the_theme(chrome, report, scheme):
    with opened(chrome, report, color_scheme=scheme) as page:
        seen = colours(page, STREAM)
        area = sum(seen.values())
        for place in range(4):
            assert seen[token(page, f"--prefix-{place}")] > area / 200, f"prefix {place}"
        assert seen[token(page, "--failed")] > 20
        page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
        for _ in range(200):
            if seen != colours(page, STREAM):
                break
            page.wait_for_timeout(50)
        else:
            pytest.fail("it is not drawn anew when the theme changes")


def test_the_graph_shows_each_task_and_fits_on_demand(page, failing):
    svg = page.locator("#graph svg")
    assert page.inner_text("#graph summary") == "Run 1, 1,400 tasks"
    nodes = svg.locator("title").all_text_contents()
    keys = failing.records[10]["keys"]
    assert sum(any(key in node for node in nodes) for key in keys[:50]) == 50
    assert svg.bounding_box()["width"] > 2000
    page.locator("#graph button", has_text="Fit to width").click()
    assert svg.bounding_box()["width"] < 1200


def test_memory_is_told_in_words(page, failing):
    samples = [record for record in failing.records if record["t"] == "memory"]
    text = page.get_attribute("#memory canvas", "aria-label")
    most = max(record["bytes"] for record in samples) / (1 << 20)
    assert f"at most {most:.0f} MiB" in text
    page.focus("#memory canvas")
    page.keyboard.press("ArrowRight")
    assert "values in memory: " in page.inner_text("#memory .drawing-tip")


def test_all_that_works_by_pointer_can_be_reached_by_tab(page):
    page.focus("nav a")
    seen = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "document.activeElement.closest('section')?.id + ' ' + document.activeElement.tagName"
        )
        if "callbacks" in name:
            break
        seen.add(name)
    assert {"stream CANVAS", "stream BUTTON", "prefixes BUTTON", "memory CANVAS"} <= seen
    assert {"errors SUMMARY", "errors PRE", "incidents SUMMARY"} <= seen


def test_a_phone_shows_it_without_scrolling_sideways(chrome, report):
    with opened(chrome, report, **PHONE) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        for target in page.locator("#stream .drawing-tools button:visible").all():
            box = target.bounding_box()
            assert min(box["width"], box["height"]) >= 40
        page.locator(STREAM).tap()
        assert "worker" in page.inner_text(TIP)


def test_nothing_that_comes_with_a_key_is_markup(chrome, tmp_path):
    evil = "</script><script>document.title = 'taken'</script><img src=x onerror=alert(1)>"
    journal = Journal(1)
    journal.run(1, [evil], [evil], [[]])
    journal.end(1, 0, 0, 5_000_000, failed=True)
    journal.add("failed", at=0.006, run=1, task=0, error=evil, details=evil)
    journal.add("given_up", at=0.006, run=1, task=0, attempts=1)
    journal.finish(1, "failed", error=evil, hooks=[{"callback": evil, "calls": 1, "seconds": 1.0}])
    with opened(chrome, write_report(journal, tmp_path)) as page:
        assert page.title() == "Mobula report: 1 run, 1 task, failed"
        assert page.locator("img").count() == 0
        assert page.locator("#errors pre").inner_text() == evil
        assert table(page, "prefixes")[0][0] == evil
        page.focus(STREAM)
        page.keyboard.press("ArrowRight")
        assert page.inner_text(TIP).startswith(evil)
        assert html.escape(evil, quote=False) in page.inner_html("#stream .legend")


def test_each_of_very_many_prefixes_has_its_own_name(chrome, tmp_path):
    names = [f"name{number}" for number in range(70_000)]
    journal = Journal(1)
    journal.run(1, names, names, [[] for _ in names])
    journal.end(1, 69_999, 0, 5_000_000)
    journal.finish(1)
    with opened(chrome, write_report(journal, tmp_path)) as page:
        page.focus(STREAM)
        page.keyboard.press("ArrowRight")
        assert page.inner_text(TIP).startswith("name69999\nname69999, run 1, worker 0\n")


def test_a_run_that_crashed_has_a_report(chrome, failing, tmp_path):
    class Cut:
        def lines(self):
            return failing.lines()[:-20_000]

    with opened(chrome, write_report(Cut(), tmp_path)) as page:
        assert "Run 1 has no end" in page.inner_text(".notice-warning")
        assert sum(row[1] for row in table(page, "prefixes")) > 1000


def test_a_recording_of_nothing_has_a_report(chrome, tmp_path):
    report = write_report(Journal(0), tmp_path)
    with watched(chrome) as page:
        page.goto(report.as_uri())
        assert "No run was seen." in page.inner_text("#runs")


def test_the_trace_is_as_the_journal_says(failing, report):
    events = json.loads(report.with_suffix(".json").read_text())["traceEvents"]
    tasks = [event for event in events if event["ph"] == "X"]
    seen = sorted((event["name"], round(event["dur"] * 1000)) for event in tasks)
    assert seen == sorted((prefix, took) for prefix, _, took, _ in spans(failing))
