"""Real work: what Dask is used for, at sizes that take from a tenth of a second to about a second.

The input data are made by the tasks themselves, or before the clock starts; nothing is read from
disk.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dask.datasets
import numpy as np
import pandas as pd
from dask import array as da
from dask import bag as db
from dask import dataframe as dd
from dask.delayed import delayed


@dataclass(frozen=True)
class Work:
    """A kind of work; `build` makes a collection, its argument divides the size."""

    name: str
    description: str
    build: Callable[[int], Any]


def array(divisor: int) -> Any:
    """Sums along both axes and a standard deviation of random numbers, after elementwise steps."""
    side = 4_000 // divisor
    numbers = da.random.default_rng(1).random(
        (side, side), chunks=(max(side // 8, 1), max(side // 2, 1))
    )
    scaled = da.sqrt((numbers - numbers.mean(axis=0)) ** 2 + 1.0)
    return da.stack(
        [scaled.sum(), scaled.std(), scaled.max(axis=1).sum(), (scaled + scaled.T).sum()]
    )


def groupby(divisor: int) -> Any:
    """The first example of Dask's documentation: a month of random people, grouped by name.

    The tasks make the data, with columns of texts, so much of it holds the GIL.
    """
    people = dask.datasets.timeseries(freq=f"{2 * divisor}s", seed=1)
    return people.groupby("name").agg({"x": ["mean", "std"], "y": ["max"]})


def sort(divisor: int) -> Any:
    """Sorts by a column in random order: quantiles, a shuffle of 16 partitions, a sort of each.

    Dask remembers the quantiles of a frame that it has seen, so the order differs from call to
    call; the sorted frame is always the same.
    """
    rows = 3_000_000 // divisor
    order = np.random.default_rng(next(_seeds)).permutation(rows)
    columns = {"order": order, "half": order * 0.5, "group": order % 500}
    return dd.from_pandas(pd.DataFrame(columns), npartitions=16).set_index("order")


_seeds = itertools.count()


def objects(divisor: int) -> Any:
    """64 arrays of 16 MiB: made, changed, summed. What can run small uses little memory here."""
    length = (16 << 20) // 8 // divisor
    stages = [_total(_change(_make(i, length))) for i in range(64)]
    return delayed(sum)(stages)


@delayed(pure=True)  # type: ignore[untyped-decorator]
def _make(number: int, length: int) -> Any:
    return np.random.default_rng(number).random(length)


@delayed(pure=True)  # type: ignore[untyped-decorator]
def _change(values: Any) -> Any:
    return values + 1.0


@delayed(pure=True)  # type: ignore[untyped-decorator]
def _total(values: Any) -> float:
    return float(values.sum())


def bag(divisor: int) -> Any:
    """Loops in pure Python: the threads can only take turns, and must not lose time by it."""
    parts = db.from_sequence(range(16), npartitions=16)
    return parts.map(_collatz, 90_000 // divisor).sum()


def _collatz(number: int, length: int) -> int:
    """The number of steps down to one, of some numbers."""
    steps = 0
    for start in range(1 + number, 1 + length, 16):
        value = start
        while value != 1:
            value = 3 * value + 1 if value % 2 else value // 2
            steps += 1
    return steps


WORKS = {
    work.name: work
    for work in (
        Work(
            "array",
            "an array of 4,000 x 4,000 in 16 chunks: elementwise, a transpose, reductions",
            array,
        ),
        Work(
            "groupby",
            "1,296,000 rows of `dask.datasets.timeseries` in 30 partitions, grouped by name",
            groupby,
        ),
        Work(
            "sort", "3,000,000 rows in 16 partitions, `set_index` by a column in random order", sort
        ),
        Work("objects", "64 arrays of 16 MiB, each made, changed and summed", objects),
        Work("bag", "a bag of 16 partitions, loops in pure Python", bag),
    )
}


def check(answer: Any, expected: Any) -> None:
    """Compares two results.

    The last bits of a sum depend on where its numbers lie in memory, and the order of the groups on
    the order in which a shuffle by way of the disk was written.
    """
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(answer.sort_index(), expected.sort_index(), rtol=1e-9)
    else:
        np.testing.assert_allclose(answer, expected, rtol=1e-9)
