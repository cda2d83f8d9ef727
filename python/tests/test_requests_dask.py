"""What tasks in worker processes compute on the workers of their parent."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from operator import add

import cloudpickle
import dask
import pytest
from children import Child, until

import mobula
import mobula.dask as mobula_dask
from mobula import _requests
from mobula.dask import _settings
from mobula.exceptions import MobulaError

# As with the main module of a program: children cannot import it.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def child():
    with Child() as child:
        yield child


def test_a_graph_runs_in_the_parent(child):
    def task(workers):
        graph = {"here": (os.getpid,), "x": 1, "y": (add, "x", 1), "z": (add, "x", "y")}
        return mobula_dask.get(graph, ["here", ["z", ["x", "y"]]], workers=workers)

    assert child.call(task, "threads") == (os.getpid(), (3, (1, 2)))
    assert child.call(task, "processes")[1] == child.call(task, None)[1] == (3, (1, 2))
    assert child.call(task, None)[0] == child.pid


def test_a_graph_of_a_child_runs_by_name_and_by_default(child):
    def by_name():
        return dask.delayed(os.getpid)().compute(scheduler="mobula")

    def by_default():
        return dask.delayed(os.getpid)().compute()

    del child.asked[:]
    child.call(by_name)
    assert child.asked.count("compute") == 1
    child.call(by_default)
    assert child.asked.count("compute") == 1
    with mobula_dask.enable(num_workers=1):
        child.call(by_default)
    assert child.asked.count("compute") == 2
    child.call(by_default)
    assert child.asked.count("compute") == 2


def test_settings_that_cannot_travel_stay_here():
    with dask.config.set(pool=threading.Lock(), marked=1):
        packed = cloudpickle.loads(_settings.packed())
        assert "pool" not in packed and packed["marked"] == 1
        assert _settings.packed() is _settings.packed()


def test_runs_three_deep_in_one_child(child):
    def deep(depth):
        if depth == 0:
            return [os.getpid()]
        graph = {("x", number): (deep, depth - 1) for number in range(2)}
        graph["sum"] = (sum, list(graph), [])
        return mobula_dask.get(graph, "sum")

    assert child.call(deep, 3) == [child.pid] * 8


def test_runs_as_deep_as_they_like_in_one_child(child):
    def deep(depth):
        return 1 + mobula_dask.get({"x": (deep, depth - 1)}, "x") if depth else 0

    assert child.call(deep, 40) == 40


def test_what_a_task_raises_comes_out_as_it_was_raised(child):
    def fails(x):
        raise LookupError("inner", x)

    def task():
        try:
            dask.delayed(fails)(7).compute(scheduler="mobula")
        except LookupError as raised:
            return raised.args, "".join(traceback.format_exception(raised))

    args, text = child.call(task)
    assert args == ("inner", 7)
    assert 'raise LookupError("inner", x)' in text


def test_what_is_wrong_with_a_graph_is_told(child):
    with pytest.raises(KeyError):
        child.call(lambda: mobula_dask.get({"x": 1}, "y"))
    with pytest.raises(RuntimeError, match="Cycle"):
        child.call(lambda: mobula_dask.get({"x": (abs, "y"), "y": (abs, "x")}, "y"))
    with pytest.raises(ValueError, match="num_workers"):
        child.call(lambda: mobula_dask.get({"x": 1}, "x", num_workers=0))


def test_raise_exception_is_called_in_the_child(child):
    def instead(raised, traceback):
        raise KeyError(os.getpid()) from raised

    def task():
        try:
            mobula_dask.get({"x": (abs, "text")}, "x", raise_exception=instead)
        except KeyError as raised:
            return raised.args[0]

    assert child.call(task) == child.pid


def test_the_cache_of_a_child_gives_values_and_gets_them(child):
    def task():
        cache = {"a": 2}
        assert mobula_dask.get({"b": (add, "a", 1)}, "b", cache=cache) == 3
        return cache

    assert child.call(task) == {"a": 2, "b": 3}


def test_an_answer_that_is_too_long_is_an_error(child, monkeypatch):
    monkeypatch.setattr(_requests, "_LONGEST", 3 << 20)

    def task(size):
        return len(mobula_dask.get({"large": (bytes, size)}, "large", workers="threads"))

    assert child.call(task, 2 << 20) == 2 << 20
    with pytest.raises(
        MobulaError, match=r"compute has answered takes 4 MiB, and 3 MiB can be sent"
    ):
        child.call(task, 4 << 20)
    assert child.call(task, 5) == 5


def test_retries_travel(child):
    @mobula.remote
    class Counter:
        def __init__(self):
            self.count = 0

        def next(self):
            self.count += 1
            return self.count

    counter = Counter.remote()

    def task():
        def fails_once():
            number = mobula.get(counter.next.remote())
            if number == 1:
                raise ValueError
            return number

        with dask.annotate(retries=1):
            value = dask.delayed(fails_once)()
        return value.compute(scheduler="mobula", optimize_graph=False)

    assert child.call(task) == 2


def test_callbacks_of_the_child_hear_its_runs_and_others_do_not(child):
    heard = []

    def task():
        told = []
        with mobula_dask.Callback(posttask=lambda key, result, *_: told.append((key, result))):
            assert mobula_dask.get({"inner": (os.getpid,)}, "inner") == os.getpid()
        assert told == [("inner", os.getpid())]
        return mobula_dask.get({"inner": (abs, -1)}, "inner")

    with mobula_dask.Callback(posttask=lambda key, *_: heard.append(key)):
        assert child.call(task) == 1
    assert heard == ["task"]


def test_a_pool_of_the_child_is_used(child):
    def task():
        with ThreadPoolExecutor(1) as pool:
            graph = {"x": (os.getpid,), "y": (threading.current_thread,)}
            process, thread = mobula_dask.get(graph, ["x", "y"], pool=pool)
            return process, thread.name

    process, thread = child.call(task)
    assert process == child.pid and thread.startswith("ThreadPoolExecutor")


def test_a_run_in_the_calling_thread_stays_there(child):
    def task():
        here = mobula_dask.get_sync({"x": (threading.get_ident,)}, "x")
        assert here == threading.get_ident()
        graph = {"x": (os.getpid,)}
        return mobula_dask.get(graph, "x", rerun_exceptions_locally=True)

    assert child.call(task) == child.pid


def test_what_was_persisted_is_fetched_in_a_child(child):
    np = pytest.importorskip("numpy")
    da = pytest.importorskip("dask.array")
    array = da.ones((8, 8), chunks=(4, 4)).persist(scheduler="mobula")
    name = array.name

    def task():
        assert array.sum().compute(scheduler="mobula") == 64
        assert array.compute(scheduler="sync").shape == (8, 8)
        handle = next(iter(array.__dask_graph__().values())).args[0]
        assert type(handle).__name__ == "Persisted" and not handle.is_spilled()
        assert "persisted value" in repr(handle)
        return array

    again = child.call(task)
    assert again.name == name
    assert (again.compute(scheduler="mobula") == np.ones((8, 8))).all()


def test_a_child_persists_in_the_parent(child):
    def task():
        value = dask.delayed(os.getpid)().persist(scheduler="mobula")
        assert value.compute(scheduler="mobula") == value.compute(scheduler="sync")
        return value

    value = child.call(task)
    child.call(lambda: None)
    assert value.compute(scheduler="mobula") == child.pid


def test_what_is_not_persisted_yet_is_waited_for(child):
    """The task that fetches it waits in the parent, for tasks of the process whose call waits for it."""

    def slow(number):
        time.sleep(0.002)
        return number

    def task():
        values = [dask.delayed(slow)(number) for number in range(20)]
        return dask.delayed(sum)(values).persist(scheduler="mobula").compute(scheduler="mobula")

    assert child.call(task) == sum(range(20))


def test_a_persisted_value_is_released_with_the_last_handle_of_a_child(child):
    import weakref

    class Thing:
        pass

    event = threading.Event()

    def make():
        thing = Thing()
        weakref.finalize(thing, event.set)
        return thing

    value = dask.delayed(make, pure=False)().persist(scheduler="mobula")
    value.compute(scheduler="mobula")

    def keep(value):
        import builtins

        builtins.kept = value

    child.call(keep, value)
    del value
    assert not event.wait(0.05)
    child.call(keep, None)
    assert event.wait(30)


def test_a_run_that_nobody_waits_for_is_cancelled(child):
    """The task runs again in another process; what it had asked for before ends."""
    gate, begun = threading.Event(), []

    @mobula.remote
    class Gate:
        def wait(self):
            begun.append(1)
            gate.wait()
            return 1

    holds = Gate.remote()

    def task():
        graph = {("x", n): (lambda: mobula.get(holds.wait.remote()),) for n in range(2)}
        return sum(mobula_dask.get(graph, list(graph), workers="threads"))

    pid = child.pid
    del child.asked[:]
    future = child.begin(task)
    until(lambda: begun)
    child.signal(pid)
    until(lambda: child.asked.count("compute") == 2)
    gate.set()
    assert future.result(30) == 2
    until(lambda: len(_requests._threads) == _requests._threads._idle)
