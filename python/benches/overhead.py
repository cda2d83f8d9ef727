#!/usr/bin/env python3
"""What Mobula costs as Dask's scheduler, beside Dask's own schedulers and beside a plain loop.

    python python/benches/overhead.py [--rounds N] [--only WORD ...] [--wheel FILE] [--quick]

It prints a table of figures and one of the targets with their verdicts. A complete run takes some
minutes and writes both to `README.md` and `results.json` beside this file, where each figure is
explained too. A word of `--only` is a section (`tasks`, `work`, `memory`, `million`, `hooks`,
`startup`) or `section/shape`, such as `tasks/chain`; then nothing is written. The exit code is 1
if a target is missed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from measuring import children, machine, report
from measuring.rows import Row
from measuring.settings import Settings

HERE = Path(__file__).parent


def main() -> int:
    """Measures what the command line says; the exit code says whether all targets are reached."""
    if sys.argv[1:2] == ["child"]:
        children.answer_child(sys.argv[2:])
        return 0
    settings = _settings()
    load_before = machine.load()
    rows = _measure(settings)
    facts = machine.facts(load_before)
    judged = [one for one in report.verdicts(rows) if _is_selected(one.target.row, settings)]
    print("; ".join(f"{name} {value}" for name, value in facts.items()), end="\n\n")
    print(report.verdict_table(judged))
    if not settings.words and not settings.quick:
        report.write(HERE, rows, facts, settings.rounds)
    missed = any(one.word == "MISSED" for one in judged)
    return 1 if missed and not settings.quick else 0


def _settings() -> Settings:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="how often each figure is taken")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="WORD", help="section or section/shape"
    )
    parser.add_argument(
        "--wheel", type=Path, help="the wheel to weigh; by default the newest one built here"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("--rounds must be at least 1")
    unknown = [word for word in given.only if word.partition("/")[0] not in report.SECTION_NOTES]
    if unknown:
        parser.error(
            f"{', '.join(unknown)}: no such section; there are {', '.join(report.SECTION_NOTES)}"
        )
    if given.wheel is not None and not given.wheel.is_file():
        parser.error(f"{given.wheel} is no file")
    return Settings(given.rounds, given.quick, tuple(given.only), given.wheel or _newest_wheel())


def _newest_wheel() -> Path | None:
    """The wheel that maturin has left in the target directory, if there is one."""
    wheels = HERE.parent.parent.glob("target/wheels/mobula-*.whl")
    return max(wheels, key=lambda path: path.stat().st_mtime, default=None)


def _measure(settings: Settings) -> list[Row]:
    from measuring.sections import (
        SECTIONS,
    )  # Imports Mobula and Dask; `--help` and children need not.

    rows: list[Row] = []
    for section, measure in SECTIONS.items():
        own: list[Row] = []
        for row in measure(settings):
            print(f"{row.name} done", file=sys.stderr)
            own.append(row)
        if own:
            print(f"{section}\n\n{report.table(own)}\n", flush=True)
        rows += own
    if not rows:
        raise SystemExit(f"nothing is called {' '.join(settings.words)}")
    return rows


def _is_selected(row: str, settings: Settings) -> bool:
    return settings.wants(*row.split("/"))


if __name__ == "__main__":
    sys.exit(main())
