"""What a worker process has of its parent, and for how long it lives."""

from __future__ import annotations

import os
import sys
import threading

import dask
import pytest
from process_workers import cluster, finish, get, start, until, worker_pids

import mobula
import mobula.dask
from mobula.exceptions import WorkerLostError

pytestmark = pytest.mark.timeout(60)

ONE_THREAD = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
]


def in_process(function, *arguments, **settings):
    return get({"x": (function, *arguments)}, "x", **settings)


def test_each_process_computes_with_one_thread_unless_it_is_said(monkeypatch):
    for name in ONE_THREAD:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with cluster(num_workers=1):
        found = in_process(lambda: [os.environ.get(name) for name in ONE_THREAD])
    assert found == ["3", "1", "1", "1", "1", "1"]


def test_a_process_has_the_environment_directory_path_and_arguments_of_its_parent(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("MOBULA_TEST", "ünï=x")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "only_there.py").write_text("def answer(): return 42")

    def look():
        import only_there

        directory, path = os.getcwd(), list(sys.path)
        return os.environ["MOBULA_TEST"], directory, path, sys.argv, only_there.answer()

    with cluster(num_workers=1):
        found = in_process(look)
    assert found == ("ünï=x", os.getcwd(), sys.path, sys.argv, 42)


def test_options_of_the_interpreter_hold_in_processes():
    program = """
import sys
from process_workers import cluster, get
with cluster(num_workers=1):
    print(get({"x": (lambda: (sys.flags.dev_mode, sys.flags.optimize),)}, "x"))
"""
    out, _ = finish(start(program))
    assert out == "(False, 0)\n"


def test_modules_are_imported_before_they_are_needed():
    with cluster(num_workers=2, preimport=["wave", "xml.dom.minidom"]):
        graph = {
            ("x", number): (lambda: {"wave", "xml.dom.minidom"} <= set(sys.modules),)
            for number in range(10)
        }
        assert all(get(graph, list(graph)))
    with cluster(num_workers=1):
        assert not in_process(lambda: "xml.dom.minidom" in sys.modules)


@pytest.mark.parametrize(
    "name, says", [("xml.no_such_module", "ModuleNotFoundError"), ("failing", "odd")]
)
def test_a_module_that_cannot_be_imported_is_told(monkeypatch, tmp_path, name, says):
    (tmp_path / "failing.py").write_text("raise SystemExit('odd')")
    monkeypatch.syspath_prepend(str(tmp_path))
    mobula.shutdown()
    mobula.init(workers="processes", num_workers=2, preimport=[name])
    try:
        for _ in range(2):
            with pytest.raises(WorkerLostError, match=f"preimport='{name}'.*{says}"):
                in_process(len, "abc")
        # Threads go on.
        assert mobula.dask.get({"x": (len, "abc")}, "x", workers="threads") == 3
    finally:
        mobula.shutdown()


@pytest.mark.parametrize(
    "program, says",
    [
        ("/no/such/python", "cannot be started"),
        ("/bin/false", "exit code 1"),
        ("/bin/cat", "exit code 1"),
    ],
)
def test_processes_that_do_not_begin_are_an_error(monkeypatch, program, says):
    mobula.shutdown()
    monkeypatch.setattr(sys, "executable", program)
    mobula.init(workers="processes", num_workers=2)
    try:
        with pytest.raises(WorkerLostError, match=says) as raised:
            in_process(len, "abc")
        assert "'x'" in str(raised.value)
        monkeypatch.undo()
        # What can be started later, is.
        assert in_process(len, "abc") == 3
    finally:
        mobula.shutdown()


def test_processes_are_used_again_in_run_after_run():
    with cluster(num_workers=2):
        before = worker_pids()
        for _ in range(20):
            graph = {("x", number): (os.getpid,) for number in range(30)}
            assert set(get(graph, list(graph))) <= set(before)
        assert worker_pids() == before


def test_a_process_imports_and_keeps_what_it_once_has():
    def count():
        import process_workers

        process_workers.count = getattr(process_workers, "count", 0) + 1
        return process_workers.count

    with cluster(num_workers=1):
        assert [in_process(count) for _ in range(5)] == [1, 2, 3, 4, 5]


def test_other_numbers_of_workers_have_processes_of_their_own():
    with cluster(num_workers=2):
        first = set(worker_pids())
        one = in_process(os.getpid, num_workers=1)
        assert one not in first
        graph = {("x", number): (os.getpid,) for number in range(60)}
        assert set(get(graph, list(graph), num_workers=1)) == {one}
        assert set(get(graph, list(graph))) <= first
    assert worker_pids() == []


def test_the_kind_of_workers_can_be_said_of_each_run_and_of_all():
    mobula.shutdown()
    assert mobula.dask.get({"x": (os.getpid,)}, "x") == os.getpid()
    assert in_process(os.getpid) != os.getpid()
    with cluster(num_workers=1):
        assert dask.delayed(os.getpid)().compute(scheduler="mobula") == worker_pids()[0]
        assert mobula.dask.get({"x": (os.getpid,)}, "x", workers="threads") == os.getpid()
    with pytest.raises(ValueError, match="workers"):
        mobula.dask.get({"x": (os.getpid,)}, "x", workers="fibres")


def test_settings_of_dask_hold_in_processes():
    with cluster(num_workers=1):
        for value in ("one", "two"):
            with dask.config.set({"mobula-test": value}):
                assert in_process(lambda: dask.config.get("mobula-test")) == value
        assert in_process(lambda: dask.config.get("mobula-test", None)) is None


def test_processes_have_no_port_and_no_descriptors_of_their_parent(tmp_path):
    import psutil

    with open(tmp_path / "file", "w") as file:
        os.set_inheritable(file.fileno(), False)
        with cluster(num_workers=2):
            in_process(len, "abc")
            for pid in [os.getpid(), *worker_pids()]:
                assert psutil.Process(pid).net_connections() == []
            for pid in worker_pids():
                opened = [opened.path for opened in psutil.Process(pid).open_files()]
                assert str(tmp_path / "file") not in opened


@pytest.mark.parametrize("workers", ["threads", "processes"])
def test_an_idle_worker_holds_nothing_of_a_run_that_is_over(workers):
    ended = threading.Event()

    @mobula.remote
    class Held:
        def __init__(self, ended):
            self.ended = ended

        def __del__(self):
            self.ended.set()

        def say(self):
            return "said"

    def say(actor):
        return mobula.get(actor.say.remote())

    with cluster(num_workers=1):
        actor = Held.remote(ended)
        assert mobula.dask.get({"x": (say, actor)}, "x", workers=workers) == "said"
        # An actor ends when nobody has a handle of it, here or in a worker process.
        del actor
        assert ended.wait(5)


def test_runs_of_several_threads_share_the_processes():
    from concurrent.futures import ThreadPoolExecutor

    def square(number):
        return number * number

    def run(start):
        graph = {("x", number): (square, start + number) for number in range(40)}
        return sum(get(graph, list(graph)))

    with cluster(num_workers=2), ThreadPoolExecutor(4) as pool:
        sums = list(pool.map(run, range(0, 400, 40)))
        assert sum(sums) == sum(number * number for number in range(400))
        assert len(worker_pids()) == 2


def test_until_meets_what_comes_about():
    # A helper of these tests that never fails would hide what they show.
    with pytest.raises(AssertionError):
        until(lambda: False, seconds=0.05)
