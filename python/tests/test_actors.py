"""Actors: the order of calls, errors, names, waiting; and the documentation's cache."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
import traceback
from timeit import default_timer as timer

import pytest
from remotes import Log, run

import mobula
import mobula as ray
from mobula.exceptions import ActorDiedError, WouldDeadlockError


# The documentation's, as written.
@ray.remote
class SimpleCacheActor:
    def __init__(self):
        self.cache = {}

    def get(self, key):
        # Raises KeyError if key isn't in cache.
        return self.cache[key]

    def put(self, key, value):
        self.cache[key] = value


def test_the_cache_of_the_documentation():
    cache_actor = SimpleCacheActor.remote()
    with pytest.raises(KeyError) as caught:
        ray.get(cache_actor.get.remote("x"))
    assert caught.value.args == ("x",)
    cache_actor.put.remote("x", None)
    assert ray.get(cache_actor.get.remote("x")) is None


def test_the_cache_callback_of_the_documentation():
    dask = pytest.importorskip("mobula.dask")
    calls = []

    class SimpleCacheCallback(dask.RayDaskCallback):
        def __init__(self, cache_actor_handle, put_threshold=10):
            self.cache_actor = cache_actor_handle
            self.put_threshold = put_threshold

        def _ray_presubmit(self, task, key, deps):
            try:
                return ray.get(self.cache_actor.get.remote(str(key)))
            except KeyError:
                return None

        def _ray_pretask(self, key, object_refs):
            start_time = timer()
            return start_time

        def _ray_posttask(self, key, result, pre_state):
            execution_time = timer() - pre_state
            if execution_time > self.put_threshold:
                self.cache_actor.put.remote(str(key), result)

    def inc(x):
        calls.append(x)
        return x + 1

    graph = {("inc", number): (inc, number) for number in range(300)}
    graph["sum"] = (sum, list(graph))
    for workers in (1, 2):
        calls.clear()
        cache_actor = SimpleCacheActor.remote()
        with SimpleCacheCallback(cache_actor, put_threshold=-1):
            for _ in range(3):
                assert dask.ray_dask_get(graph, "sum", num_workers=workers) == 45150
        assert sorted(calls) == list(range(300))
    mobula.kill(cache_actor)
    with SimpleCacheCallback(cache_actor), pytest.raises(ActorDiedError, match="was killed"):
        dask.ray_dask_get(graph, "sum")


def test_the_cache_is_asked_in_the_tasks_of_a_graph():
    dask = pytest.importorskip("mobula.dask")
    cache_actor = SimpleCacheActor.remote()

    def inc(x):
        try:
            return ray.get(cache_actor.get.remote(str(x)))
        except KeyError:
            cache_actor.put.remote(str(x), x + 1)
            return x + 1

    graph = {("inc", number): (inc, number % 10) for number in range(200)}
    for workers in (1, 2):
        answer = dask.get(graph, list(graph), num_workers=workers)
        assert answer == tuple(number % 10 + 1 for number in range(200))
    assert dask.get_sync(graph, ("inc", 3)) == 4


def test_methods_run_in_the_order_of_the_calls_on_one_thread():
    log = Log.remote("first")
    refs = [log.note.remote(number) for number in range(1000)]
    assert ray.get(log.read.remote()) == ["first", *range(1000)]
    assert ray.get(refs) == list(range(1000))
    threads = set(ray.get([log.thread.remote() for _ in range(10)]))
    assert len(threads) == 1 and threads != {threading.get_ident()}


def test_keywords_and_refs_among_the_arguments():
    log = Log.remote(mobula.put("made"))
    assert ray.get(log.note.remote(note=log.note.remote(mobula.put(1)))) == 1
    assert ray.get(log.read.remote()) == ["made", 1, 1]
    (inner,) = ray.get(log.note.remote([mobula.put("stays")]))
    assert ray.get(inner) == "stays"


def test_a_call_that_waits_for_its_argument_is_not_overtaken():
    gate = threading.Event()

    @mobula.remote
    def late(value):
        gate.wait()
        return value

    log = Log.remote()
    log.note.remote("before")
    log.note.remote(late.remote("late"))
    after = log.note.remote("after")

    others = []
    other = threading.Thread(target=lambda: others.append(ray.get(log.note.remote("other"))))
    other.start()
    other.join()  # Another caller's call does not wait.
    assert others == ["other"]
    assert ray.wait([after], timeout=0) == ([], [after])
    gate.set()
    assert ray.get(after) == "after"
    notes = ray.get(log.read.remote())
    assert [note for note in notes if note != "other"] == ["before", "late", "after"]


def test_a_constructor_that_waits_for_its_argument_comes_first():
    gate = threading.Event()

    @mobula.remote
    def late():
        gate.wait()
        return "late"

    log = Log.remote(late.remote())
    refs = [log.note.remote(number) for number in range(3)]
    threading.Thread(target=lambda: log.note.remote("other")).start()
    assert ray.wait(refs, timeout=0) == ([], refs)
    gate.set()
    assert ray.get(refs) == [0, 1, 2]
    assert ray.get(log.read.remote())[0] == "late"


def test_an_exception_comes_back_and_the_actor_lives_on():
    log = Log.remote()
    with pytest.raises(LookupError, match="here") as caught:
        ray.get(log.fail.remote("here"))
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert frames[-1].line == "raise LookupError(message)"
    assert [frame.name for frame in frames][1:] == ["fail"]
    assert ray.get(log.note.remote(1)) == 1


def test_a_failed_argument_fails_the_call_alone():
    log = Log.remote()
    failed = log.note.remote(log.fail.remote("argument"))
    after = log.note.remote("after")
    with pytest.raises(LookupError, match="argument"):
        ray.get(failed)
    assert ray.get(after) == "after"
    assert ray.get(log.read.remote()) == ["after"]


def test_an_exit_in_a_method_comes_back_and_the_actor_lives_on():
    log = Log.remote()
    with pytest.raises(SystemExit):
        ray.get(log.call.remote(sys.exit, 3))
    assert ray.get(log.note.remote(1)) == 1


def test_a_constructor_that_raises_shows_at_each_call():
    @mobula.remote
    class Broken:
        def __init__(self, message):
            raise ValueError(message)

        def use(self):
            pass

    broken = Broken.remote("cannot be made")
    for ref in [broken.use.remote(), broken.use.remote()]:
        with pytest.raises(
            ActorDiedError, match=r"Broken could not be made: .*cannot be"
        ) as caught:
            ray.get(ref)
        assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(ActorDiedError, match="cannot be made"):
        ray.get(broken.use.remote())
    with pytest.raises(ActorDiedError, match="from here"):
        ray.get(Broken.remote(Log.remote().fail.remote("from here")).use.remote())


def test_several_results_of_a_method():
    log = Log.remote(1, 2)
    assert ray.get(log.read.options(num_returns=2).remote()) == [1, 2]
    assert log.note.options(num_returns=0).remote(3) is None
    for ref in log.read.options(num_returns=2).remote():
        with pytest.raises(ValueError, match="2 results were announced, and 3 came"):
            ray.get(ref)


def test_named_actors():
    log = Log.options(name="log").remote("named")
    with pytest.raises(ValueError, match='"log" already'):
        Log.options(name="log").remote()
    same = Log.options(name="log", get_if_exists=True).remote("not made")
    assert same == log == ray.get_actor("log")
    assert hash(same) == hash(log)
    del log, same
    assert ray.get(ray.get_actor("log").read.remote()) == ["named"]
    mobula.kill(ray.get_actor("log"))
    with pytest.raises(ValueError, match='no actor with the name "log"'):
        ray.get_actor("log")
    again = Log.options(name="log", get_if_exists=True).remote("again")
    assert ray.get(again.read.remote()) == ["again"]
    mobula.kill(again)
    with pytest.raises(ValueError, match="needs a name"):
        Log.options(get_if_exists=True)


def test_a_named_actor_that_failed_gives_its_name_back():
    @mobula.remote
    class Broken:
        def __init__(self):
            raise ValueError

        def use(self):
            pass

    with pytest.raises(ActorDiedError):
        ray.get(Broken.options(name="broken").remote().use.remote())
    with pytest.raises(ValueError, match="broken"):
        ray.get_actor("broken")
    log = Log.options(name="broken").remote()
    assert ray.get(log.note.remote(1)) == 1
    mobula.kill(log)


def test_eight_threads_get_or_make_the_same_actor():
    barrier, handles = threading.Barrier(8), []

    def make(place):
        barrier.wait()
        handles.append(Log.options(name="one", get_if_exists=True).remote(place))

    threads = [threading.Thread(target=make, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(handles)) == 1
    assert len(ray.get(handles[0].read.remote())) == 1
    mobula.kill(handles[0])


def test_a_handle_goes_everywhere_in_the_process():
    log = Log.remote()

    @mobula.remote
    def tell(log, note):
        return ray.get(log.note.remote(note))

    @mobula.remote
    class Teller:
        def __init__(self, log):
            self.log = log

        def tell(self, note):
            return ray.get(self.log.note.remote(note))

    assert copy.copy(log) is log and copy.deepcopy(log) is log
    assert pickle.loads(pickle.dumps(log)) is log
    note, _ = pickle.loads(pickle.dumps(log.note.options(num_returns=2))).remote("ab")
    assert ray.get(note) == "a"
    assert ray.get(tell.remote(log, 1)) == 1
    assert ray.get(Teller.remote(log).tell.remote(2)) == 2
    assert ray.get(log.read.remote()) == ["ab", 1, 2]


def test_eight_threads_call_an_actor_at_once():
    log = Log.remote()
    barrier = threading.Barrier(8)

    def call(place):
        barrier.wait()
        for number in range(100):
            log.note.remote((place, number))
        ray.get(log.note.remote((place, "end")))

    threads = [threading.Thread(target=call, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    notes = ray.get(log.read.remote())
    for place in range(8):
        assert [n for p, n in notes if p == place] == [*range(100), "end"]


def test_to_wait_for_oneself_is_an_error_at_once():
    @mobula.remote
    class Selfish:
        def __init__(self):
            self.me = None

        def know(self, me):
            self.me = me[0]

        def other(self):
            return 1

        def wait(self, wait):
            ref = self.me.other.remote()
            if wait:
                ray.wait([ref])
            return ray.get(ref, timeout=60)

        def later(self):
            return [self.me.other.remote()]

        def through(self, add):
            return ray.get(add.remote(self.me.other.remote(), 1))

    @mobula.remote
    def add(x, y):
        return x + y

    selfish = Selfish.remote()
    selfish.know.remote([selfish])
    for wait in (False, True):
        with pytest.raises(WouldDeadlockError, match=r"Selfish waits here for Selfish.other"):
            ray.get(selfish.wait.remote(wait))
    with pytest.raises(WouldDeadlockError):
        ray.get(selfish.through.remote(add))
    assert ray.get(ray.get(selfish.later.remote())[0]) == 1
    mobula.kill(selfish)


def test_actors_that_wait_for_each_other_are_told():
    @mobula.remote
    class Friend:
        def __init__(self):
            self.friend = None

        def know(self, friend):
            self.friend = friend[0]

        def answer(self):
            return 1

        def ask(self):
            return ray.get(self.friend.ask_back.remote())

        def ask_back(self):
            return ray.get(self.friend.answer.remote())

    one, two = Friend.remote(), Friend.remote()
    ray.get([one.know.remote([two]), two.know.remote([one])])
    assert ray.get(two.ask_back.remote()) == 1
    with pytest.raises(WouldDeadlockError):
        ray.get(one.ask.remote())
    mobula.kill(one)
    mobula.kill(two)


def test_an_actor_computes_and_calls_functions():
    dask = pytest.importorskip("mobula.dask")

    @mobula.remote
    def square(x):
        return x * x

    log = Log.remote()

    def work():
        squares = ray.get([square.remote(x) for x in range(10)])
        graph = {"x": (sum, squares)}
        return dask.get(graph, "x"), dask.get_sync(graph, "x")

    assert ray.get(log.call.remote(work)) == (285, 285)


def test_tasks_wait_for_an_actor_that_waits_for_tasks():
    """One worker, which is in a task that waits for the actor."""
    program = """
import mobula
mobula.init(1)
@mobula.remote
def square(x):
    return x * x
@mobula.remote
class Sum:
    def squares(self, n):
        return sum(mobula.get([square.remote(x) for x in range(n)]))
actor = Sum.remote()
@mobula.remote
def ask(n):
    return mobula.get(actor.squares.remote(n))
print(sum(mobula.get([ask.remote(n) for n in range(50)])))
"""
    expected = sum(sum(x * x for x in range(n)) for n in range(50))
    assert run(program) == f"{expected}\n"


def test_thousands_of_tasks_wait_for_one_actor():
    log = Log.remote()

    @mobula.remote
    def tell(number):
        return ray.get(log.note.remote(number))

    assert ray.get([tell.remote(number) for number in range(3000)]) == list(range(3000))


def test_deep_recursion_in_a_method():
    def depth(n):
        return 0 if n == 0 else 1 + depth(n - 1)

    log = Log.remote()
    assert ray.get(log.call.remote(depth, 700)) == 700
    nested = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(RecursionError):
        ray.get(log.call.remote(lambda: repr(nested)))
    assert ray.get(log.note.remote(1)) == 1
    while nested:
        nested = nested[0]


def test_misuse_is_told():
    log = Log.remote()
    with pytest.raises(
        AttributeError, match=r"Log has no method \"nothing\"; it has: call, fail, note"
    ):
        _ = log.nothing
    with pytest.raises(TypeError, match=r"\.note\.remote"):
        log.note(1)
    with pytest.raises(TypeError, match=r"Log\.remote"):
        Log()
    with pytest.raises(ValueError, match="'nmae'; there are get_if_exists, name"):
        Log.options(nmae="x")
    with pytest.warns(mobula.IgnoredWarning, match="lifetime, max_concurrency"):
        Log.options(lifetime="detached", max_concurrency=2)
    with pytest.raises(ValueError, match="num_returns must be a whole number, 0 or more, not -1"):
        log.note.options(num_returns=-1)
    with pytest.raises(TypeError, match="num_returns must be a whole number, 0 or more, not '2'"):
        log.note.options(num_returns="2")
    with pytest.raises(ValueError, match="name must be text that is not empty, not ''"):
        Log.options(name="")
    with pytest.raises(TypeError, match="name must be text that is not empty, not 5"):
        mobula.remote(name=5)(dict)
    with pytest.raises(TypeError, match="handle of an actor"):
        mobula.kill(Log)
    assert repr(log) == "ActorHandle(Log)"
    assert repr(log.note) == "ActorMethod(Log.note)"
    assert repr(Log) == "ActorClass(Log)"
    with pytest.raises(TypeError, match="missing"):
        ray.get(log.note.remote())
