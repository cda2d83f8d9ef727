"""The sections of the report on worker processes: what is measured, and on what."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator
from functools import partial

from dask._task_spec import Task, TaskRef

from measuring import graphs, work
from measuring.machine import cores
from measuring.processes import blocks, children, tree
from measuring.processes.blocks import Report
from measuring.processes.pools import (
    DISTRIBUTED,
    MOBULA,
    MOBULA_PROCESSES,
    POOLS,
    RAY,
    SUBJECTS,
    THREADS,
    Subject,
)
from measuring.processes.running import present, running
from measuring.program import Section
from measuring.rounds import Sample, take_turns
from measuring.rows import Row
from measuring.runs import compute, graph_of, run
from measuring.settings import Settings


def tasks(settings: Settings) -> Iterator[Row]:
    """Microseconds a task that does nothing."""
    wanted = [shape for shape in graphs.SHAPES if settings.wants("tasks", shape.name)]
    if not wanted:
        return
    with running(present(settings, *SUBJECTS), cores()) as subjects:
        for shape in wanted:
            number = len(graph_of(shape, settings).tasks)
            jobs = {
                name: partial(run, subject.get, shape, settings)
                for name, subject in subjects.items()
            }
            samples = take_turns(jobs, settings.rounds, settings.warm_up)
            per_task = {name: sample.scaled(1e6 / number) for name, sample in samples.items()}
            yield Row("tasks", shape.name, "us/task", per_task, {"tasks": number})


def real_work(settings: Settings) -> Iterator[Row]:
    """Seconds of `.compute()`."""
    wanted = [kind for kind in work.WORKS.values() if settings.wants("work", kind.name)]
    if not wanted:
        return
    with running(present(settings, *SUBJECTS), cores()) as subjects:
        for kind in wanted:
            expected = kind.build(settings.divisor).compute(scheduler="sync")
            jobs = {
                name: partial(compute, kind, settings, subject.chosen, expected)
                for name, subject in subjects.items()
            }
            yield Row("work", kind.name, "s", take_turns(jobs, settings.rounds, settings.warm_up))


def memory(settings: Settings) -> Iterator[Row]:
    """Peak MiB of fresh processes, with all that they start."""
    wanted = [name for name in ("objects", "footprint") if settings.wants("memory", name)]
    if not wanted or not _system_tells("memory"):
        return
    footprints: dict[str, list[float]] = {}

    def peak(name: str) -> float:
        seen = children.peak_memory("objects", name, cores(), settings.divisor)
        footprints.setdefault(name, []).append(seen.footprint)
        return seen.proportional

    names = present(settings, THREADS, MOBULA, MOBULA_PROCESSES, DISTRIBUTED, RAY)
    jobs = {name: partial(peak, name) for name in names}
    rows = {
        "objects": take_turns(jobs, settings.fewer_rounds(3), warm_up=False),
        "footprint": {name: Sample(tuple(figures)) for name, figures in footprints.items()},
    }
    for name in wanted:
        yield Row("memory", name, "MiB", rows[name])


def pool(settings: Settings) -> Iterator[Row]:
    """Seconds of starting a pool, and of replacing one of its processes."""
    measured: dict[str, Callable[[str, int], float]] = {
        "start": children.start,
        "replace": children.replacement,
    }
    for shape, measure in measured.items():
        if settings.wants("pool", shape):
            jobs = {name: partial(measure, name, cores()) for name in present(settings, *POOLS)}
            samples = take_turns(jobs, settings.fewer_rounds(3), warm_up=False)
            yield Row("pool", shape, "s", samples)


BLOCK = 64 << 20
QUICK_BLOCK = 16 << 20
TRIES = 20
BLOCK_TASKS: dict[str, tuple[Callable[[blocks.Block, int], Report], str, float]] = {
    "first_touch": (blocks.first_touch, "ms", 1e3),
    "every_page": (blocks.every_page, "ms", 1e3),
    "write": (blocks.write_seconds, "ms", 1e3),
    "write_pages": (blocks.write_pages, "pages", 1.0),
}


def large_blocks(settings: Settings) -> Iterator[Row]:
    """What looking at, and writing into, a block costs in a process that did not make it."""
    wanted = [name for name in BLOCK_TASKS if settings.wants("blocks", name)]
    if not wanted or not _system_tells("blocks"):
        return
    with running(present(settings, *POOLS), cores()) as subjects:
        for shape in wanted:
            function, unit, factor = BLOCK_TASKS[shape]
            jobs = {
                name: partial(_visit, subject, function, settings)
                for name, subject in subjects.items()
            }
            samples = take_turns(jobs, settings.rounds, settings.warm_up)
            scaled = {name: sample.scaled(factor) for name, sample in samples.items()}
            yield Row("blocks", shape, unit, scaled)


def _visit(
    subject: Subject, function: Callable[[blocks.Block, int], Report], settings: Settings
) -> float:
    """Several tasks take a block; the first one of each process counts.

    The others find pages in memory that it has looked at. Among the processes the median counts.
    """
    made = TaskRef(("block", 0))
    graph = {
        ("block", 0): Task(("block", 0), blocks.make, QUICK_BLOCK if settings.quick else BLOCK)
    }
    keys = [("visit", i) for i in range(blocks.READERS)]
    graph |= {key: Task(key, function, made, key[1]) for key in keys}
    for _ in range(TRIES):
        first: dict[int, Report] = {}
        for report in sorted(subject.get(graph, keys), key=lambda report: report.time):
            if report.counts:
                first.setdefault(report.process, report)
        if first:
            return statistics.median(report.figure for report in first.values())
    raise AssertionError(f"{subject.name}: in {TRIES} runs no process got the block of another")


def _system_tells(section: str) -> bool:
    if not tree.available():
        print(f"{section} is left out: it needs /proc/self/smaps_rollup", file=sys.stderr)
        return False
    return True


SECTIONS = {
    "tasks": Section(
        """\
Microseconds a task. The tasks do next to nothing, the graph is a dict of Dask's own task
objects, and everything from the call of `get` counts. Dask's processes fuse chains before they
run them, as they do by default, so what they run of `chain` is a single task.""",
        tasks,
    ),
    "work": Section(
        """\
Seconds of `.compute()`, Dask's optimisation of the collection included. `bag` is pure Python and
never lets go of the GIL; `objects` hands 128 arrays of 16 MiB from task to task. Each subject
shuffles in the way that it chooses, or that its makers recommend: by way of the disk, of its
workers (`distributed`), or in tasks (`ray`).""",
        real_work,
    ),
    "memory": Section(
        """\
The most memory, in MiB, that a fresh process and all that it starts use to compute `objects` once,
imports and all included, sampled every 20 ms. `objects` is the sum of proportional set sizes: a
page that several processes have mapped counts once. Shared memory that nobody has mapped is not in
it; `footprint` adds what of that some process holds open.""",
        memory,
    ),
    "pool": Section(
        """\
Seconds in a fresh process that has the package imported. `start`: from nothing until each worker
process has answered a task, with `mobula.init` for Mobula. `replace`: from the `kill -9` of a
worker process until a new one has answered a task; where a call fails, as with Dask's processes,
that is seen, mended and tried again.""",
        pool,
    ),
    "blocks": Section(
        f"""\
A task makes a block of 64 MiB, others take it, in processes that have not made it. Milliseconds
from the beginning of the unpickling until a byte in the middle was read (`first_touch`), or one
of each page (`every_page`). Then `write`: milliseconds of writing a byte to each of {blocks.WRITTEN}
pages, and `write_pages`: by how many pages that made the private dirty memory of the process
grow. What is read-only, as on Ray, has to be copied first, which counts. What a process has
copied before it begins to unpickle does not show here.""",
        large_blocks,
    ),
}
