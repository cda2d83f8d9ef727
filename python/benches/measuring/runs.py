"""One run of a graph or of a work under one scheduler: how long it took, and whether it was right.

The answer is checked after the clock has stopped: a wrong one ends the program.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from measuring import work
from measuring.graphs import Graph, Shape
from measuring.rounds import seconds
from measuring.settings import Settings

Get = Callable[..., Any]


def graph_of(shape: Shape, settings: Settings) -> Graph:
    """A graph that nobody has seen before, of the size that is wanted."""
    return shape.build(shape.quick_size if settings.quick else shape.size)


def run(get: Get, shape: Shape, settings: Settings) -> float:
    """Seconds of one `get`."""
    graph = graph_of(shape, settings)
    time, answer = seconds(lambda: get(graph.tasks, graph.keys))
    if tuple(answer) != graph.expected:
        raise AssertionError(f"{get} answers something else for {shape.name}")
    return time


def compute(
    kind: work.Work,
    settings: Settings,
    scheduler: Callable[[], AbstractContextManager[Any]],
    expected: Any,
) -> float:
    """Seconds of one `compute()`, in which Dask's optimisation of the collection is included.

    The scheduler is a context rather than an argument, so that what a dataframe computes on the
    way runs there too.
    """
    collection = kind.build(settings.divisor)
    with scheduler():
        time, answer = seconds(collection.compute)
    work.check(answer, expected)
    return time
