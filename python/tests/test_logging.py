"""What the workers log reaches Python's `logging`, under the logger `mobula`."""

import logging
import os
import subprocess
import sys
import time
from operator import add

import pytest

import mobula
import mobula.dask

GRAPH = {"x": (add, 1, 2)}


@pytest.fixture(autouse=True)
def anew():
    mobula.shutdown()
    yield
    mobula.shutdown()
    logging.getLogger("mobula").setLevel(logging.NOTSET)


def found(caplog, text):
    """The record with that text. Handlers are called a moment later, by a thread of their own."""
    for _ in range(1000):
        for record in caplog.records:
            if text in record.getMessage():
                return record
        time.sleep(0.01)
    raise AssertionError(f"nobody has logged {text!r}: {caplog.text}")


def test_a_warning_comes_with_its_module_its_level_and_its_place(caplog):
    mobula.init(num_workers=1, memory_limit=1_000_000)
    result = mobula.dask.get({"x": (bytes, 3_000_000)}, "x")
    assert len(result) == 3_000_000
    record = found(caplog, "more than the memory limit of the cluster")
    assert record.levelno == logging.WARNING
    assert record.name.split(".")[:3] == ["mobula", "actors", "store"]
    assert record.pathname.endswith("shelf.rs") and record.lineno > 0


@pytest.mark.skipif(sys.platform == "win32", reason="processes end otherwise there")
def test_the_loss_of_a_worker_process_is_logged(caplog):
    with pytest.raises(mobula.exceptions.WorkerLostError):
        mobula.dask.get({"x": (os._exit, 3)}, "x", workers="processes", num_workers=1)
    assert found(caplog, "another one takes its place").levelno == logging.WARNING


@pytest.mark.parametrize(("level", "is_told"), [(logging.ERROR, False), (logging.DEBUG, True)])
def test_the_level_that_counts_is_that_when_workers_start(caplog, level, is_told):
    logging.getLogger("mobula").setLevel(level)
    mobula.init(num_workers=1, memory_limit=1_000_000)
    mobula.dask.get({"x": (bytes, 3_000_000)}, "x")
    logging.getLogger("mobula").setLevel(logging.NOTSET)
    if is_told:
        found(caplog, "more than the memory limit")
    else:
        # What is logged is handled in order, and this is logged later.
        mobula.shutdown()
        mobula.init(num_workers=1, memory_limit=1_000_000)
        mobula.dask.get({"later": (bytes, 3_000_000)}, "later")
        found(caplog, "later")
        assert "'x'" not in caplog.text and '"x"' not in caplog.text


def test_a_handler_that_runs_tasks_holds_nobody_up(caplog):
    answers = []

    class Handler(logging.Handler):
        def emit(self, record):
            answers.append(mobula.dask.get(GRAPH, "x"))

    handler = Handler()
    logging.getLogger("mobula").addHandler(handler)
    try:
        mobula.init(num_workers=1, memory_limit=1_000_000)
        mobula.dask.get({"x": (bytes, 3_000_000)}, "x")
        found(caplog, "more than the memory limit")
        for _ in range(1000):
            if answers:
                break
            time.sleep(0.01)
    finally:
        logging.getLogger("mobula").removeHandler(handler)
    assert answers[0] == 3


def test_without_a_handler_warnings_are_shown_at_the_end_at_the_latest():
    program = (
        "import mobula, mobula.dask\n"
        "mobula.init(num_workers=1, memory_limit=1_000_000)\n"
        "mobula.dask.get({'x': (bytes, 3_000_000)}, 'x')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0
    assert "more than the memory limit of the cluster" in ended.stderr
