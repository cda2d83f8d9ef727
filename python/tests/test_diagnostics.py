"""Dask's diagnostics and its cache work unchanged, and what they record is true."""

from __future__ import annotations

import io
import threading
from operator import add, mul

import dask
import pytest
from dask._task_spec import Task
from dask.cache import Cache
from dask.diagnostics import CacheProfiler, Profiler, ResourceProfiler
from dask.diagnostics import ProgressBar as DaskProgressBar

from mobula.dask import ProgressBar, get, get_sync

schedulers = pytest.mark.parametrize("run", [get, get_sync])
GRAPH = {"a": 1, "b": 2, "c": (add, "a", "b"), "d": (mul, "a", "b"), "e": (mul, "c", "d")}


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    assert dask.callbacks.Callback.active == set()


def fail(*_):
    raise ZeroDivisionError


@schedulers
def test_profiler_records_each_task_once(run):
    with Profiler() as seen:
        assert run(GRAPH, "e") == 6
    assert sorted(data.key for data in seen.results) == ["c", "d", "e"]
    by_key = {data.key: data for data in seen.results}
    for data in seen.results:
        assert isinstance(data.task, Task)
        assert seen.start_time < data.start_time < data.end_time < seen.end_time
    for dependency in "cd":
        assert by_key[dependency].end_time <= by_key["e"].start_time


def test_profiler_knows_the_workers():
    with Profiler() as seen:
        worker = get({"x": (threading.get_ident,)}, "x")
    assert [data.worker_id for data in seen.results] == [worker]


def test_profiler_shows_tasks_side_by_side():
    together = threading.Barrier(2)
    graph = {name: (together.wait, 60) for name in "xy"}
    with Profiler() as seen:
        get(graph, ["x", "y"], num_workers=2)
    x, y = seen.results
    assert max(x.start_time, y.start_time) < min(x.end_time, y.end_time)
    assert x.worker_id != y.worker_id


@schedulers
def test_profiler_keeps_what_ended_before_an_error(run):
    graph = {"x": (add, 1, 1), "y": (add, "x", 1), "z": (fail, "y")}
    with Profiler() as seen, pytest.raises(ZeroDivisionError):
        run(graph, "z")
    assert [data.key for data in seen.results] == ["x", "y"]


@schedulers
def test_cache_profiler_measures_values_from_their_making_to_their_release(run):
    sizes = {3: 30, 2: 20, 6: 60}
    with CacheProfiler(metric=sizes.__getitem__, metric_name="size") as seen:
        run(GRAPH, "e")
    assert sorted((data.key, data.metric) for data in seen.results) == [
        ("c", 30),
        ("d", 20),
        ("e", 60),
    ]
    by_key = {data.key: data for data in seen.results}
    # What `e` needs is let go when `e` is there.
    assert by_key["c"].free_time == by_key["d"].free_time == by_key["e"].cache_time
    assert all(seen.start_time < data.cache_time for data in seen.results)


def test_resource_profiler_collects_while_the_scheduler_is_active():
    psutil = pytest.importorskip("psutil")
    with ResourceProfiler(dt=0.01) as seen:
        get(GRAPH, "e")
    assert seen.results
    total = psutil.virtual_memory().total
    assert all(0 < data.mem * 1e6 < total for data in seen.results)
    assert not seen._is_running()


@schedulers
@pytest.mark.parametrize("kind", [DaskProgressBar, ProgressBar])
def test_progress_bar_comes_to_its_end(run, kind):
    out = io.StringIO()
    with kind(out=out) as bar:
        run(GRAPH | {"f": "e"}, "f")
    assert out.getvalue().count("100% Completed") == 1
    state = bar._state
    assert state["finished"] == {"c", "d", "e", "f"}
    assert bar.last_duration > 0


@pytest.mark.parametrize("kind", [DaskProgressBar, ProgressBar])
def test_progress_bar_stops_where_an_error_stops_the_run(kind):
    out = io.StringIO()
    with kind(out=out) as bar, pytest.raises(ZeroDivisionError):
        get({"x": (add, 1, 1), "y": (fail, "x")}, "y")
    assert "100%" not in out.getvalue()
    assert "| 50% Completed" in out.getvalue()
    assert not bar._timer.is_alive()


def test_our_progress_bar_works_with_other_schedulers():
    out = io.StringIO()
    with ProgressBar(out=out):
        dask.threaded.get(GRAPH, "e")
    assert "100% Completed" in out.getvalue()


@schedulers
def test_cache_answers_the_second_time(run):
    pytest.importorskip("cachey")
    calls = []

    def inc(x):
        calls.append(x)
        return x + 1

    cache = Cache(1e6)
    graph = {"x": (inc, 1)}
    with cache:
        assert run(graph, "x") == 2
    assert calls == [1]
    assert cache.cache.data["x"] == 2
    assert not (cache.starttimes or cache.durations)
    with cache, Profiler() as seen:
        assert run(graph | {"y": (inc, 2), "z": (add, "x", "y")}, "z") == 5
    assert calls == [1, 2]
    assert sorted(data.key for data in seen.results) == ["y", "z"]
    assert graph == {"x": (inc, 1)}


def test_all_of_them_at_once():
    pytest.importorskip("cachey")
    out = io.StringIO()
    with Profiler() as tasks, CacheProfiler() as values, Cache(1e6), ProgressBar(out=out):
        assert dask.delayed(add)(1, 2).compute(scheduler="mobula") == 3
    assert len(tasks.results) == len(values.results) == 1
    assert "100% Completed" in out.getvalue()
