"""How figures become text: the tables on the screen, a program's page and its results as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from measuring.program import Program
from measuring.rounds import Sample
from measuring.rows import Row
from measuring.targets import Target, Verdict, judge


def table(rows: Iterable[Row]) -> str:
    """The figures of rows with the same subjects, as Markdown."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row.subjects))
    facts = list(dict.fromkeys(name for row in rows for name in row.facts))
    lines = [["", *names, *facts], ["---", *("---:" for _ in (*names, *facts))]]
    for row in rows:
        figures = [_median(row.subjects.get(name)) for name in names]
        beside = [f"{row.facts[name]:.5g}" if name in row.facts else "" for name in facts]
        lines.append([f"{row.shape} ({row.unit})", *figures, *beside])
    return _align(lines)


def verdicts(targets: Iterable[Target], rows: Iterable[Row]) -> list[Verdict]:
    """One verdict for each target, also for those whose row was not measured."""
    by_name = {row.name: row.subjects for row in rows}
    return [judge(target, by_name.get(target.row, {})) for target in targets]


def verdict_table(judged: Iterable[Verdict]) -> str:
    """The targets with their verdicts, as Markdown."""
    lines = [
        ["row", "subject", "target", "figure", "verdict"],
        ["---", "---", "---", "---:", "---"],
    ]
    for verdict in judged:
        target = verdict.target
        figure = "" if verdict.figure is None else f"{verdict.figure:.3g}"
        lines.append([target.row, target.subject, target.text, figure, verdict.word])
    return _align(lines)


def write(program: Program, rows: list[Row], machine: Mapping[str, str], rounds: int) -> None:
    """Writes the page and the results beside the program."""
    folder: Path = program.file.parent
    judged = verdicts(program.targets, rows)
    text = page(program, rows, judged, machine, rounds)
    (folder / program.page).write_text(text, encoding="utf-8")
    results = {
        "machine": dict(machine),
        "rows": [_row_as_data(row) for row in rows],
        "targets": [_verdict_as_data(verdict) for verdict in judged],
    }
    (folder / program.results).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def page(
    program: Program,
    rows: list[Row],
    judged: list[Verdict],
    machine: Mapping[str, str],
    rounds: int,
) -> str:
    """The page with the figures and what they mean."""
    measured = dict.fromkeys(name for row in rows for name in row.subjects)
    parts = [
        program.introduction,
        "Shapes and works:\n",
        _described(program.shapes),
        "",
        "Subjects:\n",
        _described({name: program.subjects[name] for name in measured}),
        "",
    ]
    parts += ["## Figures\n", "This run: " + "; ".join(f"{k} {v}" for k, v in machine.items())]
    parts += [f"; {rounds} rounds (three of what needs processes of its own).\n"]
    for name, section in program.sections.items():
        own = [row for row in rows if row.section == name]
        shown = table(own) if own else "Not measured."
        parts += [f"### {name}\n", section.note + "\n", shown, ""]
    parts += ["## Targets\n", "A figure without a unit is the ratio.\n", verdict_table(judged), ""]
    return "\n".join(parts)


def _described(texts: Mapping[str, str]) -> str:
    return _align(
        [["", ""], ["---", "---"], *([f"`{name}`", text] for name, text in texts.items())]
    )


def _median(sample: Sample | None) -> str:
    return "" if sample is None else f"{sample.median:.3g}"


def _align(lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines
    )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _row_as_data(row: Row) -> dict[str, object]:
    figures = {
        name: {
            "median": _short(sample.median),
            "rounds": [_short(value) for value in sample.values],
        }
        for name, sample in row.subjects.items()
    }
    return {"row": row.name, "unit": row.unit, "facts": dict(row.facts), "subjects": figures}


def _verdict_as_data(verdict: Verdict) -> dict[str, object]:
    return {
        "row": verdict.target.row,
        "subject": verdict.target.subject,
        "target": verdict.target.text,
        "figure": None if verdict.figure is None else _short(verdict.figure),
        "verdict": verdict.word,
    }


def _short(figure: float) -> float:
    return float(f"{figure:.4g}")
