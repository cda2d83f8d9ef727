"""Callbacks of Dask's and of Mobula's own that look at runs in worker processes."""

from __future__ import annotations

import os
import threading
from operator import add

import dask
import pytest
from dask.cache import Cache
from dask.diagnostics import Profiler, ProgressBar
from process_workers import cluster, get, is_first_time, worker_pids

import mobula
from mobula.dask import Callback, Result
from mobula.exceptions import NotPicklableError

pytestmark = pytest.mark.timeout(60)

GRAPH = {"x": (abs, -1), "y": (add, "x", 1), "z": (add, "x", "y")}


@pytest.fixture(scope="module", autouse=True)
def workers():
    with cluster(num_workers=2):
        yield


@mobula.remote
class Notes:
    """Notes what it is told, in order."""

    def __init__(self):
        self.notes = []

    def note(self, *note):
        self.notes.append(note)

    def read(self):
        return self.notes


def test_task_hooks_are_called_in_the_process_around_the_call():
    notes = Notes.remote()

    def start(key, refs):
        mobula.get(notes.note.remote("start", key, mobula.get(refs), os.getpid()))
        return "state", key

    def end(key, result, state):
        mobula.get(notes.note.remote("end", key, result, state, os.getpid()))

    with Callback(task_start=start, task_end=end):
        assert get(GRAPH, "z") == 3
    told = mobula.get(notes.read.remote())
    pids = {note[-1] for note in told}
    assert pids <= set(worker_pids())
    assert [note[:-1] for note in told] == [
        ("start", "x", []),
        ("end", "x", 1, ("state", "x")),
        ("start", "y", [1]),
        ("end", "y", 2, ("state", "y")),
        ("start", "z", [1, 2]),
        ("end", "z", 3, ("state", "z")),
    ]


@pytest.mark.parametrize("hook", ["task_start", "task_end"])
def test_a_callback_that_cannot_be_pickled_is_told_by_its_name(hook):
    class Locked(Callback):
        def __init__(self):
            super().__init__()
            self.lock = threading.Lock()

    setattr(Locked, f"_{hook}", lambda self, *arguments: None)
    with pytest.raises(NotPicklableError) as raised, Callback(task_start=print), Locked():
        get(GRAPH, "z")
    message = str(raised.value)
    name = Locked.__qualname__
    assert message.startswith(f"callback {name} ({hook}) cannot be pickled: TypeError: ")
    assert "lock" in message and "actor" in message and 'workers="threads"' in message
    assert "task '" not in message
    assert get(GRAPH, "z") == 3


def test_hooks_of_the_parent_are_called_there_in_order():
    told = []
    hooks = {
        "presubmit": lambda task, key, deps: told.append(("presubmit", key, os.getpid())),
        "postsubmit": lambda task, key, deps, ref: told.append(("postsubmit", key, os.getpid())),
        "postsubmit_all": lambda refs, graph: told.append(("postsubmit_all", os.getpid())),
        "run_finish": lambda result: told.append(("run_finish", result, os.getpid())),
    }
    with Callback(**hooks):
        assert get(GRAPH, "z") == 3
    here = os.getpid()
    assert {note[-1] for note in told} == {here}
    submitted = [note[:-1] for note in told if note[0].endswith("submit")]
    assert sorted(submitted) == sorted(
        (name, key) for key in GRAPH for name in ("presubmit", "postsubmit")
    )
    for key in GRAPH:
        assert submitted.index(("presubmit", key)) < submitted.index(("postsubmit", key))
    assert told[-1] == ("run_finish", 3, here)


@pytest.mark.parametrize("answer, value", [(100, 100), (Result(None), None)], ids=["value", "none"])
def test_what_presubmit_answers_is_the_value_and_the_task_is_not_called(answer, value):
    with Callback(presubmit=lambda task, key, deps: answer if key == "y" else None):
        assert get({"y": (os._exit, 3), "z": (lambda got: [got], "y")}, "z") == [value]


def test_error_and_retry_are_called_in_the_parent(tmp_path):
    told = []
    hooks = {
        "error": lambda key, raised: told.append(("error", key, str(raised))),
        "retry": lambda key, *_: told.append(("retry", key)),
    }

    def fails():
        raise LookupError("again" if is_first_time(str(tmp_path / "mark")) else "at last")

    with dask.annotate(retries=1):
        value = dask.delayed(fails)(dask_key_name="x")
    with Callback(**hooks), pytest.raises(LookupError, match="at last"):
        value.compute(scheduler=get, optimize_graph=False)
    assert told == [("retry", "x"), ("error", "x", "at last")]


@pytest.mark.parametrize("name", ["presubmit", "postsubmit", "task_start", "task_end"])
def test_a_hook_that_raises_ends_the_run_with_its_exception(name):
    def raises(*_):
        raise LookupError("from the hook")

    with Callback(**{name: raises}), pytest.raises(LookupError, match="from the hook") as raised:
        get(GRAPH, "z")
    notes = " ".join(getattr(raised.value, "__notes__", ["no notes: " + name]))
    assert name in notes
    assert get(GRAPH, "z") == 3


def test_a_hook_that_cannot_be_pickled_is_told():
    import threading

    from mobula.exceptions import NotPicklableError

    lock = threading.Lock()
    with Callback(task_start=lambda key, refs: lock), pytest.raises(NotPicklableError):
        get(GRAPH, "z")
    assert get(GRAPH, "z") == 3


def test_several_callbacks_are_called_in_their_order():
    notes = Notes.remote()

    def hooks(name):
        def start(key, refs):
            mobula.get(notes.note.remote(name, "start"))

        def end(key, result, state):
            mobula.get(notes.note.remote(name, "end"))

        return Callback(task_start=start, task_end=end)

    with hooks("first"), hooks("second"):
        get({"x": (abs, -1)}, "x")
    told = mobula.get(notes.read.remote())
    assert told[:2] == [("first", "start"), ("second", "start")]
    assert sorted(told[2:]) == [("first", "end"), ("second", "end")]


def test_callbacks_of_dask_hear_what_they_hear_in_threads(capsys):
    heard = []

    class Heard(dask.callbacks.Callback):
        def _start(self, dsk):
            heard.append("start")

        def _start_state(self, dsk, state):
            heard.append("start_state")

        def _pretask(self, key, dsk, state):
            heard.append(("pretask", key))

        def _posttask(self, key, result, dsk, state, worker_id):
            heard.append(("posttask", key, result))

        def _finish(self, dsk, state, errored):
            heard.append(("finish", errored))

    with Heard():
        assert get(GRAPH, "z") == 3
    assert heard == [
        "start",
        "start_state",
        ("pretask", "x"),
        ("posttask", "x", 1),
        ("pretask", "y"),
        ("posttask", "y", 2),
        ("pretask", "z"),
        ("posttask", "z", 3),
        ("finish", False),
    ]


def test_progress_bar_profiler_and_cache(capsys):
    with ProgressBar(minimum=0, dt=0.05):
        get(GRAPH, "z")
    assert "100% Completed" in capsys.readouterr().out
    with Profiler() as profiler:
        get(GRAPH, "z")
    assert [result.key for result in profiler.results] == ["x", "y", "z"]
    pytest.importorskip("cachey")
    cache = Cache(1e9, 0)
    called = dask.delayed(os.getpid)(dask_key_name="cached")
    with cache:
        assert called.compute(scheduler=get) in worker_pids()
    assert cache.cache.data["cached"] in worker_pids()
