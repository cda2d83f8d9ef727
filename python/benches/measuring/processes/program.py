"""The program ``processes.py``, put together."""

from __future__ import annotations

import argparse

from measuring import graphs, work
from measuring.method import METHOD
from measuring.processes.children import CHILDREN, FILE
from measuring.processes.pools import SUBJECTS
from measuring.processes.sections import SECTIONS
from measuring.processes.targets import TARGETS
from measuring.program import Program

INTRODUCTION = f"""\
# Benches of worker processes

```text
python python/benches/processes.py [--rounds N] [--only WORD ...] [--without SUBJECT ...] [--quick]
```

It needs what [`overhead.py`](README.md) needs; `make bench-processes` makes an environment that
has distributed and Ray as well, and runs it there. A peer that is not installed is left out. A
complete run rewrites this page and [`results-processes.json`](results-processes.json); a selection,
`--without` and `--quick` only print.

## How it is measured

There are as many worker processes as cores. Each subject's processes are started, and each has
answered a task, before anything is measured; they stay until the section is done. Idle processes
of other subjects are there while one is measured, in the same way for all.

{METHOD}"""


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--without", nargs="+", default=[], choices=SUBJECTS, help="subjects to leave out"
    )


PROGRAM = Program(
    file=FILE,
    summary="What Mobula's worker processes do, beside Dask's, distributed and Ray.",
    introduction=INTRODUCTION,
    page="PROCESSES.md",
    results="results-processes.json",
    shapes={
        **{shape.name: shape.description for shape in graphs.SHAPES},
        **{one.name: one.description for one in work.WORKS.values()},
    },
    subjects={name: subject.description for name, subject in SUBJECTS.items()},
    sections=SECTIONS,
    targets=TARGETS,
    packages=("mobula", "dask", "distributed", "ray", "numpy", "pandas", "pyarrow"),
    children=CHILDREN,
    rounds=3,
    add_options=_add_options,
)
