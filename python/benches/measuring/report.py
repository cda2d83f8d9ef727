"""How figures become text: the tables on the screen, `README.md` and `results.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from measuring import graphs, subjects, work
from measuring.rounds import Sample
from measuring.rows import Row
from measuring.targets import TARGETS, Verdict, judge

HOW = """\
# Benches of the Python package

```text
python python/benches/overhead.py [--rounds N] [--only WORD ...] [--wheel FILE] [--quick]
```

It needs Mobula, numpy, pandas and pyarrow, with Mobula built as it is shipped (`pip install
./python`). A word of `--only` is a section or `section/shape`. A complete run rewrites this page
and [`results.json`](results.json); a selection and `--quick` only print.

## How it is measured

All subjects of a row are measured in the same process, one after the other in each round, and who
begins changes from round to round; a first round does not count. Figures are medians. **Compare
figures of one run only, and believe none from a busy machine.** A target that is a ratio is
judged by the median of the ratios within the rounds, so it may differ in the last digit from the
ratio of the medians. Nothing is left out because it looks bad. The garbage collector is on, as in
a user's program; what other measurements have left is collected before the clock starts.

Each answer is compared with what it must be, after the clock has stopped.
"""

SUBJECT_NOTES = {
    **subjects.DESCRIPTIONS,
    "pair": "`mobula.dask.Callback` with a `task_start` and a `task_end` that do nothing",
    "dask_pair": "`dask.callbacks.Callback` with a `pretask` and a `posttask`, under Mobula",
    "direct": "a loop that calls the two functions of `pair` and does nothing else",
}

SECTION_NOTES = {
    "tasks": """\
Microseconds a task. The tasks do next to nothing, the graph is a dict of Dask's own task
objects, and everything from the call of `get` counts: taking the graph in, ordering, running,
handing out the results. Each run gets a graph that nobody has seen before.""",
    "work": """\
Seconds of `.compute()`. Dask's own optimisation of the collection is part of it, for all
subjects alike. `array` and `objects` are numpy, which mostly lets go of the GIL; the dataframes do
less so, and `bag` never does. Of `groupby` most is pandas with the GIL held, so all subjects are
within a few percent, and which is first changes from run to run.""",
    "memory": """\
The most memory, in MiB, that a fresh process uses to compute the work once, imports included.
No more arrays are alive than with Dask's threads; with one arena for all threads
(`MALLOC_ARENA_MAX=1`) the two are within a few MiB of each other. What is above that lies in the
arenas that the system's allocator keeps for each thread.""",
    "million": """\
Seconds of one `get` in a fresh process, all included but the making of the task objects.
`graph_mib` is the process's peak before the call, which is mostly those objects, and `peak_mib`
the one after it.""",
    "hooks": """\
Microseconds a task that a pair of hooks adds to a run without any (`without`). A pair should
cost what calling the two functions costs (`direct`), plus one microsecond.""",
    "startup": """\
Milliseconds that `import mobula.dask` takes in a fresh process that has imported `dask`;
megabytes of the wheel.""",
}


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


def verdicts(rows: Iterable[Row]) -> list[Verdict]:
    """One verdict for each target, also for those whose row was not measured."""
    by_name = {row.name: row.subjects for row in rows}
    return [judge(target, by_name.get(target.row, {})) for target in TARGETS]


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


def write(folder: Path, rows: list[Row], machine: Mapping[str, str], rounds: int) -> None:
    """Writes `README.md` and `results.json`."""
    judged = verdicts(rows)
    (folder / "README.md").write_text(readme(rows, judged, machine, rounds), encoding="utf-8")
    results = {
        "machine": dict(machine),
        "rows": [_row_as_data(row) for row in rows],
        "targets": [_verdict_as_data(verdict) for verdict in judged],
    }
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def readme(rows: list[Row], judged: list[Verdict], machine: Mapping[str, str], rounds: int) -> str:
    """The page with the figures and what they mean."""
    parts = [
        HOW,
        "Shapes and works:\n",
        _align(_shapes()),
        "",
        "Subjects:\n",
        _align(_subjects(rows)),
        "",
    ]
    parts += ["## Figures\n", "This run: " + "; ".join(f"{k} {v}" for k, v in machine.items())]
    parts += [f"; {rounds} rounds (three of what needs processes of its own).\n"]
    for section, note in SECTION_NOTES.items():
        own = [row for row in rows if row.section == section]
        shown = table(own) if own else "Not measured."
        parts += [f"### {section}\n", note + "\n", shown, ""]
    parts += ["## Targets\n", "A figure without a unit is the ratio.\n", verdict_table(judged), ""]
    return "\n".join(parts)


def _shapes() -> list[list[str]]:
    shapes = [(shape.name, shape.description) for shape in (*graphs.SHAPES, graphs.MILLION)]
    works = [(one.name, one.description) for one in work.WORKS.values()]
    return [["", ""], ["---", "---"], *([f"`{name}`", text] for name, text in shapes + works)]


def _subjects(rows: Iterable[Row]) -> list[list[str]]:
    names = dict.fromkeys(name for row in rows for name in row.subjects)
    return [["", ""], ["---", "---"], *([f"`{name}`", SUBJECT_NOTES[name]] for name in names)]


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
