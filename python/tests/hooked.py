"""What the tests of callbacks have in common."""

from __future__ import annotations

from operator import add

import dask
import pytest

from mobula.dask import _registry as registry
from mobula.dask import get, get_sync

__all__ = ["GRAPH", "fail", "inc", "nothing_is_left", "schedulers"]

schedulers = pytest.mark.parametrize("run", [get, get_sync])


def inc(x):
    return x + 1


def fail(*_):
    raise ValueError("on purpose")


GRAPH = {"a": 1, "b": (inc, "a"), ("c", 0): (inc, "b"), 2.5: (add, "b", ("c", 0))}


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    assert registry.registrations == []
    assert dask.callbacks.Callback.active == set()
