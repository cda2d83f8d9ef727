"""The program ``overhead.py``, put together."""

from __future__ import annotations

import argparse
from pathlib import Path

from measuring import graphs, subjects, work
from measuring.method import METHOD
from measuring.overhead.children import CHILDREN, FILE
from measuring.overhead.sections import SECTIONS
from measuring.overhead.targets import TARGETS
from measuring.program import Program

INTRODUCTION = f"""\
# Benches of the Python package

```text
python python/benches/overhead.py [--rounds N] [--only WORD ...] [--wheel FILE] [--quick]
```

It needs Mobula, numpy, pandas and pyarrow, with Mobula built as it is shipped (`pip install
./python`). A word of `--only` is a section or `section/shape`. A complete run rewrites this page
and [`results.json`](results.json); a selection and `--quick` only print.

## How it is measured

{METHOD}"""


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wheel", type=_file, help="the wheel to weigh; by default the newest one built here"
    )


def _file(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{name} is no file")
    return path


PROGRAM = Program(
    file=FILE,
    summary="What Mobula costs as Dask's scheduler, beside Dask's own and beside a plain loop.",
    introduction=INTRODUCTION,
    page="README.md",
    results="results.json",
    shapes={
        **{shape.name: shape.description for shape in (*graphs.SHAPES, graphs.MILLION)},
        **{one.name: one.description for one in work.WORKS.values()},
    },
    subjects={
        **subjects.DESCRIPTIONS,
        "pair": "`mobula.dask.Callback` with a `task_start` and a `task_end` that do nothing",
        "dask_pair": "`dask.callbacks.Callback` with a `pretask` and a `posttask`, under Mobula",
        "direct": "a loop that calls the two functions of `pair` and does nothing else",
    },
    sections=SECTIONS,
    targets=TARGETS,
    packages=("mobula", "dask", "numpy", "pandas", "pyarrow"),
    children=CHILDREN,
    rounds=7,
    add_options=_add_options,
)
