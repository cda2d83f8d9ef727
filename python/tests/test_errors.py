"""What a failed task is to its caller."""

from __future__ import annotations

import traceback

import dask
import pytest

import mobula.dask as mobula_dask

BOTH = pytest.mark.parametrize("get", [mobula_dask.get, mobula_dask.get_sync])


class Special(Exception):
    """An exception that is not made of a text."""

    def __init__(self, number, *, reason):
        super().__init__(number)
        self.reason = reason


def fail(number):
    raise Special(number, reason="because")


def deep(number):
    return fail(number)


@BOTH
def test_an_exception_comes_as_it_was_raised(get):
    with pytest.raises(Special) as caught:
        get({"x": 1, "y": (deep, "x"), "z": (deep, "y")}, "z")
    assert caught.value.args == (1,)
    assert caught.value.reason == "because"
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-2:] == ["deep", "fail"]


def test_the_traceback_of_a_compute_begins_with_the_user_s_code():
    with pytest.raises(Special) as caught:
        dask.delayed(deep)(1).compute(scheduler="mobula")
    files = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert not any("mobula/dask/core" in name.replace("\\", "/") for name in files)


@BOTH
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_what_is_no_exception_comes_out_too(get, error):
    def leave():
        raise error

    with pytest.raises(type(error)) as caught:
        get({"x": (leave,)}, "x")
    assert caught.value is error
    assert get({"x": (len, "abc")}, "x") == 3


def test_other_calls_go_on_after_a_failure():
    for _ in range(20):
        with pytest.raises(Special):
            mobula_dask.get({f"x{number}": (fail, number) for number in range(50)}, ["x3"])
    assert mobula_dask.get({"x": (len, "abc")}, "x") == 3


def test_the_caller_may_raise_in_a_way_of_its_own():
    def raise_exception(error, tb):
        raise RuntimeError("raised by the caller") from error.with_traceback(tb)

    with pytest.raises(RuntimeError, match="by the caller") as caught:
        mobula_dask.get({"x": (fail, 2)}, "x", raise_exception=raise_exception)
    assert isinstance(caught.value.__cause__, Special)


def test_a_failed_task_can_be_repeated_in_the_calling_thread():
    import threading

    threads = []

    def once_elsewhere(value):
        threads.append(threading.get_ident())
        raise ValueError(value)

    graph = {"x": 3, "y": (once_elsewhere, "x")}
    with pytest.raises(ValueError, match="3"):
        mobula_dask.get(graph, "y", rerun_exceptions_locally=True)
    assert len(threads) == 2
    assert threads[1] == threading.get_ident() != threads[0]


def test_an_exception_that_cannot_be_shown_is_raised_all_the_same():
    class Mute(Exception):
        def __str__(self):
            raise ValueError("no words")

    def fail_mutely():
        raise Mute

    with pytest.raises(Mute):
        mobula_dask.get({"x": (fail_mutely,)}, "x")
