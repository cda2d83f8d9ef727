"""The command line that all benchmark programs have, and what happens in which order."""

from __future__ import annotations

import argparse
import sys

from measuring import children, machine, report
from measuring.program import Program
from measuring.rows import Row
from measuring.settings import Settings


def main(program: Program) -> int:
    """Measures what the command line says; the exit code says whether all targets are reached."""
    if sys.argv[1:2] == ["child"]:
        children.answer(program.children, sys.argv[2:])
        return 0
    settings = _settings(program)
    load_before = machine.load()
    rows = _measure(program, settings)
    facts = machine.facts(load_before, program.packages)
    judged = [
        one
        for one in report.verdicts(program.targets, rows)
        if settings.wants(*one.target.row.split("/"))
    ]
    print("; ".join(f"{name} {value}" for name, value in facts.items()), end="\n\n")
    print(report.verdict_table(judged))
    if settings.complete:
        report.write(program, rows, facts, settings.rounds)
    missed = any(one.word == "MISSED" for one in judged)
    return 1 if missed and not settings.quick else 0


def _settings(program: Program) -> Settings:
    parser = argparse.ArgumentParser(description=program.summary)
    parser.add_argument(
        "--rounds", type=int, default=program.rounds, help="how often each figure is taken"
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="WORD", help="section or section/shape"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    program.add_options(parser)
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("--rounds must be at least 1")
    unknown = [word for word in given.only if word.partition("/")[0] not in program.sections]
    if unknown:
        parser.error(
            f"{', '.join(unknown)}: no such section; there are {', '.join(program.sections)}"
        )
    without = tuple(getattr(given, "without", ()))
    return Settings(given.rounds, given.quick, tuple(given.only), without, given)


def _measure(program: Program, settings: Settings) -> list[Row]:
    rows: list[Row] = []
    for name, section in program.sections.items():
        own: list[Row] = []
        for row in section.measure(settings):
            print(f"{row.name} done", file=sys.stderr)
            own.append(row)
        if own:
            print(f"{name}\n\n{report.table(own)}\n", flush=True)
        rows += own
    if not rows:
        raise SystemExit(f"nothing is called {' '.join(settings.words)}")
    return rows
