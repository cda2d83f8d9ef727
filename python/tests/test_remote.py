"""Remote functions: order, errors, retries, nesting; and the end of the session around them."""

from __future__ import annotations

import contextvars
import functools
import os
import sys
import threading
import traceback

import pytest
from remotes import run

import mobula
import mobula as ray
from mobula.exceptions import ClusterClosedError, GetTimeoutError


@mobula.remote
def add(x, y=0):
    return x + y


@mobula.remote
def fail(message):
    raise LookupError(message)


def test_a_call_answers_a_ref_to_the_result():
    ref = add.remote(1, y=2)
    assert isinstance(ref, mobula.ObjectRef)
    assert ray.get(ref) == 3


def test_refs_among_the_arguments_stand_for_their_values():
    one = mobula.put(1)
    assert ray.get(add.remote(one, y=add.remote(one, one))) == 3


def test_refs_inside_of_arguments_stay_refs():
    @mobula.remote
    def total(refs):
        return sum(ray.get(refs))

    assert ray.get(total.remote([mobula.put(1), add.remote(1, 1)])) == 3


def test_none_and_falsy_results_are_results():
    @mobula.remote
    def same(value):
        return value

    for value in (None, 0, "", [], NotImplemented, ValueError("data")):
        assert ray.get(same.remote(value)) is value


def test_a_chain_of_ten_thousand_calls():
    ref = mobula.put(0)
    for _ in range(10_000):
        ref = add.remote(ref, 1)
    assert ray.get(ref) == 10_000


def test_a_chain_that_waits_for_its_first_call():
    gate = threading.Event()

    @mobula.remote
    def begin():
        gate.wait()
        return 0

    refs = [begin.remote()]
    for _ in range(3_000):
        refs.append(add.remote(refs[-1], 1))
    assert ray.wait(refs, timeout=0) == ([], refs)
    gate.set()
    assert ray.get(refs[-1]) == 3_000


def test_ten_thousand_calls_at_once():
    refs = [add.remote(number, 1) for number in range(10_000)]
    assert ray.get(refs) == list(range(1, 10_001))


def test_ten_thousand_calls_that_wait_for_the_same_ref():
    gate = threading.Event()

    @mobula.remote
    def begin():
        gate.wait()
        return 1

    first = begin.remote()
    refs = [add.remote(first, number) for number in range(10_000)]
    gate.set()
    assert ray.get(refs) == list(range(1, 10_001))


def test_an_exception_comes_back_as_it_was_raised():
    with pytest.raises(LookupError, match="here") as caught:
        ray.get(fail.remote("here"))
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert frames[-1].name == "fail" and frames[-1].line == "raise LookupError(message)"


def test_an_exception_reaches_all_calls_that_need_the_result():
    failed = fail.remote("first")
    refs = [failed]
    for _ in range(3_000):
        refs.append(add.remote(1, refs[-1]))
    with pytest.raises(LookupError, match="first") as caught:
        ray.get(refs[-1])
    with pytest.raises(LookupError) as first:
        ray.get(failed)
    assert caught.value.args == first.value.args


def test_exceptions_with_a_constructor_of_their_own():
    class Strange(Exception):
        def __init__(self, one, two):
            super().__init__(one)
            self.two = two

    @mobula.remote
    def strange():
        raise Strange(1, 2)

    with pytest.raises(Strange) as caught:
        ray.get(strange.remote())
    assert caught.value.two == 2


def test_an_exit_in_a_function_comes_back():
    @mobula.remote
    def leave():
        sys.exit(3)

    with pytest.raises(SystemExit):
        ray.get(leave.remote())


def test_several_results():
    @mobula.remote(num_returns=3)
    def three(first):
        return (first, 2, 3)

    one, two, both = three.remote(1)
    assert ray.get([one, two, both]) == [1, 2, 3]
    assert ray.get(add.remote(one, two)) == 3
    assert ray.get(three.options(num_returns=1).remote(1)) == (1, 2, 3)
    assert three.options(num_returns=0).remote(1) is None

    @mobula.remote(num_returns=2)
    def generate():
        yield "a"
        yield "b"

    assert ray.get(generate.remote()) == ["a", "b"]


def test_another_number_of_results_than_announced_is_an_error():
    @mobula.remote(num_returns=2)
    def results(value):
        return value

    for ref in results.remote((1, 2, 3)):
        with pytest.raises(ValueError, match="2 results were announced, and 3 came"):
            ray.get(ref)
    with pytest.raises(TypeError, match="no sequence"):
        ray.get(results.remote(5)[1])


class Flaky:
    """Fails so many times, then answers how often it was called."""

    def __init__(self, failures, error=OSError):
        self.failures, self.error, self.calls = failures, error, 0

    def __call__(self):
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error(self.calls)
        return self.calls


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ({}, 1),
        ({"max_retries": 5}, 1),
        ({"retry_exceptions": True}, 4),
        ({"retry_exceptions": True, "max_retries": 1}, 2),
        ({"retry_exceptions": [ValueError, OSError], "max_retries": 2}, 3),
        ({"retry_exceptions": [ValueError], "max_retries": 2}, 1),
    ],
)
def test_retries_as_the_options_say(options, calls):
    flaky = Flaky(failures=100)
    with pytest.raises(OSError, match=str(calls)):
        ray.get(mobula.remote(flaky).options(**options).remote())
    assert flaky.calls == calls


def test_retries_until_it_succeeds():
    flaky = Flaky(failures=20)
    assert ray.get(mobula.remote(max_retries=-1, retry_exceptions=True)(flaky).remote()) == 21


def test_options_that_do_not_exist_are_refused_and_those_without_effect_are_named():
    with pytest.raises(ValueError, match=r"'nmu_returns'; there are .*num_returns"):
        add.options(nmu_returns=2)
    with pytest.raises(ValueError, match="num_returns"):
        add.options(num_returns=-1)
    with pytest.raises(ValueError, match="max_retries"):
        add.options(max_retries=-2)
    with pytest.warns(mobula.IgnoredWarning, match="num_cpus, runtime_env") as warned:
        add.options(num_cpus=1, runtime_env={}, name="sum")
    assert warned[0].filename == __file__
    with pytest.warns(mobula.IgnoredWarning, match="num_gpus") as warned:
        mobula.remote(num_gpus=1)(len)
    assert warned[0].filename == __file__
    with pytest.raises(ValueError, match="name must be text that is not empty, not ''"):
        add.options(name="")
    with pytest.raises(TypeError, match="name must be text that is not empty, not 5"):
        add.options(name=5)
    with pytest.raises(TypeError, match="as `@remote`"):
        mobula.remote(5)
    with pytest.raises(TypeError, match="a function or a class can be remote, not 3"):
        mobula.remote()(3)
    with pytest.raises(TypeError, match="as `@remote`"):
        mobula.remote(len, name="length")


def test_functions_that_nobody_would_await_are_refused():
    async def later():
        pass

    async def several():
        yield

    class Callable:
        async def __call__(self):
            pass

    for function in (later, several, functools.partial(later), Callable()):
        with pytest.raises(TypeError, match="`async def`"):
            mobula.remote(function)
        with pytest.raises(TypeError, match="`async def`"):
            mobula.remote(num_returns=2)(function)


def test_very_many_retries_are_as_many_as_there_can_be():
    flaky = mobula.remote(max_retries=10**12, retry_exceptions=True)(Flaky(failures=3))
    assert ray.get(flaky.remote()) == 4


def test_a_name_is_for_messages():
    assert add.options(name="sum").remote(1, 1).key.startswith("sum-")


def test_a_remote_function_says_how_it_is_called():
    with pytest.raises(TypeError, match=r"add\.remote"):
        add(1, 2)
    assert add.__name__ == "add"


def test_names_of_ray_that_do_not_exist_are_answered_with_those_that_do():
    with pytest.raises(AttributeError, match=r"'cluster_resources'; there are .*get_actor"):
        _ = ray.cluster_resources


def test_calls_within_calls():
    @mobula.remote
    def fibonacci(n):
        if n < 2:
            return n
        return sum(ray.get([fibonacci.remote(n - 1), fibonacci.remote(n - 2)]))

    assert ray.get(fibonacci.remote(12)) == 144


def test_a_deep_recursion_of_calls():
    @mobula.remote
    def down(n):
        return 0 if n == 0 else 1 + ray.get(down.remote(n - 1))

    assert ray.get(down.remote(60)) == 60


def test_many_calls_that_wait_for_one_that_comes_late():
    """What they wait for is asked for before them, but gets its arguments when all workers wait."""
    gate = threading.Event()

    @mobula.remote
    def begin():
        gate.wait()
        return 1

    @mobula.remote
    def fetch(refs):
        return ray.get(refs[0])

    late = add.remote(begin.remote(), 1)
    refs = [fetch.remote([late]) for _ in range(200)]
    gate.set()
    assert ray.get(refs) == [2] * 200


def test_waiting_in_a_call_can_time_out():
    gate = threading.Event()

    @mobula.remote
    class Gate:
        def wait(self):
            gate.wait()

    @mobula.remote
    def impatient(refs, timeout):
        try:
            ray.get(refs, timeout=timeout)
        except GetTimeoutError:
            return len(ray.wait(refs, timeout=timeout)[1])

    actor = Gate.remote()
    waiting = [actor.wait.remote()]
    assert ray.get([impatient.remote(waiting, timeout) for timeout in (0, 0.001)]) == [1, 1]
    gate.set()


def test_one_worker_is_enough():
    program = """
import mobula
mobula.init(1)
@mobula.remote
def down(n):
    return 0 if n == 0 else 1 + mobula.get(down.remote(n - 1))
print(mobula.get([down.remote(10) for _ in range(20)]))
"""
    assert run(program) == f"{[10] * 20}\n"


def test_eight_threads_call_at_once():
    answers = [None] * 8

    def call(place):
        refs = [add.remote(place, number) for number in range(200)]
        answers[place] = ray.get(add.remote(refs[0], refs[-1]))

    threads = [threading.Thread(target=call, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [2 * place + 199 for place in range(8)]


def test_a_call_sees_the_context_of_its_caller():
    variable = contextvars.ContextVar("variable", default="outside")

    @mobula.remote
    def read():
        return variable.get()

    token = variable.set("inside")
    ref = read.remote()
    variable.reset(token)
    assert ray.get(ref) == "inside"


def test_a_dask_graph_and_calls_go_together():
    dask = pytest.importorskip("mobula.dask")

    def task(x):
        return ray.get(add.remote(x, 1))

    @mobula.remote
    def compute(x):
        return dask.get({"x": x, "y": (task, "x")}, "y")

    assert ray.get(compute.remote(1)) == 2
    graph = {f"x{number}": (task, number) for number in range(100)}
    assert dask.get(graph, list(graph)) == tuple(range(1, 101))
    assert dask.get_sync({"x": (task, 1)}, "x") == 2


@pytest.mark.parametrize("number", [0, -1, "x", 2.5])
def test_a_graph_with_a_wrong_number_of_workers(number):
    dask = pytest.importorskip("dask")
    pytest.importorskip("mobula.dask")
    value = dask.delayed(add._function)(1)
    for run_graph in (value.compute, value.persist):
        with pytest.raises((TypeError, ValueError), match=r"num_workers=.*1 or more"):
            run_graph(scheduler="mobula", num_workers=number)


def test_the_end_of_the_session_ends_what_was_not_begun():
    program = """
import threading, mobula
from mobula.exceptions import MobulaError
mobula.init(1)
begun, gate = threading.Event(), threading.Event()
@mobula.remote
def wait():
    begun.set()
    gate.wait()
refs = [wait.remote() for _ in range(100)]
begun.wait()
def open_when_ended():
    mobula.wait(refs[-1:])  # It fails when the session ends.
    gate.set()
threading.Thread(target=open_when_ended).start()
mobula.shutdown()
failed = 0
for ref in refs:
    try:
        mobula.get(ref)
    except MobulaError:
        failed += 1
print(failed >= 99)
"""
    assert run(program) == "True\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_after_a_fork_the_child_starts_anew():
    program = """
import os, threading, warnings, mobula
warnings.simplefilter("ignore")
from mobula.exceptions import ClusterClosedError
gate = threading.Event()
@mobula.remote
def add(x, y):
    return x + y
@mobula.remote
def late():
    gate.wait()
    return "late"
there, pending = add.remote(1, 2), late.remote()
assert mobula.get(there) == 3
child = os.fork()
if child == 0:
    assert mobula.get(add.remote(2, 2)) == 4
    assert mobula.get([add.remote(n, 1) for n in range(200)])[-1] == 200
    assert mobula.get(there) == 3
    try:
        mobula.get(pending)
    except ClusterClosedError as error:
        assert "parent" in str(error)
        del pending
        os._exit(7)
    os._exit(1)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
gate.set()
print(mobula.get(pending), mobula.get(add.remote(2, 3)))
"""
    assert run(program) == "7\nlate 5\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_waits_for_no_lock_that_another_thread_held():
    program = """
import os, signal, threading, warnings, mobula
warnings.simplefilter("ignore")
@mobula.remote
def add(xs, ys):
    return xs + ys
ended = threading.Event()
def work():
    while not ended.is_set():
        mobula.get([add.remote([n], [n]) for n in range(20)])
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
codes = set()
for _ in range(150):
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # Ends a child that hangs.
        os._exit(mobula.get([add.remote([n], [1]) for n in range(20)])[-1] != [19, 1])
    codes.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
ended.set()
print(codes)
"""
    assert run(program) == "{0}\n"


def test_an_interrupt_ends_the_waiting():
    program = """
import _thread, threading, mobula
gate = threading.Event()
@mobula.remote
def interrupt():
    _thread.interrupt_main()
    gate.wait()
    return "done"
ref = None
try:
    ref = interrupt.remote()
    mobula.get(ref)
except KeyboardInterrupt:
    gate.set()
    print("interrupted", mobula.get(ref))
"""
    assert run(program) == "interrupted done\n"


def test_the_process_ends_with_calls_that_were_not_done():
    program = """
import threading, mobula
mobula.init(2)
begun = threading.Barrier(3)
@mobula.remote
def work(wait):
    if wait:
        begun.wait()
    return sum(range(100_000))
refs = [work.remote(number < 2) for number in range(500)]
begun.wait()
print("end")
"""
    assert run(program) == "end\n"


def test_results_of_a_session_that_has_ended():
    program = """
import mobula
from mobula.exceptions import ClusterClosedError
@mobula.remote
def add(x, y):
    return x + y
old = add.remote(1, 2)
mobula.get(old)
mobula.shutdown()
print(mobula.get(old), mobula.get(add.remote(old, 1)))
"""
    assert run(program) == "3 4\n"
    assert issubclass(ClusterClosedError, mobula.exceptions.MobulaError)
