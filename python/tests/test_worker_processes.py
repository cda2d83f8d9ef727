"""Worker processes through the public interface: what is the same as in threads, and what is not."""

import os
import subprocess
import sys
import textwrap

import dask
import numpy as np
import pandas as pd
import pytest
from dask import array as da
from dask import bag as db
from dask import dataframe as dd

import mobula
from mobula import dask as mobula_dask
from mobula import exceptions
from mobula.dask import Callback, Result


def inc(x):
    return x + 1


def add(x, y=0):
    return x + y


@pytest.fixture(scope="module", autouse=True)
def workers():
    mobula.shutdown()
    mobula.init(workers="processes", num_workers=2)
    yield
    mobula.shutdown()


def test_every_kind_of_task_comes_out_as_in_threads():
    def keywords(*items, scale=1, **named):
        return [item * scale for item in items], named

    graph = {
        "literal": 4,
        "alias": "literal",
        "x": (inc, "alias"),
        "list": (sum, ["x", 1, (inc, "x")]),
        "keywords": dask.delayed(keywords)(1, "x", scale=3, other={"a": [2]}).__dask_graph__(),
    }
    del graph["keywords"]
    wanted = ["list", ["x", ["literal"]], "alias"]
    assert mobula_dask.get(graph, wanted) == mobula_dask.get(graph, wanted, workers="threads")
    lazy = dask.delayed(keywords)(1, dask.delayed(inc)(1), scale=3, other={"a": [2]})
    assert lazy.compute(scheduler="mobula") == ([3, 6], {"other": {"a": [2]}})


def test_collections_are_computed_in_other_processes():
    with mobula_dask.enable():
        x = da.random.default_rng(1).random((400, 400), chunks=(100, 100))
        expected = x.compute(scheduler="threads")
        np.testing.assert_array_equal((x + x.T).compute(), expected + expected.T)
        frame = pd.DataFrame({"key": list("abca") * 50, "value": np.arange(200.0)})
        lazy = dd.from_pandas(frame, npartitions=4).groupby("key").value.sum()
        pd.testing.assert_series_equal(
            lazy.compute().sort_index(), lazy.compute(scheduler="sync").sort_index()
        )
        processes = db.from_sequence(range(8), npartitions=4).map(lambda _: os.getpid()).compute()
        assert os.getpid() not in processes


def test_what_was_made_in_a_session_needs_no_module(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            import dask, mobula, mobula.dask

            class Point:
                def __init__(self, x):
                    self.x = x

                def moved(self):
                    return Point(self.x + 1)

            def move(point, by=lambda x: x):
                assert isinstance(point, Point)
                return point.moved()

            mobula.init(workers="processes", num_workers=2)
            moved = dask.delayed(move)(dask.delayed(move)(Point(1)))
            answer = moved.compute(scheduler="mobula")
            print(type(answer) is Point, answer.x)
            """
        )
    )
    answer = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=120, check=False
    )
    assert answer.stdout == "True 3\n", answer.stderr


def overwritten(array):
    array[:] = 7
    return float(array.sum())


def test_a_task_may_write_into_its_input_and_changes_nobody_elses():
    graph = {
        "x": (np.zeros, 100_000),
        "y": (np.zeros, 10),
        "one": (overwritten, "x"),
        "two": (overwritten, "x"),
        "small": (overwritten, "y"),
        "sum": (np.sum, "x"),
    }
    answers = mobula_dask.get(graph, ["one", "two", "small", "sum", "x"])
    assert answers[:4] == (700_000, 700_000, 70, 0)
    array = answers[4]
    array[0] = 1  # The caller's own, too.
    assert array.sum() == 1


def is_a_view(array):
    base = array
    while isinstance(base, np.ndarray):
        base = base.base
    return type(base).__name__, array.ctypes.data % 64, array.flags.writeable


def test_large_arrays_are_views_of_shared_memory_and_aligned():
    graph = {"x": (np.ones, 100_000), "a": (is_a_view, "x"), "b": (is_a_view, "x")}
    a, b = mobula_dask.get(graph, ["a", "b"])
    assert a == b == ("memoryview", 0, True)
    frame = pd.DataFrame({"a": np.arange(100_000.0), "b": np.arange(100_000)})
    graph = {"f": frame, "g": (pd.DataFrame.sum, "f"), "h": (pd.DataFrame.max, "f")}
    total, most = mobula_dask.get(graph, ["g", "h"])
    pd.testing.assert_series_equal(total, frame.sum())
    pd.testing.assert_series_equal(most, frame.max())


def count_to(number):
    return (each for each in range(number))


def test_what_cannot_be_pickled_stays_with_those_who_need_it():
    assert mobula_dask.get({"g": (count_to, 5), "s": (sum, "g")}, "s") == 10
    with pytest.raises(exceptions.NotPicklableError, match=r"task 'g' cannot leave .* generator"):
        mobula_dask.get({"g": (count_to, 5)}, "g")


def test_what_cannot_go_there_says_which_task_and_what_to_do():
    import threading

    lock = threading.Lock()

    def locked():
        return lock.locked()

    with pytest.raises(
        exceptions.NotPicklableError, match=r"'t' .*locked cannot .*workers=\"threads\""
    ):
        mobula_dask.get({"t": (locked,)}, "t")
    with pytest.raises(exceptions.NotPicklableError, match=r"'t' .*value 1, of type lock"):
        mobula_dask.get({"t": (inc, lock)}, "t")
    assert mobula_dask.get({"t": (locked,)}, "t", workers="threads") is False


def divide(x):
    return 1 / x


def test_exceptions_come_as_they_were_raised_with_their_traceback():
    with pytest.raises(ZeroDivisionError) as raised:
        mobula_dask.get({"x": (divide, 0)}, "x")
    assert raised.traceback[-1].name == "divide"


def test_hooks_run_where_the_task_is_and_share_state_through_actors():
    @mobula.remote
    class Seen:
        def __init__(self):
            self.seen = {}

        def note(self, key, what):
            self.seen.setdefault(key, []).append(what)

        def all(self):
            return self.seen

    seen = Seen.remote()

    def task_start(key, object_refs):
        seen.note.remote(key, ("start", os.getpid(), mobula.get(object_refs)))
        return key

    def task_end(key, result, pre_state):
        mobula.get(seen.note.remote(key, ("end", result, pre_state)))

    def presubmit(task, key, deps):
        return Result(40) if key == "known" else None

    graph = {"known": (inc, 0), "x": (inc, "known"), "y": (add, "x", 1)}
    with Callback(presubmit=presubmit, task_start=task_start, task_end=task_end):
        assert mobula_dask.get(graph, "y") == 42
    noted = mobula.get(seen.all.remote())
    assert set(noted) == {"x", "y"}
    (_, process, inputs), ended = noted["y"]
    assert (process != os.getpid(), inputs, ended) == (True, [41], ("end", 42, "y"))


def test_a_hook_that_fails_fails_the_run_with_its_own_exception():
    def task_end(key, result, pre_state):
        raise KeyError("of the hook")

    with (
        Callback(task_end=task_end),
        pytest.raises(KeyError, match="of the hook"),
    ):
        mobula_dask.get({"x": (inc, 1)}, "x")


def deeper(depth):
    if depth == 0:
        return os.getpid()
    return dask.delayed(deeper)(depth - 1).compute(scheduler="mobula")


def test_runs_inside_tasks_run_in_processes_too_however_few_there_are():
    assert mobula_dask.get({"x": (deeper, 3)}, "x", num_workers=1) != os.getpid()


def speak(x):
    print("hello", x)
    print("mistake", file=sys.stderr)
    os.write(1, b"from below\n")
    return x


def test_what_tasks_print_is_shown_with_their_keys_before_the_run_is_over(capsys):
    mobula_dask.get({("speak", 1): (speak, 5)}, [("speak", 1)])
    shown = capsys.readouterr()
    lines = [line for line in shown.out.splitlines() if line.startswith("(('speak', 1) ")]
    assert [line.partition(") ")[2].partition(") ")[2] for line in lines] == [
        "hello 5",
        "from below",
    ]
    assert "mistake" in shown.err and "('speak', 1)" in shown.err


def wait_for_ever():
    import threading

    threading.Event().wait()


def test_a_task_over_its_time_limit_is_ended_with_its_process():
    with pytest.raises(
        exceptions.TaskTimeoutError, match="'x' took longer than its limit of 200ms"
    ):
        mobula_dask.get({"x": (wait_for_ever,)}, "x", time_limit=0.2)
    with dask.annotate(time_limit=0.2):
        lazy = dask.delayed(wait_for_ever)(dask_key_name="y")
    with pytest.raises(exceptions.TaskTimeoutError, match="'y'"):
        lazy.compute(scheduler="mobula", optimize_graph=False)
    assert mobula_dask.get({"x": (inc, 1)}, "x", time_limit=60) == 2
    with pytest.raises(ValueError, match=r"time_limit=-1: it must be a number of seconds"):
        mobula_dask.get({"x": (inc, 1)}, "x", time_limit=-1)


def settings():
    return os.environ.get("OMP_NUM_THREADS"), os.getcwd(), dask.config.get("of.this.test", None)


def test_processes_have_one_thread_to_compute_with_and_the_settings_of_the_caller():
    with dask.config.set({"of.this.test": 5}):
        assert mobula_dask.get({"x": (settings,)}, "x") == ("1", os.getcwd(), 5)
    assert mobula_dask.get({"x": (settings,)}, "x") == ("1", os.getcwd(), None)


def spin(seconds):
    from time import perf_counter

    end = perf_counter() + seconds
    while perf_counter() < end:
        pass
    return os.getpid()


def test_auto_sends_those_to_processes_that_hold_the_lock_and_says_so():
    graph = {("spin", number): (spin, 0.03) for number in range(40)}
    for _ in range(10):
        processes = mobula_dask.get(graph, list(graph), workers="auto")
        if os.getpid() not in processes:
            break
    else:
        pytest.fail("they stay: " + mobula.explain(("spin", 0)))
    assert 'tasks "spin" are called in worker processes' in mobula.explain(("spin", 0))


def test_explain_asks_the_workers_that_there_are_and_starts_none():
    nothing = "('spun', 0): no run that goes on has such a task"
    graph = {("spun", number): (spin, 0.03) for number in range(4)}
    mobula.shutdown()
    try:
        assert mobula.explain(("spun", 0)) == nothing
        assert not mobula.is_initialized()
        for _ in range(10):
            mobula_dask.get(graph, list(graph), workers="auto", num_workers=2)
            if (told := mobula.explain(("spun", 0))) != nothing:
                break
    finally:
        mobula.shutdown()
        mobula.init(workers="processes", num_workers=2)
    assert told.startswith('tasks "spun" are called in ')
    assert "\n" not in told


# A task for which there is no room is begun after two minutes all the same.
@pytest.mark.timeout(60)
def test_values_move_to_disk_and_come_back():
    mobula.shutdown()
    try:
        mobula.init(workers="processes", num_workers=2, memory_limit="24 MiB")
        arrays = [dask.delayed(np.full)(500_000, float(number)) for number in range(16)]
        persisted = dask.persist(*arrays, scheduler="mobula")
        sums = dask.compute(*[array.sum() for array in persisted], scheduler="mobula")
        assert sums == tuple(500_000.0 * number for number in range(16))
    finally:
        mobula.shutdown()
        mobula.init(workers="processes", num_workers=2)


def outer(number):
    inner = [dask.delayed(np.full)(500_000, 1.0) for _ in range(4)]
    total = dask.delayed(sum)([array.sum() for array in inner])
    total = total.compute(scheduler="mobula", optimize_graph=False)
    return np.full(500_000, number + total)


@pytest.mark.timeout(60)
def test_runs_inside_tasks_come_to_their_end_though_memory_is_small():
    mobula.shutdown()
    try:
        mobula.init(workers="processes", num_workers=1, memory_limit="6 MiB")
        arrays = [dask.delayed(outer)(number) for number in range(6)]
        persisted = dask.persist(*arrays, scheduler="mobula")
        sums = dask.compute(*[array.sum() for array in persisted], scheduler="mobula")
        assert sums == tuple(500_000 * (number + 2_000_000.0) for number in range(6))
    finally:
        mobula.shutdown()
        mobula.init(workers="processes", num_workers=2)


def is_writeable(array):
    return array.flags.writeable


def test_inputs_can_be_made_to_be_read_only():
    mobula.shutdown()
    try:
        mobula.init(workers="processes", num_workers=1, readonly=True)
        graph = {"x": (np.ones, 100_000), "a": (is_writeable, "x"), "b": (overwritten, "x")}
        assert mobula_dask.get({**graph, "c": (is_writeable, "x")}, ["a", "c"]) == (False, False)
        with pytest.raises(ValueError, match="read-only"):
            mobula_dask.get({**graph, "c": (is_writeable, "x")}, ["b", "c"])
    finally:
        mobula.shutdown()
        mobula.init(workers="processes", num_workers=2)


def test_wrong_settings_are_told_at_once():
    with pytest.raises(ValueError, match="give one"):
        mobula_dask.get({"x": (inc, 1)}, "x", workers="processes", pool=object())
    with pytest.raises(RuntimeError, match="running already"):
        mobula.init(workers="processes")
    mobula.shutdown()
    try:
        with pytest.raises(ValueError, match='"threads", "processes" and "auto"'):
            mobula.init(workers="elephants")
        with pytest.raises(TypeError, match="list of modules"):
            mobula.init(workers="processes", preimport="numpy")
    finally:
        mobula.shutdown()
        mobula.init(workers="processes", num_workers=2)
