"""The contract of a scheduler: graphs, keys, shapes, values, keywords."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from operator import add

import dask
import pytest
from dask._task_spec import Alias, DataNode, Task, TaskRef

import mobula.dask as mobula_dask

BOTH = pytest.mark.parametrize("get", [mobula_dask.get, mobula_dask.get_sync])


def inc(x):
    return x + 1


@BOTH
def test_the_answer_has_the_shape_of_the_keys(get):
    graph = {"x": 1, "y": (inc, "x"), "z": (add, "x", "y")}
    assert get(graph, "z") == 3
    assert get(graph, ["z", ["x", "y"], []]) == (3, (1, 2), ())
    assert get(graph, []) == ()
    assert get({}, []) == ()


@BOTH
def test_keys_may_be_of_every_kind(get):
    keys = ["a", 1, 2.5, b"bytes", ("t", 0, (1, "deep")), 10**30, ("f", 0.5), True, -1]
    graph = {key: Task(key, inc, number) for number, key in enumerate(keys)}
    # True is the key 1, as in any dictionary.
    expected = tuple(8 if key == 1 else number + 1 for number, key in enumerate(keys))
    assert get(graph, keys) == expected


@BOTH
def test_nodes_of_every_kind_are_understood(get):
    graph = {
        "data": DataNode("data", [1, 2]),
        "other": Alias("other", "data"),
        "task": Task("task", add, TaskRef("other"), [3]),
        "keywords": Task("keywords", dict, left=TaskRef("data"), right=4),
        "nested": Task("nested", add, Task(None, inc, 1), Task(None, inc, 2)),
        "literal": 5,
        "tuple": (add, (inc, "literal"), 1),
        "list": [1, "literal", (inc, "literal")],
    }
    assert get(graph, ["other", "task", "keywords", "nested", "tuple", "list"]) == (
        [1, 2],
        [1, 2, 3],
        {"left": [1, 2], "right": 4},
        5,
        7,
        [1, 5, 6],
    )


@BOTH
def test_containers_with_references_are_filled(get):
    from dask._task_spec import Dict, List

    graph = {
        "x": DataNode("x", 1),
        "inside": Task(
            "inside", lambda *parts: parts, List(TaskRef("x"), 2), Dict({"k": TaskRef("x")})
        ),
        "itself": List(TaskRef("x"), TaskRef("x")),
    }
    assert get(graph, ["inside", "itself"]) == (([1, 2], {"k": 1}), [1, 1])


def test_a_class_of_node_that_is_not_dask_s_evaluates_itself():
    class Double(Task):
        __slots__ = ()

        def __call__(self, values=()):
            return 2 * super().__call__(values)

    graph = {"x": DataNode("x", 4), "y": Double("y", inc, TaskRef("x"))}
    assert mobula_dask.get(graph, "y") == 10


@BOTH
@pytest.mark.parametrize(
    "value",
    [None, 0, "", False, NotImplemented, ValueError("data"), [1], {"x": 1}, {1, 2}, (inc, 1), "x"],
    ids=repr,
)
def test_every_object_is_a_value(get, value):
    graph = {"x": Task("x", lambda: value), "y": Task("y", lambda got: [got], TaskRef("x"))}
    x, y = get(graph, ["x", "y"])
    assert x is value
    assert y[0] is value


@BOTH
def test_a_generator_passes_from_a_task_to_the_next(get):
    def numbers():
        yield from range(4)

    graph = {"x": Task("x", numbers), "y": Task("y", list, TaskRef("x"))}
    assert get(graph, "y") == [0, 1, 2, 3]


@BOTH
def test_arrays_stay_writable(get):
    np = pytest.importorskip("numpy")
    array = get({"x": (np.zeros, 3), "y": (np.add, "x", 1)}, "y")
    array[0] = 7
    assert array.tolist() == [7, 1, 1]


@BOTH
def test_the_graph_of_the_caller_is_not_changed(get):
    graph = {"x": 1, "y": (inc, "x"), "z": [1, (inc, "y")]}
    before = dict(graph)
    get(graph, "z")
    assert graph == before
    assert all(graph[key] is before[key] for key in graph)


def test_any_mapping_is_a_graph():
    class Graph(Mapping):
        def __init__(self, graph):
            self.graph = graph

        def __getitem__(self, key):
            return self.graph[key]

        def __iter__(self):
            return iter(self.graph)

        def __len__(self):
            return len(self.graph)

    assert mobula_dask.get(Graph({"x": 1, "y": (inc, "x")}), "y") == 2


@BOTH
def test_what_is_missing_is_named(get):
    with pytest.raises(KeyError, match="nowhere"):
        get({"x": 1}, "nowhere")
    with pytest.raises(ValueError, match=r"Missing dependency b for dependents \{'a'\}"):
        get({"a": Task("a", inc, TaskRef("b"))}, "a")
    # What nobody asks for may be wrong.
    assert get({"a": Task("a", inc, TaskRef("b")), "c": 1}, "c") == 1


@BOTH
def test_a_cycle_is_printed(get):
    with pytest.raises(RuntimeError, match=r"'x' -> 'y' -> 'x'|'y' -> 'x' -> 'y'"):
        get({"x": (inc, "y"), "y": (inc, "x")}, "x")


def test_keys_of_one_call_mean_nothing_to_the_next():
    for number in range(20):
        assert mobula_dask.get({"x": number, "y": (inc, "x")}, "y") == number + 1


def test_a_cache_supplies_values_and_receives_results():
    cache = {"b": 5}
    graph = {"a": Task("a", add, TaskRef("b"), 1), "data": DataNode("data", 3)}
    assert mobula_dask.get(graph, ["a"], cache=cache) == (6,)
    assert cache == {"b": 5, "a": 6, "data": 3}


@pytest.mark.parametrize("make", [ThreadPoolExecutor, ThreadPool])
def test_tasks_run_in_the_pool_that_was_given(make):
    barrier = threading.Barrier(3)

    def meet():
        barrier.wait(30)
        return threading.get_ident()

    with make(3) as pool:
        graph = {f"x{number}": (meet,) for number in range(3)}
        threads = mobula_dask.get(graph, list(graph), pool=pool)
        assert len(set(threads)) == 3
        with dask.config.set(pool=pool):
            again = mobula_dask.get({"x": (threading.get_ident,)}, "x")
        assert again in threads


def test_a_pool_of_processes_gets_what_pickle_cannot_write():
    with ProcessPoolExecutor(1) as pool:
        graph = {"x": (lambda number: number + 1, 1), "y": (lambda x: [x], "x")}
        assert mobula_dask.get(graph, "y", pool=pool) == [2]
        with pytest.raises(ZeroDivisionError):
            mobula_dask.get({"x": (lambda: 1 / 0,)}, "x", pool=pool)


def test_what_is_no_pool_is_named():
    with pytest.raises(TypeError, match="neither an executor"):
        mobula_dask.get({"x": (inc, 1)}, "x", pool=object())


def test_calls_are_packed_as_the_caller_says():
    packed = []

    def dumps(what):
        packed.append(what)
        return what

    with ThreadPoolExecutor(1) as pool:
        answer = mobula_dask.get(
            {"x": (inc, 1)}, "x", pool=pool, dumps=dumps, loads=lambda what: what
        )
    assert answer == 2
    assert packed[-1] == 2


@pytest.mark.parametrize("count", [1, 3])
def test_so_many_workers_as_asked_for(count):
    barrier = threading.Barrier(count)

    def meet():
        barrier.wait(30)
        return threading.get_ident()

    graph = {f"x{number}": (meet,) for number in range(count)}
    assert len(set(mobula_dask.get(graph, list(graph), num_workers=count))) == count
    with pytest.raises(ValueError, match="1 or more"):
        mobula_dask.get({"x": (inc, 1)}, "x", num_workers=0)


def test_a_kind_of_workers_that_is_not_there_is_refused():
    assert mobula_dask.get({"x": (inc, 1)}, "x", workers="threads") == 2
    with pytest.raises(ValueError, match='"threads", "processes" and "auto"'):
        mobula_dask.get({"x": (inc, 1)}, "x", workers="elephants")


@BOTH
def test_unknown_keywords_are_tolerated(get):
    assert get({"x": (inc, 1)}, "x", chunksize=3, optimize_graph=False, elephants=2) == 2


@BOTH
def test_tasks_see_the_context_of_the_caller_and_leave_it_alone(get):
    number = contextvars.ContextVar("number", default=0)

    def change():
        before = number.get()
        number.set(before + 1)
        return before

    graph = {f"x{count}": (change,) for count in range(5)}
    token = number.set(7)
    try:
        assert get(graph, list(graph)) == (7,) * 5
        assert number.get() == 7
    finally:
        number.reset(token)


@BOTH
def test_tasks_see_the_configuration(get):
    with dask.config.set({"elephants": 3}):
        assert get({"x": (dask.config.get, "elephants")}, "x") == 3


def test_sync_tasks_run_in_the_calling_thread():
    graph = {f"x{count}": (threading.get_ident,) for count in range(20)}
    assert set(mobula_dask.get_sync(graph, list(graph))) == {threading.get_ident()}


def test_a_chain_of_a_hundred_thousand():
    count = 100_000
    graph = {("x", 0): DataNode(("x", 0), 0)}
    for number in range(1, count):
        key = ("x", number)
        graph[key] = Task(key, inc, TaskRef(("x", number - 1)))
    assert mobula_dask.get(graph, ("x", count - 1)) == count - 1


def test_nested_computes_and_many_callers_at_once():
    def nested(number):
        graph = {"x": number, "y": (inc, "x")}
        return mobula_dask.get(graph, "y")

    def calls():
        graph = {f"x{number}": Task(f"x{number}", nested, number) for number in range(16)}
        return sum(mobula_dask.get(graph, list(graph)))

    with ThreadPoolExecutor(20) as callers:
        answers = list(callers.map(lambda _: calls(), range(40)))
    assert answers == [sum(range(1, 17))] * 40


def test_a_thousand_computes_take_no_more_memory_or_threads():
    psutil = pytest.importorskip("psutil")
    process = psutil.Process()

    def computes(count):
        for _ in range(count):
            assert mobula_dask.get({"x": b"1" * 10_000, "y": (len, "x")}, ["y"]) == (10_000,)
        return process.memory_info().rss, process.num_threads()

    computes(200)
    memory, threads = computes(200)
    more_memory, more_threads = computes(1000)
    assert more_threads <= threads
    assert more_memory - memory < 4 << 20


@BOTH
def test_what_is_nested_too_deep_is_an_error_and_no_crash(get):
    wanted = "x"
    task = TaskRef("x")
    for _ in range(20_000):
        wanted = [wanted]
        task = Task(None, abs, task)
    with pytest.raises(RecursionError, match="wanted keys"):
        get({"x": 1}, wanted)
    with pytest.raises(RecursionError, match="arguments of a task"):
        get({"x": 1, "y": Task("y", abs, task)}, "y")
    assert get({"x": 1}, [[["x"]]]) == (((1,),),)


def test_what_is_no_graph_no_number_and_no_cache_is_named():
    with pytest.raises(TypeError, match="dsk is of type NoneType"):
        mobula_dask.get(None, "x")
    for wrong in ("x", 2.5):
        with pytest.raises(TypeError, match=r"num_workers=.*whole number"):
            mobula_dask.get({"x": 1}, "x", num_workers=wrong)
    with pytest.raises(ValueError, match="num_workers=-1"):
        mobula_dask.get({"x": 1}, "x", num_workers=-1)
    for get in (mobula_dask.get, mobula_dask.get_sync):
        with pytest.raises(TypeError, match=r"cache=.*dictionary"):
            get({"x": 1}, "x", cache=[1])
