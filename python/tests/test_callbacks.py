"""Mobula's own hooks: when they are called, with what, and what their answers mean."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import Counter
from operator import add

import dask
import pytest
from hooked import GRAPH, fail, inc, schedulers
from hooked import nothing_is_left as nothing_is_left

import mobula
from mobula import _core
from mobula.dask import (
    Callback,
    RayDaskCallback,
    Result,
    get,
)


@pytest.fixture
def start():
    """Starts Mobula with so many workers, until the end of the test."""
    mobula.shutdown()
    yield lambda number: mobula.init(num_cpus=number)
    mobula.shutdown()


class Recorder(Callback):
    """Writes down every hook, under a name of its own."""

    def __init__(self, name="", calls=None):
        self.name = name
        self.calls = [] if calls is None else calls

    def _note(self, hook, *what):
        self.calls.append((self.name, hook, *what))

    def _presubmit(self, task, key, deps):
        self._note("presubmit", key, task, list(deps))

    def _postsubmit(self, task, key, deps, object_ref):
        self._note("postsubmit", key, task, list(deps), type(object_ref))

    def _task_start(self, key, object_refs):
        self._note("task_start", key, [type(it) for it in object_refs])
        return self.name, key

    def _task_end(self, key, result, pre_state):
        self._note("task_end", key, result, pre_state)

    def _postsubmit_all(self, object_refs, dsk):
        self._note("postsubmit_all", [type(it) for it in object_refs], dsk)

    def _run_finish(self, result):
        self._note("run_finish", result)

    def _error(self, key, exception):
        self._note("error", key, exception)

    def of(self, hook):
        return [call[2:] for call in self.calls if call[1] == hook]


@schedulers
def test_every_hook_is_told_what_it_is_called_for(run):
    with Recorder() as seen:
        assert run(GRAPH, [2.5, ["b"]]) == (5, (2,))
    ref = _core.ObjectRef
    assert seen.of("presubmit") == [
        ("b", GRAPH["b"], []),
        (("c", 0), GRAPH["c", 0], ["b"]),
        (2.5, GRAPH[2.5], ["b", ("c", 0)]),
    ]
    assert [call[3] for call in seen.of("postsubmit")] == [ref] * 3
    assert seen.of("task_start") == [("b", []), (("c", 0), [ref]), (2.5, [ref, ref])]
    assert seen.of("task_end") == [
        ("b", 2, ("", "b")),
        (("c", 0), 3, ("", ("c", 0))),
        (2.5, 5, ("", 2.5)),
    ]
    assert seen.of("postsubmit_all") == [([ref, ref], GRAPH)]
    assert seen.of("run_finish") == [((5, (2,)),)]
    assert seen.of("error") == []


@schedulers
def test_hooks_of_a_task_come_in_order(run):
    with Recorder() as seen:
        run({"x": (inc, 1)}, "x")
    order = [call[1] for call in seen.calls if call[1] != "postsubmit_all"]
    assert order == ["presubmit", "postsubmit", "task_start", "task_end", "run_finish"]


@schedulers
def test_functions_may_be_given_by_keyword(run):
    calls = []
    callback = Callback(
        presubmit=lambda *args: calls.append("presubmit"),
        postsubmit=lambda *args: calls.append("postsubmit"),
        task_start=lambda *args: calls.append("task_start") or "state",
        task_end=lambda key, result, state: calls.append(("task_end", key, result, state)),
        run_finish=lambda result: calls.append(("run_finish", result)),
    )
    with callback:
        run({"x": (inc, 1)}, "x")
    assert calls == [
        "presubmit",
        "postsubmit",
        "task_start",
        ("task_end", "x", 2, "state"),
        ("run_finish", 2),
    ]


@schedulers
def test_several_callbacks_are_called_in_order_of_registration(run):
    calls = []
    names = ["third", "first", "second", "zeroth"]
    callbacks = [Recorder(name, calls) for name in names]
    for callback in callbacks:
        callback.register()
    run({"x": (inc, 1)}, "x")
    for callback in callbacks:
        callback.unregister()
    for hook in ["presubmit", "postsubmit", "task_start", "task_end", "run_finish"]:
        assert [call[0] for call in calls if call[1] == hook] == names
    # Each has its own state back.
    assert [call[4][0] for call in calls if call[1] == "task_end"] == names


@schedulers
def test_a_state_goes_to_the_callback_that_made_it(run):
    states = []
    with (
        Callback(task_start=lambda key, refs: "unused"),
        Callback(task_end=lambda key, result, state: states.append(state)),
        Callback(
            task_start=lambda key, refs: "mine", task_end=lambda *args: states.append(args[2])
        ),
    ):
        run({"x": (inc, 1)}, "x")
    assert states == [None, "mine"]


@schedulers
@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (0, 0),
        ("", ""),
        (False, False),
        ((), ()),
        (Result(None), None),
        (Result(5), 5),
        (NotImplemented, NotImplemented),
    ],
)
def test_an_answer_stands_for_the_task(run, answer, value):
    def presubmit(task, key, deps):
        return answer if key == "y" else None

    with Recorder() as seen, Callback(presubmit=presubmit):
        result = run({"x": (inc, 1), "y": (fail, "x"), "z": (lambda y: [y], "y")}, ["y", "z"])
    assert result == (value, [value])
    for hook in ["postsubmit", "task_start", "task_end"]:
        assert [call[0] for call in seen.of(hook)] == ["x", "z"]
    assert [call[0] for call in seen.of("presubmit")] == ["x", "y", "z"]


@schedulers
def test_all_are_asked_and_the_first_answer_wins(run):
    asked = []

    def asks(name, answer):
        return Callback(presubmit=lambda *args: asked.append(name) or answer)

    with asks("a", None), asks("b", 7), asks("c", 8):
        assert run({"x": (fail,)}, "x") == 7
    assert asked == ["a", "b", "c"]


@schedulers
@pytest.mark.parametrize("watch", [{}, {"posttask": lambda *args: None}])
def test_a_ref_answers_with_its_value(run, watch):
    ref = mobula.put(99)

    def presubmit(task, key, deps):
        return ref if key == "x" else None

    with Callback(presubmit=presubmit, **watch):
        assert run({"x": (fail,), "y": (inc, "x")}, ["x", "y"]) == (99, 100)
    assert mobula.get(ref) == 99


@schedulers
def test_refs_of_an_earlier_run_answer_in_a_later_one(run):
    refs = {}

    def remember(task, key, deps, object_ref):
        refs[key] = object_ref

    with Callback(postsubmit=remember):
        assert run({"x": (inc, 1), "y": (lambda x: None, "x")}, ["x", "y"]) == (2, None)
    with Recorder() as seen, RayDaskCallback(ray_presubmit=lambda task, key, deps: refs.get(key)):
        assert run({"x": (fail,), "y": (fail, "x"), "z": (inc, "x")}, ["y", "z"]) == (None, 3)
    assert [call[0] for call in seen.of("task_end")] == ["z"]


@schedulers
def test_a_ref_of_an_input_answers_with_its_value(run):
    with Callback(presubmit=lambda task, key, deps: deps.get("x")):
        assert run({"x": (inc, 1), "y": (fail, "x"), "z": (inc, "y")}, ["x", "y", "z"]) == (2, 2, 3)


@schedulers
def test_a_ref_in_a_result_is_the_value_itself(run):
    ref = mobula.put(99)
    with Callback(presubmit=lambda task, key, deps: Result(ref)):
        assert run({"x": (fail,)}, "x") is ref


@schedulers
def test_only_the_ref_that_is_used_is_waited_for(run):
    broken = mobula.remote(max_retries=0)(fail).remote()
    with (
        Callback(presubmit=lambda task, key, deps: 5),
        Callback(presubmit=lambda task, key, deps: broken),
    ):
        assert run({"x": (inc, 1)}, "x") == 5


@schedulers
def test_a_ref_that_is_still_being_made_is_waited_for(run, start):
    start(2)
    asked = threading.Event()

    @mobula.remote
    def late():
        assert asked.wait(60)
        return 7

    ref = late.remote()

    def presubmit(task, key, deps):
        asked.set()
        return ref

    with Callback(presubmit=presubmit):
        assert run({"x": (fail,)}, "x") == 7


def test_a_worker_makes_the_value_that_a_ref_waits_for(start):
    """It is the only worker, so nobody else could."""
    start(1)
    made = mobula.remote(inc)

    def presubmit(task, key, deps):
        return made.remote(6) if key == "x" else None

    with Callback(presubmit=presubmit):
        assert get({"x": (fail,), "y": (inc, "x")}, "y") == 8


@schedulers
@pytest.mark.parametrize("watch", [{}, {"pretask": lambda *args: None}])
def test_what_a_ref_has_failed_with_the_task_fails_with(run, watch):
    broken = mobula.remote(max_retries=0)(fail).remote()
    with (
        Recorder() as seen,
        Callback(presubmit=lambda task, key, deps: broken if key == "y" else None, **watch),
        pytest.raises(ValueError, match="on purpose"),
    ):
        run({"x": (inc, 1), "y": (inc, "x"), "z": (inc, "y")}, "z")
    ((key, exception),) = seen.of("error")
    assert key == "y"
    assert isinstance(exception, ValueError)
    assert run({"x": (inc, 1)}, "x") == 2


def test_nobody_waits_for_a_ref_after_the_run(start):
    """A ref whose value never comes holds up neither the run, when that fails, nor its worker."""
    start(2)
    waits = threading.Event()
    end = threading.Event()

    class Never:
        def wait(self):
            end.wait(60)

    never = mobula.remote(Never).remote().wait.remote()

    def presubmit(task, key, deps):
        if key == "x":
            waits.set()
            return never
        return None

    def fails():
        assert waits.wait(60)
        raise ValueError("on purpose")

    try:
        with Callback(presubmit=presubmit), pytest.raises(ValueError, match="on purpose"):
            get({"x": (fail,), "y": (fails,)}, ["x", "y"])
        # Both workers are needed here, while the value is still not there.
        together = threading.Barrier(2)
        assert get({"a": (together.wait, 60), "b": (together.wait, 60)}, ["a", "b"]) in (
            (0, 1),
            (1, 0),
        )
        assert not end.is_set()
    finally:
        end.set()


def test_a_result_shows_and_holds_its_value():
    assert Result([1]).value == [1]
    assert repr(Result(None)) == "Result(None)"


@schedulers
def test_error_is_told_of_the_task_that_failed(run):
    with Recorder() as seen, pytest.raises(ValueError, match="on purpose") as raised:
        run({"x": (inc, 1), ("y", 1): (fail, "x"), "z": (inc, ("y", 1))}, "z")
    assert seen.of("error") == [(("y", 1), raised.value)]
    assert [call[0] for call in seen.of("task_end")] == ["x"]
    assert seen.of("run_finish") == []


HOOKS_BEFORE_THE_END = [
    "presubmit",
    "postsubmit",
    "task_start",
    "task_end",
    "postsubmit_all",
    "run_finish",
]


@schedulers
@pytest.mark.parametrize("hook", HOOKS_BEFORE_THE_END)
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_hook_that_raises_ends_the_run(run, hook, kind):
    class Own(kind):
        pass

    raised = Own("by a hook")

    def throw(*_):
        raise raised

    with Callback(**{hook: throw}), pytest.raises(Own) as caught:
        run({"x": (inc, 1), "y": (inc, "x")}, "y")
    assert caught.value is raised
    if hasattr(raised, "__notes__"):
        assert f"hook `{hook}` of callback Callback" in raised.__notes__[0]
    assert run({"x": (inc, 1)}, "x") == 2


@schedulers
def test_an_error_hook_that_raises_follows_the_error(run):
    def throw(key, exception):
        raise LookupError(key)

    with Callback(error=throw), pytest.raises(LookupError) as caught:
        run({"x": (fail,)}, "x")
    assert isinstance(caught.value.__context__, ValueError)
    assert run({"x": (inc, 1)}, "x") == 2


def test_a_hook_that_raises_leaves_nothing_behind():
    class Value:
        pass

    values = []

    def make():
        value = Value()
        values.append(weakref.ref(value))
        return value

    def throw(key, result, state):
        raise ValueError

    def compute():
        with Callback(task_end=throw), pytest.raises(ValueError):
            get({"x": (make,)}, "x")

    compute()
    _core.shutdown()
    gc.collect()
    assert [value() for value in values] == [None]


@schedulers
def test_refs_hold_the_values_of_inputs(run):
    values = {}

    def presubmit(task, key, deps):
        values["deps", key] = {dep: _core.get(ref) for dep, ref in deps.items()}

    def task_start(key, object_refs):
        values["refs", key] = _core.get(list(object_refs))

    graph = {"a": (inc, 1), ("b", 0): (inc, "a"), "c": (add, ("b", 0), "a")}
    with Callback(presubmit=presubmit, task_start=task_start):
        assert run(graph, "c") == 5
    assert values["deps", "c"] == {("b", 0): 3, "a": 2}
    assert values["refs", "c"] == [3, 2]
    assert values["deps", "a"] == {}


@schedulers
def test_kept_refs_keep_their_values(run):
    kept = {}

    def postsubmit(task, key, deps, object_ref):
        kept[key] = object_ref

    with Callback(postsubmit=postsubmit, postsubmit_all=lambda refs, _: kept.update(all=refs)):
        run({"x": (inc, 1), "y": (inc, "x")}, ["y", "x"])
    assert _core.get([kept["x"], kept["y"]]) == [2, 3]
    assert _core.get(kept["all"]) == [3, 2]


def test_persisting_is_heard_of():
    with Recorder() as seen:
        (value,) = dask.persist(dask.delayed(inc)(1), scheduler="mobula")
    assert len(seen.of("task_end")) == len(seen.of("run_finish")) == 1
    assert value.compute(scheduler="sync") == 2


@schedulers
def test_runs_inside_of_tasks_do_not_hear_of_outer_callbacks(run):
    inner = Recorder("inner")

    def nested():
        plain = run({"i": (inc, 1)}, "i")
        with inner:
            return plain + run({"j": (inc, 1)}, "j")

    with Recorder() as outer:
        assert run({"x": (nested,)}, "x") == 4
    assert [call[0] for call in outer.of("task_end")] == ["x"]
    assert [call[0] for call in inner.of("task_end")] == ["j"]


@schedulers
@pytest.mark.parametrize("hook", HOOKS_BEFORE_THE_END)
def test_a_hook_may_compute(run, hook):
    answers = []

    def compute(*_):
        answers.append(run({"i": (inc, 1), "j": (inc, "i")}, "j"))

    with Callback(**{hook: compute}):
        assert run({"x": (inc, 1)}, "x") == 2
    assert answers == [3]


def test_threads_hear_of_a_callback_at_the_same_time():
    """A run in one thread does not take the callbacks away from another one."""
    count = 8
    together = threading.Barrier(count)
    ended = Counter()
    lock = threading.Lock()

    def task_end(key, result, state):
        with lock:
            ended[key] += 1

    def compute(number):
        together.wait()
        for turn in range(5):
            graph = {("x", turn): (inc, number), "y": (inc, ("x", turn))}
            assert get(graph, "y") == number + 2

    with Callback(task_end=task_end):
        threads = [threading.Thread(target=compute, args=(n,)) for n in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert ended == {**{("x", turn): count for turn in range(5)}, "y": 5 * count}


def test_hooks_of_tasks_are_called_where_the_task_runs():
    def here(*_):
        return threading.get_ident()

    places = []
    callback = Callback(
        task_start=here,
        task_end=lambda key, result, state: places.append((result, state, here())),
        run_finish=lambda result: places.append(here()),
    )
    with callback:
        worker = get({"x": (here,)}, "x")
    assert places == [(worker, worker, worker), here()]
    assert worker != here()


def test_callbacks_of_one_run_are_used_alone():
    own = Recorder()
    with Recorder() as registered:
        get({"x": (inc, 1)}, "x", callbacks=[own])
        get({"y": (inc, 1)}, "y", callbacks=own)
        get({"z": (inc, 1)}, "z", callbacks=[])
    assert [call[0] for call in own.of("task_end")] == ["x", "y"]
    assert registered.calls == []


def test_a_callback_is_called_once_however_often_it_is_registered():
    seen = Recorder()
    with seen, seen:
        get({"x": (inc, 1)}, "x")
    assert [call[0] for call in seen.of("task_end")] == ["x"]


def test_who_is_not_registered_cannot_be_unregistered():
    with pytest.raises(KeyError):
        Callback().unregister()


def test_the_callers_graph_stays_as_it_is():
    graph = dict(GRAPH)
    with Recorder(), dask.callbacks.Callback(start=lambda dsk: dsk.clear() or dsk.update(x=5)):
        assert get(graph, "x") == 5
    assert graph == GRAPH


def test_without_tasks_the_whole_run_is_told_of():
    with Recorder() as seen:
        assert get({"x": 5}, "x") == 5
    assert [call[1] for call in seen.calls] == ["postsubmit_all", "run_finish"]


def test_collections_are_seen():
    with Recorder() as seen:
        assert dask.delayed(inc)(1).compute(scheduler="mobula") == 2
    assert len(seen.of("task_end")) == 1


def test_a_hook_is_no_coroutine_function():
    async def hook(key, object_refs):
        """Nobody would await it."""

    class Asynchronous(Callback):
        async def _task_start(self, key, object_refs):
            """Nobody would await it."""

    with pytest.raises(TypeError, match="async function"), Callback(task_start=hook):
        get({"x": (len, "abc")}, "x")
    with pytest.raises(TypeError, match="async function"), Asynchronous():
        get({"x": (len, "abc")}, "x")
