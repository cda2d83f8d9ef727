#!/usr/bin/env python3
"""How large the report of a million tasks is, and how soon Chromium shows it.

    cargo build --release --example report
    python python/benches/report_page.py [--tasks N] [--random-keys] [--program FILE] [--keep FOLDER]

It writes a journal of that many tasks, has the example program make a report of it, opens that three
times in a fresh browser, and prints one figure a line. Needs Playwright and an installed Chromium.
The targets are 20 MB and 3 seconds. With `--random-keys` each key ends in 32 random digits, which
cannot be packed.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "python" / "tests"))

from browser import browser, wait_until, watched  # noqa: E402
from journals import Numbers, pipeline  # noqa: E402

MARKS = "performance.getEntriesByType('mark').map((mark) => [mark.name, mark.startTime])"


def write_journal(path, tasks, has_random_keys):
    """Write a journal of so many tasks of a tenth to three milliseconds."""
    journal = pipeline(tasks, short=10)
    numbers = Numbers(7)
    for record in journal.records if has_random_keys else ():
        if record["t"] == "keys":
            digits = (f"{numbers.below(1 << 30):08x}" for _ in range(4 * len(record["keys"])))
            tokens = ("".join(four) for four in zip(*[digits] * 4, strict=True))
            record["keys"] = [f"inc-{token}" for token in tokens]
    path.write_text(journal.lines(), encoding="utf-8")


def open_report(path):
    """Open a report in a fresh browser: seconds until the stream is drawn, and until all keys are there."""
    with browser() as opened, watched(opened) as page:
        start = time.perf_counter()
        page.goto(path.as_uri(), wait_until="commit")
        wait_until(page, "performance.getEntriesByName('keys read').length === 1")
        ready = time.perf_counter() - start
        marks = dict(page.evaluate(MARKS))
        return marks["stream drawn"] / 1e3, ready


def main():
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--random-keys", action="store_true")
    parser.add_argument("--program", default=ROOT / "target" / "release" / "examples" / "report")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = options.keep or Path(folder)
        journal, report, trace = (folder / f"run.{name}" for name in ("jsonl", "html", "json"))
        write_journal(journal, options.tasks, options.random_keys)
        command = [options.program, journal, report, trace]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        print(f"tasks={options.tasks}")
        print("\n".join(line for line in told.splitlines() if "_ms=" in line))
        print(f"report_mb={report.stat().st_size / 1e6:.1f}")
        print(f"trace_mb={trace.stat().st_size / 1e6:.1f}")
        drawn, ready = zip(*(open_report(report) for _ in range(3)), strict=True)
        print(f"stream_drawn_s={min(drawn):.2f}..{max(drawn):.2f}")
        print(f"all_ready_s={min(ready):.2f}..{max(ready):.2f}")


if __name__ == "__main__":
    main()
