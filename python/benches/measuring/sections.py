"""The sections of the report: what is measured, and on what.

Each section is a generator, so that a row can be shown as soon as it is there. Whatever runs is
checked after the clock has stopped: a wrong answer ends the program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import dask
from dask import callbacks as dask_callbacks

import mobula.dask
from measuring import children, graphs, subjects, work
from measuring.graphs import Graph, Shape
from measuring.rounds import Sample, seconds, take_turns
from measuring.rows import Row
from measuring.settings import Settings
from measuring.subjects import FLOOR, MOBULA, SCHEDULERS, SYNC, THREADS, Get


def tasks(settings: Settings) -> Iterator[Row]:
    """Microseconds a task that does nothing, everything from the call of `get` counted."""
    for shape in graphs.SHAPES:
        if settings.wants("tasks", shape.name):
            number = len(_graph(shape, settings).tasks)
            runs = {FLOOR: subjects.floor, **SCHEDULERS}
            jobs = {name: partial(_run, get, shape, settings) for name, get in runs.items()}
            samples = take_turns(jobs, settings.rounds)
            per_task = {name: sample.scaled(1e6 / number) for name, sample in samples.items()}
            yield Row("tasks", shape.name, "us/task", per_task, {"tasks": number})


def real_work(settings: Settings) -> Iterator[Row]:
    """Seconds of `.compute()`, in which Dask's optimisation of the collection is included."""
    for kind in work.WORKS.values():
        if settings.wants("work", kind.name):
            expected = kind.build(settings.divisor).compute(scheduler="sync")
            jobs = {
                name: partial(_compute, kind, settings, get, expected)
                for name, get in SCHEDULERS.items()
            }
            yield Row("work", kind.name, "s", take_turns(jobs, settings.rounds))


def memory(settings: Settings) -> Iterator[Row]:
    """Peak MiB of a fresh process that computes a work once, its imports and all included."""
    for name in ("array", "objects"):
        if settings.wants("memory", name):
            jobs = {
                scheduler: partial(children.peak_memory, name, scheduler, settings.divisor)
                for scheduler in (SYNC, THREADS, MOBULA)
            }
            yield Row("memory", name, "MiB", take_turns(jobs, settings.fewer_rounds(3)))


def million(settings: Settings) -> Iterator[Row]:
    """Seconds of a graph of a million tasks in a fresh process; its peak memory beside them."""
    if settings.wants("million", "million"):
        answers = [children.million(settings.quick) for _ in range(settings.fewer_rounds(3))]
        samples = {MOBULA: Sample(tuple(answer["seconds"] for answer in answers))}
        facts = {name: answers[0][name] for name in ("tasks", "peak_mib", "graph_mib")}
        yield Row("million", "million", "s", samples, facts)


def hooks(settings: Settings) -> Iterator[Row]:
    """Microseconds a task that a pair of hooks adds, and what calling the two costs."""
    for shape in graphs.SHAPES[:2]:
        if settings.wants("hooks", shape.name):
            graph = _graph(shape, settings)
            number = len(graph.tasks)
            jobs = {
                "without": partial(_run, mobula.dask.get, shape, settings),
                "pair": partial(_run_under, _mobula_pair, shape, settings),
                "dask_pair": partial(_run_under, _dask_pair, shape, settings),
                "direct": partial(_call_directly, list(graph.tasks)),
            }
            samples = {
                name: sample.scaled(1e6 / number)
                for name, sample in take_turns(jobs, settings.rounds).items()
            }
            without = samples.pop("without")
            added = {
                name: sample if name == "direct" else sample.less(without)
                for name, sample in samples.items()
            }
            facts = {"without": without.median, "tasks": number}
            yield Row("hooks", shape.name, "us/task", added, facts)


def startup(settings: Settings) -> Iterator[Row]:
    """Milliseconds that `import mobula.dask` adds to `import dask`; MiB of the wheel."""
    if settings.wants("startup", "import"):
        samples = take_turns({MOBULA: children.import_time}, settings.rounds)
        yield Row("startup", "import", "ms", {MOBULA: samples[MOBULA].scaled(1e3)})
    if settings.wants("startup", "wheel") and settings.wheel is not None:
        size = settings.wheel.stat().st_size / 1e6
        yield Row("startup", "wheel", "MB", {MOBULA: Sample((size,))})


SECTIONS: dict[str, Callable[[Settings], Iterator[Row]]] = {
    "tasks": tasks,
    "work": real_work,
    "memory": memory,
    "million": million,
    "hooks": hooks,
    "startup": startup,
}


def _graph(shape: Shape, settings: Settings) -> Graph:
    return shape.build(shape.quick_size if settings.quick else shape.size)


def _run(get: Get, shape: Shape, settings: Settings) -> float:
    """One run of a graph that no scheduler has seen before."""
    graph = _graph(shape, settings)
    time, answer = seconds(lambda: get(graph.tasks, graph.keys))
    if answer != graph.expected:
        raise AssertionError(f"{get} answers something else for {shape.name}")
    return time


def _compute(kind: work.Work, settings: Settings, get: Get, expected: Any) -> float:
    collection = kind.build(settings.divisor)
    # By the configuration, so that what a dataframe computes on the way runs there too.
    with dask.config.set(scheduler=get):
        time, answer = seconds(collection.compute)
    work.check(answer, expected)
    return time


def _task_start(_key: Any, _object_refs: Any) -> Any:
    """A hook that does nothing."""


def _task_end(_key: Any, _result: Any, _pre_state: Any) -> None:
    """A hook that does nothing."""


def _mobula_pair() -> Any:
    return mobula.dask.Callback(task_start=_task_start, task_end=_task_end)


def _dask_pair() -> Any:
    def before(_key: Any, _graph: Any, _state: Any) -> None: ...

    def after(_key: Any, _result: Any, _graph: Any, _state: Any, _worker: Any) -> None: ...

    return dask_callbacks.Callback(pretask=before, posttask=after)


def _run_under(callback: Callable[[], Any], shape: Shape, settings: Settings) -> float:
    with callback():
        return _run(mobula.dask.get, shape, settings)


def _call_directly(keys: list[Any]) -> float:
    """What the two functions cost when a loop calls them, one after the other."""

    def loop() -> None:
        for key in keys:
            _task_end(key, 1, _task_start(key, ()))

    return seconds(loop)[0]
