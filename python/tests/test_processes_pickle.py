"""What cannot go to a worker process or come from it, and what stays where it is."""

from __future__ import annotations

import importlib
import os
import threading
import time
import traceback
from functools import partial

import numpy as np
import pytest
from dask._task_spec import Task, TaskRef
from process_workers import arrive, await_arrival, cluster, get, is_first_time, kill_once, pipe

import mobula
import mobula.dask
from mobula.exceptions import NotPicklableError

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module", autouse=True)
def workers():
    with cluster(num_workers=2):
        yield


def refused(graph, key, *says):
    with pytest.raises(NotPicklableError) as raised:
        get(graph, key)
    for words in says:
        assert words in str(raised.value)
    assert get({"x": (len, "abc")}, "x") == 3
    return raised.value


def test_a_function_that_cannot_be_pickled_is_told_with_the_key():
    lock = threading.Lock()
    refused(
        {("task", 3): (lambda: lock,), "next": (id, ("task", 3))},
        "next",
        "('task', 3)",
        "cannot be pickled",
        "lock",
        'workers="threads"',
    )


def test_an_argument_that_cannot_be_pickled_is_told_with_the_key():
    refused({"task": (id, threading.Lock())}, "task", "'task'", "lock", 'workers="threads"')
    refused(
        {"task": Task("task", dict, left=1, right=threading.Lock())},
        "task",
        "'task'",
        "lock",
    )


def test_a_value_of_the_graph_that_cannot_be_pickled_is_told_with_the_key():
    refused({"data": threading.Lock(), "task": (id, "data")}, "task", "'task'", "lock")


def test_a_result_that_cannot_be_pickled_is_told_with_the_key():
    refused({"task": (threading.Lock,)}, "task", "'task'", "lock", "plain data")
    refused({"task": (lambda: (n for n in range(3)),)}, "task", "'task'", "generator")
    # As with threads for those who do not need it to travel.
    assert get({"task": (threading.Lock,), "y": (repr, "task")}, "y").startswith("<unlocked")


def test_what_fails_to_be_pickled_with_any_exception_is_told_with_the_key():
    class Odd:
        def __reduce__(self):
            raise LookupError("odd")

    refused({"task": (id, Odd())}, "task", "'task'", "odd")
    refused({"task": (Odd,)}, "task", "'task'", "odd")


def test_an_exception_that_cannot_be_pickled_is_told_as_it_spoke():
    class Odd(Exception):
        def __init__(self, lock, more):
            super().__init__("spoken")
            self.lock = lock

    def fails():
        raise Odd(threading.Lock(), 5)

    with pytest.raises(Exception, match="spoken"):
        get({"x": (fails,)}, "x")
    assert get({"x": (len, "abc")}, "x") == 3


def fail_deep(depth):
    if depth == 0:
        raise KeyError("deep")
    fail_deep(depth - 1)


def names_of(raised):
    """The functions in the traceback of an exception, from the outermost of this file on."""
    frames = traceback.extract_tb(raised.__traceback__)
    mine = [place for place, frame in enumerate(frames) if frame.filename == __file__]
    return [frame.name for frame in frames[mine[1] :]]


def test_an_exception_from_deep_down_keeps_its_type_and_both_ends_of_its_traceback():
    with pytest.raises(KeyError, match="deep") as raised:
        get({"x": (fail_deep, 20)}, "x")
    assert names_of(raised.value)[-21:] == ["fail_deep"] * 21
    for depth in (300, 900):
        with pytest.raises(KeyError, match="deep") as raised:
            get({"x": (fail_deep, depth)}, "x")
        names = names_of(raised.value)
        between = f"<{depth + 1 - 100} frames are left out>"
        assert names[-101:] == ["fail_deep"] * 50 + [between] + ["fail_deep"] * 50


def test_recursion_without_end_is_a_recursion_error():
    def recurse(number):
        return recurse(number + 1)

    with pytest.raises(RecursionError, match="maximum recursion depth exceeded") as raised:
        get({"x": (recurse, 0)}, "x")
    assert names_of(raised.value)[-50:] == ["recurse"] * 50


def test_causes_from_deep_down_come_with_their_tracebacks():
    def fails():
        importlib.import_module("dask.multiprocessing")  # It has tblib pickle all exceptions.
        try:
            fail_deep(400)
        except KeyError as error:
            raise ValueError("above") from error

    with pytest.raises(ValueError, match="above") as raised:
        get({"x": (fails,)}, "x")
    cause = raised.value.__cause__
    assert type(cause) is KeyError and cause is raised.value.__context__
    assert traceback.extract_tb(cause.__traceback__)[-1].name == "fail_deep"


def test_a_long_chain_of_causes_is_sent_once_each():
    def fails(depth):
        if depth == 0:
            raise KeyError(0)
        try:
            fails(depth - 1)
        except Exception as error:
            raise KeyError(depth) from error

    with pytest.raises(KeyError) as raised:
        get({"x": (fails, 40)}, "x")
    causes = [raised.value]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    assert [cause.args for cause in causes] == [(depth,) for depth in range(40, 23, -1)]


def test_exceptions_that_stand_behind_each_other_in_a_circle_come_back():
    def fails():
        first, second = KeyError("first"), ValueError("second")
        first.__cause__, second.__cause__ = second, first
        raise first

    with pytest.raises(KeyError, match="first") as raised:
        get({"x": (fails,)}, "x")
    assert raised.value.__cause__.__cause__ is raised.value


def test_a_cause_that_cannot_be_pickled_leaves_the_exception_what_it_is():
    class Odd(Exception):
        pass

    def fails():
        odd = Odd("behind")
        odd.lock = threading.Lock()
        raise LookupError("before") from odd

    with pytest.raises(LookupError, match="before") as raised:
        get({"x": (fails,)}, "x")
    assert str(raised.value.__cause__).startswith("Odd: behind (it cannot be sent as it is: ")


def test_an_exception_that_cannot_be_pickled_is_told_from_deep_down_too():
    def fails(depth):
        if depth > 0:
            fails(depth - 1)
        error = LookupError("spoken")
        error.lock = threading.Lock()
        raise error

    with pytest.raises(RuntimeError, match="LookupError: spoken") as raised:
        get({"x": (fails, 400)}, "x")
    assert names_of(raised.value)[-50:] == ["fails"] * 50


class Unreadable:
    """Can be pickled, but only the test's own process can unpickle it; or only another one."""

    def __init__(self, readable_in):
        self.readable_in = readable_in

    def __reduce__(self):
        return readable_in, (self.readable_in, os.getpid())


def readable_in(where, pid):
    if (os.getpid() == pid) == (where == "own"):
        return where
    raise LookupError("not in this process")


def test_a_result_that_cannot_be_unpickled_here_is_told_with_the_key():
    graph = {("task", 7): (Unreadable, "own"), "next": (len, ("task", 7)), "fine": (len, "abc")}
    error = refused(graph, [["fine"], "fine", ("task", 7)], "('task', 7)", "LookupError", "not in")
    assert isinstance(error.__cause__, LookupError)


def test_what_cannot_be_unpickled_in_the_worker_process_is_told():
    for graph in (
        {"task": (id, Unreadable("own"))},
        {"task": (partial(id, Unreadable("own")),), "task-2": (partial(id, Unreadable("own")),)},
        {"data": Unreadable("own"), "task": (id, "data")},
    ):
        refused(graph, "task", "'task'", "another process", "LookupError: not in this process")
    function = partial(id, Unreadable("own"))
    for _ in range(2):  # The second call is told the same.
        refused({"a": (function,), "b": (function,), "c": (max, "a", "b")}, "c", "LookupError")


def numbers(count=5):
    yield from range(count)


def fails(*arguments):
    raise LookupError(os.getpid(), *map(len, arguments))


def test_a_failed_task_can_be_repeated_in_the_calling_process():
    graph = {"x": (np.ones, 100_000), "y": (fails, "x", [1, 2]), "z": (fails, "g"), "g": (numbers,)}
    with pytest.raises(LookupError) as raised:
        get(graph, "y")
    assert raised.value.args[0] != os.getpid()
    with pytest.raises(LookupError) as raised:
        get(graph, "y", rerun_exceptions_locally=True)
    assert raised.value.args == (os.getpid(), 100_000, 2)
    # What stayed in the process cannot be had here.
    with pytest.raises(TypeError, match="generator"):
        get(graph, "z", rerun_exceptions_locally=True)


def test_a_generator_goes_to_the_next_task():
    graph = {"x": (numbers,), "y": (list, "x"), "z": (sum, "y")}
    assert get(graph, ["y", "z"]) == ([0, 1, 2, 3, 4], 10)


def test_a_generator_in_a_container_goes_to_the_next_task():
    graph = {"x": (lambda: {"it": numbers()},), "y": (lambda got: list(got["it"]), "x")}
    assert get(graph, "y") == [0, 1, 2, 3, 4]


def test_two_consumers_of_a_generator_share_it_as_in_threads():
    graph = {
        "x": (numbers,),
        "a": (lambda it: list(it), "x"),
        "b": (lambda it: list(it), "x"),
        "c": (lambda *both: sorted(both), "a", "b"),
    }
    expected = [[], [0, 1, 2, 3, 4]]
    assert mobula.dask.get(graph, "c", workers="threads") == expected
    assert get(graph, "c") == expected


def test_many_consumers_of_what_cannot_travel_run_where_it_is():
    def make():
        return os.getpid(), threading.Lock()

    def consume(made, number):
        return made[0] == os.getpid(), number

    graph = {"x": (make,)}
    graph |= {("y", number): (consume, "x", number) for number in range(50)}
    graph["all"] = (list, [key for key in graph if key != "x"])
    assert get(graph, "all") == [(True, number) for number in range(50)]


def test_what_stayed_in_two_processes_and_is_needed_together_is_told_with_the_keys(tmp_path):
    path = pipe(tmp_path / "meet")

    def make(meet):
        meet(path)
        return numbers()

    graph = {
        "left": (make, arrive),
        "right": (make, await_arrival),
        "both": (zip, "left", "right"),
        "list": (list, "both"),
    }
    error = refused(graph, "list", "'both'", "'left'", "'right'", "generator", "plain data")
    assert str(error).count("cannot leave") == 2


@pytest.mark.timeout(10)
def test_consumers_of_several_that_cannot_travel_get_them_or_an_error_and_no_wrong_data():
    def make(number):
        return number, threading.Lock()

    def consume(first, second):
        return first[0] + second[0]

    graph = {("x", number): (make, number) for number in range(6)}
    graph |= {
        ("y", number): (consume, ("x", number), ("x", (number + 1) % 6)) for number in range(6)
    }
    wanted = [("y", number) for number in range(6)]
    try:
        got = get(graph, wanted)
    except NotPicklableError as error:
        assert "('y', " in str(error) and "cannot leave" in str(error)
    else:
        assert got == tuple(number + (number + 1) % 6 for number in range(6))


def test_a_generator_is_made_again_when_its_process_died(tmp_path):
    def consume(it):
        kill_once(str(tmp_path / "mark"))
        return list(it)

    assert get({"x": (numbers,), "y": (consume, "x")}, "y") == [0, 1, 2, 3, 4]


def test_two_consumers_of_a_generator_whose_process_died_see_all_of_it_once_or_twice(tmp_path):
    def consume(it):
        got = list(it)
        if is_first_time(str(tmp_path / "mark")):
            os.abort()
        return got

    graph = {"x": (numbers,), "a": (consume, "x"), "b": (consume, "x"), "c": (max, "a", "b")}
    # Who is first sees all of it; it is never cut in two.
    assert get(graph, "c") == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("size", [10, 1 << 18], ids=["small", "large"])
def test_retries_after_an_error_get_their_inputs_again(tmp_path, size):
    import dask

    def fail_twice(array):
        for mark in ("first", "second"):
            if is_first_time(str(tmp_path / mark)):
                array[:] = -1
                raise LookupError(mark)
        return array.sum()

    with dask.annotate(retries=2):
        made = dask.delayed(np.ones)(size)
        value = dask.delayed(fail_twice)(made)
    # What a task has written into its input before it failed, it sees again, as with threads.
    assert value.compute(scheduler=get, optimize_graph=False) in (size, -size)


def test_task_objects_with_references_in_data_that_cannot_travel():
    graph = {
        "x": Task("x", threading.Lock),
        "y": Task("y", lambda given: type(given["lock"][0]).__name__, {"lock": [TaskRef("x")]}),
    }
    expected = mobula.dask.get(graph, "y", workers="threads")
    assert get(graph, "y") == expected


class SlowToRead:
    """Says when somebody begins to read it, and goes on when it is told to; an interrupt would spoil it."""

    def __init__(self, began, goes_on, spoiled):
        self.paths = (began, goes_on, spoiled)

    def __reduce__(self):
        return read_slowly, self.paths


def read_slowly(began, goes_on, spoiled):
    try:
        arrive(began)
        await_arrival(goes_on)
    except BaseException:
        open(spoiled, "w").close()
        raise
    return 1


def test_what_is_read_is_not_interrupted_half_way(tmp_path):
    """Some libraries cannot be loaded a second time, when the first time was broken off."""
    began, goes_on = pipe(tmp_path / "began"), pipe(tmp_path / "goes-on")

    def fail():
        await_arrival(began)
        raise LookupError("now")

    graph = {
        "slow": (abs, SlowToRead(began, goes_on, str(tmp_path / "spoiled"))),
        "bad": (fail,),
    }
    with pytest.raises(LookupError, match="now"):
        get(graph, ["slow", "bad"])
    # An interrupt, if there were one, would be there by then.
    time.sleep(0.1)
    arrive(goes_on)
    assert get({"x": (len, "abc")}, "x") == 3
    assert not (tmp_path / "spoiled").exists()
