"""What tasks and hooks in worker processes ask of their parent."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import sys
import threading
import time
import traceback
import weakref

import cloudpickle
import pytest
from children import Child, until

import mobula
import mobula.dask as mobula_dask
from mobula import _requests
from mobula.exceptions import ActorDiedError, GetTimeoutError

# As with the main module of a program: children cannot import it.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@mobula.remote
class Cache:
    def __init__(self, **values):
        self.values = values

    def get(self, key):
        return self.values[key]

    def put(self, key, value):
        self.values[key] = value

    def has(self, key):
        return key in self.values

    def call(self, function, *args):
        return function(*args)

    def pair(self):
        return 1, 2


@mobula.remote
def add(x, y):
    return x + y


@pytest.fixture(scope="module")
def child():
    with Child() as child:
        yield child


# Actors.


def test_an_actor_is_asked_from_a_child(child):
    cache = Cache.remote(x=1)

    def task(cache):
        cache.put.remote("y", [2])
        return mobula.get(cache.get.remote("x")), mobula.get(cache.get.remote("y"))

    assert child.call(task, cache) == (1, [2])
    assert mobula.get(cache.get.remote("y")) == [2]


def test_what_an_actor_raises_is_raised_in_the_child(child):
    cache = Cache.remote()

    def task():
        try:
            mobula.get(cache.get.remote("x"))
        except KeyError as missing:
            lines = traceback.format_exception(missing)
            return missing.args, "".join(lines)

    args, text = child.call(task)
    assert args == ("x",)
    assert "return self.values[key]" in text
    assert "mobula/_requests.py" not in text


def test_an_actor_is_found_by_its_name(child):
    cache = Cache.options(name="found from a child").remote(x="here")

    def task(name):
        return mobula.get(mobula.get_actor(name).get.remote("x"))

    assert child.call(task, "found from a child") == "here"
    with pytest.raises(ValueError, match='no actor with the name "nobody"'):
        child.call(task, "nobody")
    mobula.kill(cache)


def test_handles_are_the_same_type_and_come_back_as_the_same_object(child):
    cache = Cache.remote()

    def task(one, two):
        assert type(one) is mobula.ActorHandle and one == two and hash(one) == hash(two)
        assert copy.copy(one) is one
        assert repr(one) == "ActorHandle(Cache)" and hasattr(one, "get")
        assert not hasattr(one, "set")
        return one

    again = child.call(task, cache, cache)
    assert again is cache
    with pytest.raises(TypeError, match=r"`\.get\.remote\(\.\.\.\)`"):
        child.call(lambda: cache.get("x"))
    with pytest.raises(AttributeError) as caught:
        child.call(lambda: cache.set)
    message = str(caught.value)
    assert 'the actor Cache has no method "set"; it has: call, get, has, pair, put' in message


def test_a_method_can_be_closed_over(child):
    cache = Cache.remote(x=3)
    get, pair = cache.get, cache.pair.options(num_returns=2)

    def task():
        return mobula.get([get.remote("x"), *pair.remote()])

    assert child.call(task) == [3, 1, 2]
    assert child.call(lambda: repr(pair)) == "ActorMethod(Cache.pair)"


def test_the_calls_of_a_task_stay_in_order(child):
    @mobula.remote
    class Log:
        def __init__(self):
            self.notes = []

        def note(self, note):
            self.notes.append(note)

        def read(self):
            return self.notes

    log = Log.remote()
    gate = threading.Event()

    @mobula.remote
    def late():
        gate.wait()
        return "late"

    def task(log, late):
        log.note.remote(late)
        for number in range(20):
            log.note.remote(number)
        return log.read.remote()

    read = child.call(task, log, late.remote())
    gate.set()
    assert mobula.get(read) == ["late", *range(20)]


def test_an_actor_that_a_child_has_made_lives_in_the_parent(child):
    def make():
        cache = Cache.options(name="made by a child").remote(x=1)
        return mobula.get(cache.call.remote(os.getpid)), cache

    process, cache = child.call(make)
    assert process == os.getpid()
    assert mobula.get(cache.get.remote("x")) == 1
    assert mobula.get_actor("made by a child") == cache
    child.call(mobula.kill, cache)
    with pytest.raises(ActorDiedError, match="was killed"):
        mobula.get(cache.get.remote("x"))


# Refs.


def test_refs_are_the_same_type_and_come_back_as_the_same_object(child):
    ref, other = mobula.put("here"), mobula.put("here")

    def task(one, two, other):
        assert isinstance(one, mobula.ObjectRef) and type(one) is mobula.ObjectRef
        assert one == two and hash(one) == hash(two) and one != other and one != "here"
        assert len({one, two, other}) == 2
        assert weakref.ref(one)() is one
        assert repr(one) == f"ObjectRef({one.key}, in the parent of this process)"
        assert mobula.get(one) == "here" and mobula.get((one, two)) == ["here"] * 2
        assert pickle.loads(pickle.dumps(one)) == one
        return [one, two, other], one.key

    answer, key = child.call(task, ref, copy.copy(ref), other)
    assert answer[0] is ref and answer[1] is ref and answer[2] is other
    assert key == ref.key


def test_different_refs_to_the_same_value_are_equal_in_a_child(child):
    inner = mobula.put(1)
    one, two = mobula.put([inner]), mobula.put([inner])

    def task(one, two):
        (first,), (second,) = mobula.get([one, two])
        assert first == second
        return mobula.get(first)

    assert child.call(task, one, two) == 1


def test_a_value_that_a_child_has_put_is_in_the_parent(child):
    def task():
        ref = mobula.put([1, 2])
        assert mobula.get(ref) == [1, 2]
        return ref

    ref = child.call(task)
    assert mobula.get(ref) == [1, 2]
    with pytest.raises(TypeError, match="an ObjectRef already"):
        child.call(mobula.put, ref)


def test_a_child_waits_for_values(child):
    gate = threading.Event()

    @mobula.remote
    def behind():
        gate.wait()
        return "late"

    late = behind.remote()
    there = mobula.put(1)

    def task(late, there):
        assert mobula.wait([late, there]) == ([there], [late])
        assert mobula.wait([late], timeout=0) == ([], [late])
        assert mobula.wait([]) == ([], [])
        try:
            mobula.get(late, timeout=0.001)
        except GetTimeoutError:
            return True

    assert child.call(task, late, there)
    with pytest.raises(ValueError, match="different"):
        child.call(mobula.wait, [there, there])
    with pytest.raises(TypeError, match="an ObjectRef is expected"):
        child.call(mobula.get, [there, 1])
    waiting = child.begin(mobula.get, late)
    gate.set()
    assert waiting.result(30) == "late"


def test_a_child_awaits_values(child):
    async def both(one, two):
        return await asyncio.gather(one, two)

    def task(one, two):
        future = one.future()
        assert future.result(30) == 1 and not future.cancel()
        assert isinstance(two.future().exception(30), KeyError)
        try:
            asyncio.run(both(one, two))
        except KeyError as raised:
            return raised.args

    cache = Cache.remote(x=1)
    assert child.call(task, cache.get.remote("x"), cache.get.remote("y")) == ("y",)


def test_threads_of_a_child_ask_too(child):
    def task(ref):
        values = []
        threads = [
            threading.Thread(target=lambda: values.append(mobula.get(ref))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return values

    assert child.call(task, mobula.put("many")) == ["many"] * 8


def test_remote_functions_run_in_the_parent(child):
    @mobula.remote(num_returns=2)
    def where(x):
        return os.getpid(), x

    def task(ref):
        process, ten = where.remote(add.remote(ref, y=7))
        return mobula.get(process), mobula.get(ten), add.options(name="sum").remote(1, 2).key

    process, ten, key = child.call(task, mobula.put(3))
    assert (process, ten) == (os.getpid(), 10)
    assert key.startswith("sum-")


def test_a_ref_to_a_value_in_the_child_is_put_when_it_travels(child):
    def task(cache, away):
        from mobula import _core

        here = _core.ref_here("input", [1])
        assert mobula.get(here) == [1] and here.key == "input"
        assert mobula.get([away, here, away]) == ["away", [1], "away"]
        assert mobula.wait([away, here], num_returns=2) == ([away, here], [])
        assert mobula.wait([here, away], num_returns=1) == ([here], [away])
        mobula.get(cache.put.remote("ref", [here]))
        return here

    cache = Cache.remote()
    ref = child.call(task, cache, mobula.put("away"))
    assert mobula.get(ref) == [1]
    assert mobula.get(mobula.get(cache.get.remote("ref"))) == [[1]]


# Calls inside of each other.


@mobula.remote
class Asks:
    """Calls something in the child that waits for it."""

    def ask(self, function, *args):
        from test_requests import CHILDREN

        return CHILDREN[0].call(function, *args)


#: The child of `Asks`.
CHILDREN: list[Child] = []


@pytest.fixture
def only_child(child):
    CHILDREN[:] = [child]
    yield child
    del CHILDREN[:]


def test_a_child_makes_calls_while_it_waits(only_child):
    asks = Asks.remote()

    def task(number):
        return number + 1

    assert only_child.call(lambda: mobula.get(asks.ask.remote(task, 1))) == 2


def test_many_questions_that_wait_for_each_other(only_child):
    def task(depth):
        return mobula.get(Asks.remote().ask.remote(task, depth - 1)) if depth else "bottom"

    assert only_child.call(task, 12) == "bottom"


# Hooks, and threads that go on by themselves.


def test_the_cache_of_the_documentation_is_filled_from_hooks_in_the_child(child):
    class SimpleCacheCallback(mobula_dask.RayDaskCallback):
        def __init__(self, cache_actor_handle, put_threshold=10):
            self.cache_actor = cache_actor_handle
            self.put_threshold = put_threshold

        def _ray_presubmit(self, task, key, deps):
            try:
                return mobula.get(self.cache_actor.get.remote(str(key)))
            except KeyError:
                return None

        def _ray_pretask(self, key, object_refs):
            return time.perf_counter()

        def _ray_posttask(self, key, result, pre_state):
            execution_time = time.perf_counter() - pre_state
            if execution_time > self.put_threshold:
                self.cache_actor.put.remote(str(key), (result, os.getpid()))

    def inc(x):
        return x + 1

    graph = {("inc", number): (inc, number) for number in range(50)}
    cache = Cache.remote()
    with SimpleCacheCallback(cache, put_threshold=-1):
        values = mobula_dask.get(graph, list(graph), workers="processes", num_workers=1)
    assert values == tuple(range(1, 51))
    assert mobula.get(cache.get.remote("('inc', 7)")) == (8, child.pid)


def test_a_hook_in_the_child_gets_refs_to_the_inputs(child):
    seen = Cache.remote()

    def look(key, refs):
        assert all(type(ref) is mobula.ObjectRef for ref in refs)
        seen.put.remote(key, mobula.get(refs))

    graph = {"x": (abs, -3), "y": (int, 4), "z": (add._function, "x", "y")}
    with mobula_dask.Callback(task_start=look):
        assert mobula_dask.get(graph, "z", workers="processes", num_workers=1) == 7
    assert mobula.get(seen.get.remote("z")) == [3, 4]


def test_a_thread_asks_when_the_child_has_nothing_to_do(child):
    log = Cache.remote()

    def task():
        def later():
            time.sleep(0.05)
            log.put.remote("asked", mobula.get(ref))

        ref = mobula.put("by a thread")
        threading.Thread(target=later).start()

    child.call(task)
    until(lambda: mobula.get(log.has.remote("asked")))
    assert mobula.get(log.get.remote("asked")) == "by a thread"


def test_a_thread_that_waits_holds_nobody_up(child):
    gate = threading.Event()

    @mobula.remote
    def behind():
        gate.wait()
        return "late"

    late = behind.remote()

    def task(number):
        if number == 0:
            import builtins

            builtins.kept = late.future()
        return number

    try:
        graph = {("x", number): (task, number) for number in range(20)}
        values = mobula_dask.get(graph, list(graph), workers="processes", num_workers=1)
        assert values == tuple(range(20))
    finally:
        gate.set()
    assert child.call(lambda: __import__("builtins").kept.result(30)) == "late"


# The rest.


def test_a_child_is_initialized_and_sets_nothing_up(child):
    assert child.call(mobula.is_initialized)
    child.call(lambda: mobula.init(ignore_reinit_error=True))
    with pytest.raises(RuntimeError, match="in the parent of this process"):
        child.call(mobula.init)
    with pytest.raises(RuntimeError, match="those of the parent"):
        child.call(mobula.shutdown)


def test_what_cannot_travel_says_so(child):
    ref = mobula.put(threading.Lock())
    with pytest.raises(TypeError, match="cannot pickle"):
        child.call(mobula.get, ref)
    with pytest.raises(TypeError, match="cannot pickle"):
        child.call(lambda: mobula.put(threading.Lock()))


def test_an_exception_that_cannot_travel_is_told(child):
    class Stubborn(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one} and {two}")

    cache = Cache.remote()

    def task():
        raise Stubborn(1, 2)

    with pytest.raises(RuntimeError, match="Stubborn: 1 and 2"):
        child.call(lambda: mobula.get(cache.call.remote(task)))


def test_causes_travel(child):
    cache = Cache.remote()

    def fails():
        try:
            [][0]
        except IndexError as error:
            raise LookupError("behind it") from error

    with pytest.raises(LookupError) as caught:
        child.call(lambda: mobula.get(cache.call.remote(fails)))
    assert isinstance(caught.value.__cause__, IndexError)


def test_shutdown_ends_the_threads():
    with Child() as other:
        assert other.call(mobula.get, mobula.put(1)) == 1
        mobula.shutdown()
        assert len(_requests._threads) == 0
        assert other.call(lambda: mobula.get(mobula.put(2))) == 2
