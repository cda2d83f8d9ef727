"""The sections of the report on the cost of scheduling: what is measured, and on what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dask
from dask import callbacks as dask_callbacks

import mobula.dask
from measuring import graphs, subjects, work
from measuring.graphs import Shape
from measuring.overhead import children
from measuring.program import Section
from measuring.rounds import Sample, seconds, take_turns
from measuring.rows import Row
from measuring.runs import compute, graph_of, run
from measuring.settings import Settings
from measuring.subjects import FLOOR, MOBULA, SCHEDULERS, SYNC, THREADS

ROOT = Path(__file__).parents[4]


def tasks(settings: Settings) -> Iterator[Row]:
    """Microseconds a task that does nothing, everything from the call of `get` counted."""
    for shape in graphs.SHAPES:
        if settings.wants("tasks", shape.name):
            number = len(graph_of(shape, settings).tasks)
            runs = {FLOOR: subjects.floor, **SCHEDULERS}
            jobs = {name: partial(run, get, shape, settings) for name, get in runs.items()}
            samples = take_turns(jobs, settings.rounds, settings.warm_up)
            per_task = {name: sample.scaled(1e6 / number) for name, sample in samples.items()}
            yield Row("tasks", shape.name, "us/task", per_task, {"tasks": number})


def real_work(settings: Settings) -> Iterator[Row]:
    """Seconds of `.compute()`, in which Dask's optimisation of the collection is included."""
    for kind in work.WORKS.values():
        if settings.wants("work", kind.name):
            expected = kind.build(settings.divisor).compute(scheduler="sync")
            jobs = {
                name: partial(
                    compute, kind, settings, partial(dask.config.set, scheduler=get), expected
                )
                for name, get in SCHEDULERS.items()
            }
            yield Row("work", kind.name, "s", take_turns(jobs, settings.rounds, settings.warm_up))


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
            graph = graph_of(shape, settings)
            number = len(graph.tasks)
            jobs = {
                "without": partial(run, mobula.dask.get, shape, settings),
                "pair": partial(_run_under, _mobula_pair, shape, settings),
                "dask_pair": partial(_run_under, _dask_pair, shape, settings),
                "direct": partial(_call_directly, list(graph.tasks)),
            }
            samples = {
                name: sample.scaled(1e6 / number)
                for name, sample in take_turns(jobs, settings.rounds, settings.warm_up).items()
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
    wheel = settings.own.wheel or _newest_wheel()
    if settings.wants("startup", "wheel") and wheel is not None:
        size = wheel.stat().st_size / 1e6
        yield Row("startup", "wheel", "MB", {MOBULA: Sample((size,))})


SECTIONS = {
    "tasks": Section(
        """\
Microseconds a task. The tasks do next to nothing, the graph is a dict of Dask's own task
objects, and everything from the call of `get` counts: taking the graph in, ordering, running,
handing out the results. Each run gets a graph that nobody has seen before.""",
        tasks,
    ),
    "work": Section(
        """\
Seconds of `.compute()`. Dask's own optimisation of the collection is part of it, for all
subjects alike. `array` and `objects` are numpy, which mostly lets go of the GIL; the dataframes do
less so, and `bag` never does. Of `groupby` most is pandas with the GIL held, so all subjects are
within a few percent, and which is first changes from run to run.""",
        real_work,
    ),
    "memory": Section(
        """\
The most memory, in MiB, that a fresh process uses to compute the work once, imports included.
No more arrays are alive than with Dask's threads; with one arena for all threads
(`MALLOC_ARENA_MAX=1`) the two are within a few MiB of each other. What is above that lies in the
arenas that the system's allocator keeps for each thread.""",
        memory,
    ),
    "million": Section(
        """\
Seconds of one `get` in a fresh process, all included but the making of the task objects.
`graph_mib` is the process's peak before the call, which is mostly those objects, and `peak_mib`
the one after it.""",
        million,
    ),
    "hooks": Section(
        """\
Microseconds a task that a pair of hooks adds to a run without any (`without`). A pair should
cost what calling the two functions costs (`direct`), plus one microsecond.""",
        hooks,
    ),
    "startup": Section(
        """\
Milliseconds that `import mobula.dask` takes in a fresh process that has imported `dask`;
megabytes of the wheel.""",
        startup,
    ),
}


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
        return run(mobula.dask.get, shape, settings)


def _call_directly(keys: list[Any]) -> float:
    """What the two functions cost when a loop calls them, one after the other."""

    def loop() -> None:
        for key in keys:
            _task_end(key, 1, _task_start(key, ()))

    return seconds(loop)[0]


def _newest_wheel() -> Path | None:
    """The wheel that maturin has left in the target directory, if there is one."""
    wheels = ROOT.glob("target/wheels/mobula-*.whl")
    return max(wheels, key=lambda path: path.stat().st_mtime, default=None)
