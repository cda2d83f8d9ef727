"""How long what worker processes know of their parent stays."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import threading
import weakref

import cloudpickle
import pytest
from children import Child, until

import mobula
import mobula.dask
from mobula import _requests

# As with the main module of a program: children cannot import it.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@mobula.remote
class Cache:
    def __init__(self, **values):
        self.values = values

    def get(self, key):
        return self.values[key]


class Thing:
    """Something that weak references can be made to."""


@pytest.fixture(scope="module")
def child():
    with Child() as child:
        yield child


@pytest.fixture
def gate():
    """An event that lets others go on; set at the end in any case."""
    event = threading.Event()
    yield event
    event.set()


def gone(thing):
    """An event that is set when a thing is gone."""
    event = threading.Event()
    weakref.finalize(thing, event.set)
    return event


def keep(things):
    """In a child: keep things, instead of those that were kept before."""
    import builtins

    builtins.kept = things


def nothing_is_lent(child):
    """Wait until nothing is left of what a child was lent."""
    child.call(gc.collect)
    until(lambda: _requests.number_of_lent() == 0)


def nobody_asks():
    """Wait until all that was asked for has come to its end."""
    until(lambda: _requests._threads._idle == len(_requests._threads))


def test_a_ref_stays_as_long_as_the_child_has_it(child):
    nothing_is_lent(child)
    thing = Thing()
    event = gone(thing)

    def use():
        import builtins

        return type(mobula.get(builtins.kept[0])).__name__

    child.call(keep, [mobula.put(thing)])
    del thing
    gc.collect()
    assert _requests.number_of_lent() == 1
    assert child.call(use) == "Thing"
    assert not event.is_set()
    child.call(keep, None)
    assert event.wait(30)
    nothing_is_lent(child)


def test_what_only_the_call_has_is_never_lent(child):
    nothing_is_lent(child)
    del child.asked[:]
    graph = {("x", number): (repr, mobula.put(number)) for number in range(10)}
    texts = mobula.dask.get(graph, list(graph), workers="processes", num_workers=1)
    assert all("in the parent" in text for text in texts)
    assert child.asked == []


def test_what_is_lent_many_times_is_given_back_at_once(child):
    nothing_is_lent(child)
    cache = Cache.remote(x=[mobula.put(0)])
    del child.asked[:]

    def task(cache):
        return len({ref for _ in range(20) for ref in mobula.get(cache.get.remote("x"))})

    assert child.call(task, cache) == 1
    nothing_is_lent(child)
    assert child.asked.count("give_back") < 20


def test_a_result_holds_the_refs_in_it(child):
    def task():
        return [mobula.put(number) for number in range(100)]

    refs = child.call(task)
    nothing_is_lent(child)
    assert mobula.get(refs) == list(range(100))


def test_a_child_that_dies_lets_go_of_everything(child):
    nothing_is_lent(child)
    thing = Thing()
    event = gone(thing)
    pid = child.pid

    def keep_both(ref):
        keep((ref, mobula.put("another")))

    child.call(keep_both, mobula.put(thing))
    del thing
    assert _requests.number_of_lent() >= 2
    assert not event.is_set()
    child.signal(pid)
    assert event.wait(30)
    until(lambda: _requests.number_of_lent() == 0)
    assert child.pid != pid


def test_a_child_that_dies_waits_for_nothing_more(child, gate):
    """Its task runs again in another process, and asks again."""

    @mobula.remote
    def behind():
        gate.wait()
        return "late"

    late, pid = behind.remote(), child.pid
    nobody_asks()
    del child.asked[:]
    future = child.begin(mobula.get, late)
    until(lambda: "get" in child.asked)
    child.signal(pid)
    until(lambda: child.asked.count("get") == 2)
    until(lambda: len(_requests._threads) - _requests._threads._idle == 1)
    gate.set()
    assert future.result(30) == "late"
    nobody_asks()


def test_an_interrupted_question_is_given_up(child, gate):
    @mobula.remote
    def behind():
        gate.wait()

    def task(ref):
        mobula.get(ref)

    def interrupt():
        until(lambda: "get" in child.asked)
        os.kill(os.getpid(), signal.SIGINT)

    nobody_asks()
    del child.asked[:]
    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        child.call(task, behind.remote())
    interrupter.join()
    until(lambda: "abandon" in child.asked)
    nobody_asks()
    gate.set()
    assert child.call(mobula.get, mobula.put(1)) == 1


class Fleeting:
    """Makes a ref when it is pickled."""

    def __init__(self, ref=None):
        self.ref = ref

    def __reduce__(self):
        return Fleeting, (mobula.put("fleeting"),)


def test_a_handle_that_is_made_for_a_pickle_stays_until_the_end_of_its_run(child):
    fleeting = Fleeting()

    def task(fleeting):
        gc.collect()
        return mobula.get(fleeting.ref)

    graph = {("x", number): (task, fleeting) for number in range(10)}
    values = mobula.dask.get(graph, list(graph), workers="processes", num_workers=1)
    assert values == ("fleeting",) * 10


def test_refs_go_from_one_process_to_another_in_results(child):
    def make(number):
        return [mobula.put(number)]

    def take(*made):
        return [mobula.get(ref) for (ref,) in made]

    graph = {("x", number): (make, number) for number in range(10)}
    graph["all"] = (take, *graph)
    assert mobula.dask.get(graph, "all", workers="processes", num_workers=2) == list(range(10))
    (first,) = mobula.dask.get(graph, ("x", 0), workers="processes", num_workers=2)
    assert mobula.get(first) == 0


def test_a_handle_that_is_gone_says_so(child):
    pickled = cloudpickle.dumps(mobula.put(1))

    def task():
        return mobula.get(pickle.loads(pickled))

    with pytest.raises(RuntimeError, match="the ObjectRef of this pickle is gone"):
        child.call(task)


def test_an_actor_ends_with_the_last_handle_of_a_child(child):
    @mobula.remote
    class Held:
        def hold(self, thing):
            self.thing = thing

    thing = Thing()
    ended = gone(thing)
    held = Held.remote()
    mobula.get(held.hold.remote(thing))
    del thing

    child.call(keep, held)
    del held
    gc.collect()
    assert not ended.wait(0.05)
    child.call(keep, None)
    assert ended.wait(30)
