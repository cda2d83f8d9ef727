"""Dask's own five hooks keep Dask's contract."""

from __future__ import annotations

import threading
from operator import add

import dask
import pytest
from dask._task_spec import GraphNode, Task

from mobula.dask import Callback, get, get_sync

DaskCallback = dask.callbacks.Callback
schedulers = pytest.mark.parametrize("run", [get, get_sync])
FIVE = ["start", "start_state", "pretask", "posttask", "finish"]


def inc(x):
    return x + 1


def fail(*_):
    raise ValueError("on purpose")


GRAPH = {"a": 1, "b": (inc, "a"), "c": (inc, "b"), "d": "c", "unused": (fail,)}


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    assert DaskCallback.active == set()


class Recorder(DaskCallback):
    def __init__(self):
        self.calls = []
        self.threads = set()

    def _note(self, *what):
        self.threads.add(threading.get_ident())
        self.calls.append(what)

    def _start(self, dsk):
        self._note("start", set(dsk))

    def _start_state(self, dsk, state):
        self._note("start_state", set(state), list(state["ready"]), dict(state["cache"]))

    def _pretask(self, key, dsk, state):
        self._note("pretask", key, key in state["running"], dsk[key])

    def _posttask(self, key, result, dsk, state, worker):
        self._note("posttask", key, result, set(state["finished"]), worker)

    def _finish(self, dsk, state, failed):
        self._note("finish", failed, state)

    def of(self, hook):
        return [call[1:] for call in self.calls if call[0] == hook]


@schedulers
def test_all_five_are_called_with_the_truth(run):
    with Recorder() as seen:
        assert run(GRAPH, ["d", "b"]) == (3, 2)
    assert [call[0] for call in seen.calls] == [
        "start",
        "start_state",
        *["pretask", "posttask"] * 3,
        "finish",
    ]
    assert seen.of("start") == [(set(GRAPH),)]
    ((state_keys, ready, cache),) = seen.of("start_state")
    assert state_keys >= {
        "dependencies",
        "dependents",
        "waiting",
        "waiting_data",
        "cache",
        "ready",
        "running",
        "finished",
        "released",
    }
    assert (ready, cache) == (["b"], {"a": 1})
    before = seen.of("pretask")
    assert [call[:2] for call in before] == [("b", True), ("c", True), ("d", True)]
    assert all(isinstance(call[2], GraphNode) for call in before)
    after = seen.of("posttask")
    assert [call[:3] for call in after] == [
        ("b", 2, {"b"}),
        ("c", 3, {"b", "c"}),
        ("d", 3, {"b", "c", "d"}),
    ]
    ((failed, state),) = seen.of("finish")
    assert not failed
    assert state["finished"] == {"b", "c", "d"}
    assert state["released"] == {"a", "c"}
    assert state["cache"] == {"b": 2, "d": 3}
    assert not (state["ready"] or state["running"] or state["waiting"])


@schedulers
def test_they_are_called_on_the_callers_thread(run):
    with Recorder() as seen:
        worker = run({"x": (threading.get_ident,)}, "x")
    assert seen.threads == {threading.get_ident()}
    # The worker is named as Dask's threads name it.
    assert [call[3] for call in seen.of("posttask")] == [worker]


def test_a_task_starts_after_its_pretask_and_ends_before_its_posttask():
    events = []

    def task(name):
        events.append(("begin", name.rstrip("!")))
        events.append(("end", name.rstrip("!")))

    graph = {f"x{number}": (task, f"x{number}!") for number in range(50)}
    callback = DaskCallback(
        pretask=lambda key, *_: events.append(("pretask", key)),
        posttask=lambda key, *_: events.append(("posttask", key)),
    )
    with callback:
        get(graph, list(graph))
    for name in graph:
        order = [what for what, key in events if key == name]
        assert order == ["pretask", "begin", "end", "posttask"]


def test_dependencies_are_told_of_before_those_that_need_them():
    graph = {("x", 0): (inc, 0)}
    for level in range(1, 40):
        for place in range(3):
            graph["x", level, place] = (add, *[("x", level - 1, p) for p in (0, 1)])
        graph["x", 0, 0] = graph["x", 0, 1] = (inc, 1)
    told = []
    callback = DaskCallback(
        pretask=lambda key, dsk, state: told.append(state["dependencies"][key] <= state["finished"])
    )
    keys = [("x", 39, 0), ("x", 39, 2)]
    with callback:
        get(graph, keys)
    assert len(told) == 2 + 2 * 38 + 2
    assert all(told)


def test_tasks_that_overlap_are_told_to_overlap():
    together = threading.Barrier(2)
    events = []
    callback = DaskCallback(
        pretask=lambda key, *_: events.append("pretask"),
        posttask=lambda key, *_: events.append("posttask"),
    )
    graph = {name: (together.wait, 60) for name in "xy"}
    with callback:
        get(graph, ["x", "y"], num_workers=2)
    assert events == ["pretask", "pretask", "posttask", "posttask"]


@schedulers
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_finish_is_told_of_errors(run, kind):
    def throw(*_):
        raise kind

    with Recorder() as seen, pytest.raises(kind):
        run({"x": (inc, 1), "y": (throw, "x"), "z": (inc, "y")}, "z")
    assert [call[0] for call in seen.of("posttask")] == ["x"]
    ((failed, state),) = seen.of("finish")
    assert failed
    assert state["finished"] == {"x"}
    assert set(state["waiting"]) == {"z"}


@schedulers
@pytest.mark.parametrize("hook", FIVE)
def test_one_that_raises_ends_the_call(run, hook):
    raised = ValueError("by a hook")

    def throw(*_):
        raise raised

    with (
        Recorder() as seen,
        Callback(**{hook: throw}),
        pytest.raises(ValueError) as caught,
    ):
        run({"x": (inc, 1), "y": (inc, "x")}, "y")
    assert caught.value is raised
    assert len(seen.of("finish")) == 1
    assert run({"x": (inc, 1)}, "x") == 2


@schedulers
def test_pretask_can_refuse_a_task(run):
    called = []

    def refuse(key, dsk, state):
        raise PermissionError(key)

    with DaskCallback(pretask=refuse), pytest.raises(PermissionError):
        run({"x": (called.append, 1)}, "x")
    assert called == []


@schedulers
def test_who_was_not_started_is_not_told_of_the_end(run):
    finished = []

    def throw(dsk):
        raise ValueError

    callbacks = [
        (None, None, None, None, lambda *_: finished.append("before")),
        (throw, None, None, None, lambda *_: finished.append("itself")),
        (None, None, None, None, lambda *_: finished.append("after")),
    ]
    with pytest.raises(ValueError):
        run({"x": (inc, 1)}, "x", callbacks=callbacks)
    assert finished == ["before"]


@schedulers
def test_start_may_change_the_graph(run):
    graph = {"x": (fail,), "y": (inc, "x"), "z": (inc, "y")}
    before = dict(graph)

    def start(dsk):
        dsk["x"] = 5

    with DaskCallback(start=start), Recorder() as seen:
        assert run(graph, "z") == 7
    assert graph == before
    assert [call[0] for call in seen.of("posttask")] == ["y", "z"]


@schedulers
def test_tasks_that_were_answered_for_have_ended(run):
    with Recorder() as seen, Callback(presubmit=lambda task, key, deps: {"x": 5}.get(key)):
        assert run({"x": (fail,), "y": (inc, "x")}, "y") == 6
    assert [call[:2] for call in seen.of("posttask")] == [("x", 5), ("y", 6)]


@schedulers
def test_order_is_that_of_registration_where_it_is_known(run):
    started = []

    def named(name):
        return Callback(start=lambda dsk: started.append(name))

    others = DaskCallback(start=lambda _: started.append("dask's"))
    with named("first"), named("second"), others, named("third"), named("fourth"):
        run({"x": (inc, 1)}, "x")
    assert started == ["first", "second", "dask's", "third", "fourth"]


@schedulers
def test_functions_may_be_given_as_tuples(run):
    ended = []
    five = (None, None, None, lambda key, *_: ended.append(key), None)
    with Recorder() as registered:
        run({"x": (inc, 1)}, "x", callbacks=[five, five])
        run({"y": (inc, 1)}, "y", callbacks=five)
    assert ended == ["x", "x", "y"]
    assert registered.calls == []


@schedulers
def test_runs_inside_of_tasks_do_not_hear_of_outer_callbacks(run):
    inner = Recorder()

    def nested():
        assert not DaskCallback.active
        with inner:
            return run({"i": (inc, 1), "j": (inc, "i")}, "j")

    with Recorder() as outer:
        assert run({"x": (nested,), "y": (inc, "x")}, "y") == 4
    assert [call[0] for call in outer.of("posttask")] == ["x", "y"]
    assert [call[0] for call in inner.of("posttask")] == ["i", "j"]


@pytest.mark.parametrize("hook", FIVE)
@pytest.mark.parametrize("workers", [1, None])
def test_a_hook_may_compute(hook, workers):
    """Even a hook that the only worker waits for."""
    answers = []

    def compute(*_):
        answers.append(get({"i": (inc, 1), "j": (inc, "i")}, "j", num_workers=workers))

    with Callback(**{hook: compute}):
        assert get({"x": (inc, 1), "y": (inc, "x")}, "y", num_workers=workers) == 3
    assert set(answers) == {3}


def test_nobody_waits_for_a_callback_without_hooks_of_tasks():
    """The hooks of tasks cost nothing where there are none: Mobula's own are no hooks of Dask's."""
    from mobula import _core
    from mobula.dask import _observed

    made = []
    real = _core.Hooks

    def hooks(tables, *, watch, waits):
        made.append((watch is not None, waits))
        return real(tables, watch=watch, waits=waits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_observed._core, "Hooks", hooks)
        with DaskCallback(), Callback():
            get({"x": (inc, 1)}, "x")
        assert made == []
        with Callback(task_end=lambda *_: None):
            get({"x": (inc, 1)}, "x")
        assert made.pop() == (False, False)
        with DaskCallback(posttask=lambda *_: None):
            get({"x": (inc, 1)}, "x")
        assert made.pop() == (True, False)
        with DaskCallback(pretask=lambda *_: None):
            get({"x": (inc, 1)}, "x")
        assert made.pop() == (True, True)


def test_many_threads_may_compute_with_callbacks_of_their_own():
    count = 8
    together = threading.Barrier(count)
    wrong = []

    def compute(number):
        ended = []
        five = (None, None, lambda *_: None, lambda key, *_: ended.append(key), None)
        together.wait()
        graph = {(number, 0): (inc, number)}
        for turn in range(1, 30):
            graph[number, turn] = (inc, (number, turn - 1))
        if get(graph, (number, 29), callbacks=[five]) != number + 30 or ended != list(graph):
            wrong.append(number)

    threads = [threading.Thread(target=compute, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_new_tasks_are_shown_as_they_are():
    task = Task("x", inc, 1)
    with Recorder() as seen:
        get({"x": task}, "x")
    assert seen.of("pretask")[0][2] is task
