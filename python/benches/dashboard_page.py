#!/usr/bin/env python3
"""How soon the dashboard is painted, and how smooth it stays while many tasks run.

    python python/benches/dashboard_page.py [--tasks N] [--times N]

It opens the dashboard of a cluster of two workers in a fresh browser, runs a graph of that many tasks
in five groups of keys while the page is open, closes all, does that again, and prints one figure a
line, the best and the worst of all times. Needs the installed package, Playwright and an installed
Chromium. The targets are a first paint within 1 second, and that 100,000 tasks stay smooth: that no
piece of the page's own work takes as long as 200 ms, beyond which people feel that they wait.

The browser and the workers share the cores, so frames come late when tasks want both: the gap between
two frames is told as well, with how many there were in a second.
"""

import argparse
import sys
import threading
from operator import add
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "python" / "tests"))

from browser import browser, watched  # noqa: E402
from dashboards import is_over, live, snapshot  # noqa: E402

import mobula  # noqa: E402
import mobula.dask  # noqa: E402

#: Notes from the beginning how long each piece of work of the page takes, and how far apart frames are.
WATCH = """
window.pieces = [];
window.gaps = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) pieces.push(entry.duration);
}).observe({ type: "longtask", buffered: true });
let last;
const frame = (now) => {
  if (last !== undefined) gaps.push(now - last);
  last = now;
  requestAnimationFrame(frame);
};
requestAnimationFrame(frame);
"""

PAINT = "performance.getEntriesByName('first-contentful-paint').map((entry) => entry.startTime)[0]"


def graph(tasks):
    """Sums of numbers in five groups of keys, each of which needs the one before."""
    layers = ["load", "inc", "double", "square", "store"]
    keys = [(layer, i) for layer in layers for i in range(tasks // len(layers))]
    before = dict(zip(layers[1:], layers, strict=False))
    return {(layer, i): (add, (before[layer], i) if layer in before else i, 1) for layer, i in keys}


def measure(tasks):
    """Look at one run: seconds until the first paint, the longest piece, the longest gap, frames a second."""
    work = graph(tasks)
    mobula.init(num_cpus=2, dashboard=True)
    try:
        with browser() as opened, watched(opened) as page:
            page.add_init_script(WATCH)
            page.goto(mobula.dashboard_url())
            live(page)
            paint = page.evaluate(PAINT) / 1e3
            page.wait_for_timeout(500)
            page.evaluate("pieces.length = gaps.length = 0")
            caller = threading.Thread(target=mobula.dask.get, args=(work, list(work)))
            caller.start()
            while caller.is_alive():
                page.wait_for_timeout(20)
            caller.join()
            run = snapshot()["runs"][-1]
            assert run["counts"]["done"] == len(work), run["counts"]
            is_over(page, run["id"], "done")
            page.wait_for_timeout(500)
            pieces, gaps = page.evaluate("[pieces, gaps]")
        return paint, max(pieces, default=0), max(gaps), len(gaps) / (sum(gaps) / 1e3)
    finally:
        mobula.shutdown()


def main():
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    figures = zip(*(measure(options.tasks) for _ in range(options.times)), strict=True)
    paint, pieces, gaps, frames = map(sorted, figures)
    print(f"tasks={options.tasks}")
    print(f"first_paint_s={paint[0]:.2f}..{paint[-1]:.2f}")
    print(f"longest_piece_ms={pieces[0]:.0f}..{pieces[-1]:.0f}")
    print(f"longest_gap_ms={gaps[0]:.0f}..{gaps[-1]:.0f}")
    print(f"frames_a_second={frames[0]:.0f}..{frames[-1]:.0f}")


if __name__ == "__main__":
    main()
