"""Graphs of every kind have the same values in worker processes as in threads."""

from __future__ import annotations

import functools
import math
import operator
import os
import subprocess
import sys

import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from dask._task_spec import Alias, DataNode, Dict, List, Task, TaskRef
from process_workers import cluster, finish, get, start

import mobula.dask

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module", autouse=True)
def workers():
    with cluster(num_workers=2):
        yield


def inc(x):
    return x + 1


def test_the_answer_has_the_shape_of_the_keys():
    graph = {"x": 1, "y": (inc, "x"), "z": (operator.add, "x", "y")}
    assert get(graph, "z") == 3
    assert get(graph, ["z", ["x", "y"], []]) == (3, (1, 2), ())
    assert get(graph, []) == ()


def test_keys_may_be_of_every_kind():
    keys = ["a", 1, 2.5, b"bytes", ("t", 0, (1, "deep")), 10**30, ("f", 0.5), -1]
    graph = {key: Task(key, inc, number) for number, key in enumerate(keys)}
    assert get(graph, keys) == tuple(range(1, len(keys) + 1))


def test_nodes_of_every_kind_are_understood():
    graph = {
        "data": DataNode("data", [1, 2]),
        "other": Alias("other", "data"),
        "again": Alias("again", "other"),
        "task": Task("task", operator.add, TaskRef("other"), [3]),
        "keywords": Task("keywords", dict, left=TaskRef("data"), right=4),
        "nested": Task("nested", operator.add, Task(None, inc, 1), Task(None, inc, 2)),
        "literal": 5,
        "tuple": (operator.add, (inc, "literal"), 1),
        "list": [1, "literal", (inc, "literal")],
        "deep": (len, [[["literal"], [(inc, (inc, "literal"))]], "literal"]),
        "inside": Task("inside", lambda *got: got, List(TaskRef("literal"), 2)),
        "itself": Dict({"k": TaskRef("literal"), "l": List(TaskRef("data"))}),
        "set": Task("set", sorted, {1, 2, 3}),
        "kwargs": Task("kwargs", lambda *a, **k: (a, k), 1, x=TaskRef("literal"), y=[1]),
    }
    keys = [key for key in graph if key != "data"]
    assert get(graph, keys) == mobula.dask.get(graph, keys, workers="threads")


def test_a_class_of_node_that_is_not_dask_s_evaluates_itself():
    class Double(Task):
        __slots__ = ()

        def __call__(self, values=()):
            return 2 * super().__call__(values)

    graph = {"x": DataNode("x", 4), "y": Double("y", inc, TaskRef("x"))}
    assert get(graph, "y") == 10


VALUES = [
    None,
    0,
    "",
    False,
    NotImplemented,
    ...,
    float("inf"),
    10**400,
    "x" * 100_000,
    b"b" * 100_000,
    bytearray(100_000),
    [1],
    {"x": 1},
    {1, 2},
    frozenset({1}),
    (1, (2, [3])),
    range(5),
    slice(1, 2),
    1j,
    math.pi,
    len,
    inc,
    int,
    os,
    [[] for _ in range(1000)],
]


@pytest.mark.parametrize("value", [v for v in VALUES if v is not os], ids=lambda v: repr(v)[:20])
def test_every_object_is_a_value(value):
    graph = {"x": Task("x", lambda: value), "y": Task("y", lambda got: [got], TaskRef("x"))}
    x, y = get(graph, ["x", "y"])
    assert x == value and type(x) is type(value)
    assert y == [value]
    assert get({"data": DataNode("data", value), "y": Alias("y", "data")}, "y") == value


def test_values_that_come_back_are_independent_of_each_other_and_of_the_graph():
    data = [1, [2]]
    graph = {"x": DataNode("x", data), "y": (list, "x"), "z": (list, "y"), "w": (list, "y")}
    y, z, w = get(graph, ["y", "z", "w"])
    y.append(3)
    z.append(4)
    z[1].append(5)
    assert (data, w) == ([1, [2]], [1, [2]])


def test_a_value_that_is_in_a_result_twice_is_one_object_there():
    def twice():
        array = np.arange(100_000)
        return array, array

    first, second = get({"x": (twice,)}, "x")
    assert first is second


@functools.lru_cache
def cached(x):
    return x + 1


class Shape:
    """A class with all kinds of methods."""

    def __init__(self, side):
        self.side = side

    def area(self):
        return self.side**2

    @classmethod
    def of(cls, side):
        return cls(side)

    @staticmethod
    def corners():
        return 4

    def __call__(self, other):
        return self.side + other


def test_whatever_can_be_called_is_a_function():
    offset = 10
    cases = {
        "lambda": (lambda x: x + offset, 1),
        "closure": ((lambda f: lambda x: f(x) + offset)(inc), 1),
        "partial": (functools.partial(operator.add, 5), 1),
        "nested-partial": (functools.partial(functools.partial(max, 5), 7), 1),
        "builtin": (len, "abc"),
        "method": (Shape(3).area,),
        "builtin-method": ("abc".upper,),
        "class-method": (Shape.of(3).area,),
        "static-method": (Shape.corners,),
        "instance": (Shape(3), 4),
        "ufunc": (np.add, 1, 2),
        "itemgetter": (operator.itemgetter(1), ["a", "b"]),
        "methodcaller": (operator.methodcaller("upper"), "x"),
        "class": (complex, 1, 2),
        "cached": (cached, 3),
    }
    keys = list(cases)
    assert get(cases, keys) == mobula.dask.get(cases, keys, workers="threads")


def test_functions_and_classes_of_the_main_module(tmp_path):
    program = """
import dataclasses, enum, mobula, mobula.dask
from process_workers import get
BASE = 10
class Color(enum.Enum):
    RED = 1
@dataclasses.dataclass
class Point:
    x: int
    def moved(self, by):
        return Point(self.x + by + BASE)
class Special(Exception):
    pass
def helper(x):
    return x * 2
def make(x):
    return Point(helper(x))
def recursive(n):
    return 1 if n == 0 else n * recursive(n - 1)
def fails():
    raise Special("special")
if __name__ == "__main__":
    graph = {"p": (make, 4), "q": (Point.moved, "p", 1), "r": (recursive, 5), "c": (Color, 1)}
    p, q, r, c = get(graph, ["p", "q", "r", "c"])
    assert type(p) is Point and p == Point(8) and q == Point(19), (p, q)
    assert r == 120 and c is Color.RED, c
    try:
        get({"x": (fails,)}, "x")
    except Special as error:
        assert str(error) == "special"
    print("right")
"""
    path = tmp_path / "program.py"
    path.write_text(program)
    for arguments in (["-c", program], [str(path)], ["-m", "program"]):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            env=environment,
        )
        assert done.stdout == "right\n", done.stderr
    out, err = finish(start(program))
    assert (out, err) == ("right\n", "")


def test_a_function_is_pickled_once_a_run_however_many_tasks_it_has():
    pickled = []

    class Counted:
        def __call__(self, x):
            return x + 1

        def __reduce__(self):
            pickled.append(1)
            return _counted, ()

    counted = Counted()
    graph = {("x", number): (counted, number) for number in range(500)}
    assert get(graph, list(graph)) == tuple(range(1, 501))
    # Once to be sent; the two processes get the same bytes.
    assert len(pickled) == 1


def _counted():
    return inc


def test_large_literals_are_sent_and_one_that_many_tasks_have_is_right_in_all():
    large = np.arange(300_000)
    graph = {("x", number): (operator.getitem, large, number) for number in range(50)}
    assert get(graph, list(graph)) == tuple(range(50))
    text = "x" * 3_000_000
    assert get({"x": (len, text)}, "x") == 3_000_000


def test_wide_and_long_graphs_come_out_right():
    graph = {("w", number): (inc, number) for number in range(3000)}
    graph["sum"] = (sum, list(graph))
    graph["c", 0] = (inc, 0)
    graph |= {("c", number): (inc, ("c", number - 1)) for number in range(1, 2000)}
    assert get(graph, ["sum", ("c", 1999)]) == (3000 * 3001 // 2, 2000)


def test_dask_collections_have_the_values_that_they_have_in_threads():
    np.random.seed(0)
    array = da.from_array(np.random.random((400, 300)), chunks=(150, 100))
    frame = pd.DataFrame({"k": np.arange(1000) % 7, "v": np.arange(1000.0), "t": ["a", "b"] * 500})
    frames = dd.from_pandas(frame, npartitions=4)
    bag = db.from_sequence(range(1000), npartitions=7)
    delayed = dask.delayed(sum)([dask.delayed(inc)(number) for number in range(10)])
    collections = [
        (array @ array.T).mean(axis=0),
        array[::3, 5].cumsum(axis=0),
        frames.groupby("k").v.mean(),
        frames.merge(frames, on="k").v_x.sum(),
        frames.sort_values("v", ascending=False).t,
        frames.t.value_counts(),
        bag.map(inc).filter(lambda x: x % 2).frequencies(),
        bag.groupby(lambda x: x % 3).map(lambda pair: (pair[0], sum(pair[1]))),
        delayed,
    ]
    for collection in collections:
        got = collection.compute(scheduler=get)
        expected = collection.compute(scheduler="threads")
        if isinstance(expected, np.ndarray):
            np.testing.assert_allclose(got, expected)
        elif isinstance(expected, pd.Series):
            pd.testing.assert_series_equal(got.sort_index(), expected.sort_index())
        elif isinstance(expected, list):
            assert sorted(got) == sorted(expected)
        else:
            assert got == expected


def test_an_xarray_dataset():
    xarray = pytest.importorskip("xarray")
    data = xarray.Dataset({"a": (("x", "y"), np.arange(6000.0).reshape(60, 100))}).chunk(x=20)
    expected = data.mean("x").compute(scheduler="threads")
    assert data.mean("x").compute(scheduler=get).equals(expected)


@pytest.mark.parametrize("scheduler", ["mobula", "threads", "sync", get], ids=str)
def test_what_was_persisted_in_processes_computes_under_every_scheduler(scheduler):
    array = da.ones(100_000, chunks=20_000) * 3
    (kept,) = mobula.dask.persist(array, workers="processes")
    assert kept.sum().compute(scheduler=scheduler) == 300_000
    assert (kept + kept).sum().compute(scheduler=scheduler) == 600_000


def test_annotated_retries_and_errors_come_as_they_were_raised():
    def fails(x):
        raise LookupError("inner", x)

    with pytest.raises(LookupError) as raised:
        dask.delayed(fails)(7).compute(scheduler=get)
    assert raised.value.args == ("inner", 7)
    assert raised.traceback[-1].name == "fails"
