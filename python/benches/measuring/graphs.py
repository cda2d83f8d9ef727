"""Graphs of tasks that do next to nothing, so that what is measured is the scheduler.

Each graph is a plain dict of Dask's own task objects, in an order in which a loop can run them.
Every task is needed for what is asked for, and the expected answer is known without running
anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dask._task_spec import List, Task, TaskRef

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Graph:
    """A graph, what to ask it for, and what must come back."""

    tasks: dict[Key, Task]
    keys: list[Key]
    expected: tuple[Any, ...]


@dataclass(frozen=True)
class Shape:
    """A kind of graph; `build` takes the size, so that it can be tried at a small one."""

    name: str
    description: str
    size: int
    quick_size: int
    build: Callable[[int], Graph]


def identity(value: Any) -> Any:
    """Hands its argument on."""
    return value


def increase(value: int) -> int:
    """Adds one, so that a chain counts itself."""
    return value + 1


def add(left: int, right: int) -> int:
    """Two numbers as one."""
    return left + right


def deeper(first: int, *_others: int) -> int:
    """How many layers there are up to here; every task of a layer answers the same."""
    return first + 1


def piece(values: tuple[int, ...], number: int) -> int:
    """One part of a group."""
    return values[number]


def count(values: Sequence[int]) -> int:
    """How many pieces came together."""
    return len(values)


def independent(size: int) -> Graph:
    """Tasks without inputs; all of them are asked for."""
    keys: list[Key] = [("independent", i) for i in range(size)]
    return Graph({key: Task(key, identity, key[1]) for key in keys}, keys, tuple(range(size)))


def chain(size: int) -> Graph:
    """Each task takes the one before."""
    tasks = {("chain", 0): Task(("chain", 0), identity, 1)}
    for i in range(1, size):
        tasks["chain", i] = Task(("chain", i), increase, TaskRef(("chain", i - 1)))
    return Graph(tasks, [("chain", size - 1)], (size,))


def tree(leaves: int) -> Graph:
    """A binary reduction; `leaves` is a power of two."""
    tasks = {("tree", 0, i): Task(("tree", 0, i), identity, i) for i in range(leaves)}
    level, width = 0, leaves
    while width > 1:
        level, width = level + 1, width // 2
        for i in range(width):
            left, right = (
                TaskRef(("tree", level - 1, 2 * i)),
                TaskRef(("tree", level - 1, 2 * i + 1)),
            )
            tasks["tree", level, i] = Task(("tree", level, i), add, left, right)
    return Graph(tasks, [("tree", level, 0)], (leaves * (leaves - 1) // 2,))


def layers(width: int, depth: int | None = None) -> Graph:
    """Each task takes its neighbours of the layer before, every second one a third task."""
    depth = width if depth is None else depth
    tasks = {("layer", 0, i): Task(("layer", 0, i), identity, 1) for i in range(width)}
    for layer in range(1, depth):
        for i in range(width):
            before = {i: None, (i + 1) % width: None}
            if i % 2:
                before[(7 * i + 13 * layer) % width] = None
            inputs = [TaskRef(("layer", layer - 1, j)) for j in before]
            tasks["layer", layer, i] = Task(("layer", layer, i), deeper, *inputs)
    return Graph(tasks, [("layer", depth - 1, i) for i in range(width)], (depth,) * width)


def shuffle(size: int) -> Graph:
    """All to all: `size` inputs, each cut in as many pieces, for as many outputs."""
    tasks: dict[Key, Task] = {}
    for i in range(size):
        tasks["group", i] = Task(("group", i), identity, tuple(range(size)))
        for j in range(size):
            tasks["split", i, j] = Task(("split", i, j), piece, TaskRef(("group", i)), j)
    for j in range(size):
        pieces = List(*(TaskRef(("split", i, j)) for i in range(size)))
        tasks["join", j] = Task(("join", j), count, pieces)
    return Graph(tasks, [("join", j) for j in range(size)], (size,) * size)


def million(tasks: int) -> Graph:
    """Layers of a thousand."""
    width = min(1000, tasks)
    return layers(width, tasks // width)


SHAPES = (
    Shape(
        "independent",
        "10,000 tasks without inputs, all of them asked for",
        10_000,
        100,
        independent,
    ),
    Shape("chain", "5,000 tasks, each takes the one before", 5_000, 100, chain),
    Shape("tree", "a binary reduction of 8,192 leaves, 16,383 tasks", 8_192, 64, tree),
    Shape(
        "layers",
        "100 layers of 100, each task takes two or three of the layer before",
        100,
        10,
        layers,
    ),
    Shape("shuffle", "100 inputs cut in 100 pieces each, joined to 100 outputs", 100, 10, shuffle),
)
MILLION = Shape("million", "1,000 layers of 1,000, as `layers`", 1_000_000, 10_000, million)
