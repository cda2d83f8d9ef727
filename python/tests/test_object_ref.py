"""Refs: what they are equal to, how long values stay, and how they are waited for."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import subprocess
import sys
import threading
import weakref

import pytest

import mobula
from mobula.exceptions import GetTimeoutError


class Thing:
    """Something that weak references can be made to."""


@pytest.fixture
def gate():
    """An event that lets a remote function go on; set at the end in any case."""
    event = threading.Event()
    yield event
    event.set()


@mobula.remote
def behind(event, value=None):
    event.wait()
    return value


def gone(value):
    """An event that is set when a value is gone."""
    event = threading.Event()
    weakref.finalize(value, event.set)
    return event


def test_a_value_is_put_and_fetched_as_the_same_object():
    value = Thing()
    ref = mobula.put(value)
    assert mobula.get(ref) is value
    assert mobula.get([ref, ref]) == [value, value]
    assert mobula.get((ref,)) == [value]
    assert mobula.get([]) == []


def test_none_and_exceptions_are_values():
    error = ValueError("data")
    assert mobula.get(mobula.put(None)) is None
    assert mobula.get(mobula.put(error)) is error


def test_what_is_no_ref_is_refused():
    for wrong in (1, "x", [1], [mobula.put(1), 2], {mobula.put(1)}):
        with pytest.raises(TypeError, match="ObjectRef"):
            mobula.get(wrong)
    with pytest.raises(TypeError, match="ObjectRef"):
        mobula.put(mobula.put(1))


def test_refs_are_equal_if_they_are_to_the_same_value():
    one, two = mobula.put("same"), mobula.put("same")
    assert one == one and one != two
    assert len({one, two, one}) == 2
    assert one != "same"


def test_copies_are_the_ref_itself():
    ref = mobula.put(1)
    assert copy.copy(ref) is ref
    assert copy.deepcopy([ref])[0] is ref
    assert pickle.loads(pickle.dumps({"ref": ref}))["ref"] is ref


def test_a_pickle_does_not_keep_the_value():
    value = Thing()
    event = gone(value)
    ref = mobula.put(value)
    pickled = pickle.dumps(ref)
    del value, ref
    assert event.wait(30)
    with pytest.raises(RuntimeError, match="gone"):
        pickle.loads(pickled)


def test_a_pickle_is_of_no_use_in_another_process():
    ref = mobula.put(1)
    program = f"import pickle, mobula\npickle.loads({pickle.dumps(ref)!r})"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert other.returncode == 1
    assert "RuntimeError: this ObjectRef belongs to another process" in other.stderr


def test_the_last_ref_releases_the_value():
    value = Thing()
    event = gone(value)
    ref = mobula.put(value)
    another = pickle.loads(pickle.dumps(ref))
    del value, ref
    gc.collect()
    assert not event.is_set()
    del another
    assert event.wait(30)


def test_the_last_ref_releases_a_result_and_its_arguments():
    value = Thing()
    event = gone(value)

    @mobula.remote
    def same(value):
        return value

    ref = same.remote(same.remote(mobula.put(value)))
    assert mobula.get(ref) is value
    del value, ref
    assert event.wait(30)


def test_a_result_that_nobody_wants_is_made_and_released(gate):
    value = Thing()
    event = gone(value)
    done = threading.Event()

    @mobula.remote
    def hold(gate, value):
        gate.wait()
        done.set()
        return value

    hold.remote(gate, value)
    del value
    assert not done.is_set()
    gate.set()
    assert done.wait(30)
    assert event.wait(30)


def test_weak_references_can_be_made_to_refs():
    ref = mobula.put(1)
    weak = weakref.ref(ref)
    assert weak() is ref
    del ref
    assert weak() is None


def test_the_repr_says_what_is_known(gate):
    pending = behind.remote(gate)
    assert repr(pending).startswith("ObjectRef(behind-") and repr(pending).endswith(", pending)")
    gate.set()
    mobula.get(pending)
    assert repr(pending).endswith(", ready)")

    @mobula.remote
    def fails():
        raise ValueError

    failed = fails.remote()
    mobula.wait([failed])
    assert repr(failed).endswith(", failed)")
    assert repr(mobula.put(1)).startswith("ObjectRef(put-")
    assert failed.key.startswith("fails-")


def test_a_timeout_ends_the_waiting_and_nothing_else(gate):
    pending = behind.remote(gate, "late")
    with pytest.raises(GetTimeoutError, match=r"behind-.* still being made"):
        mobula.get(pending, timeout=0.001)
    with pytest.raises(TimeoutError):
        mobula.get([mobula.put(1), pending], timeout=0)
    gate.set()
    assert mobula.get(pending, timeout=60) == "late"


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_timeout_is_a_number_of_seconds(timeout):
    with pytest.raises(ValueError, match="seconds"):
        mobula.get(mobula.put(1), timeout=timeout)


def test_an_endless_timeout_is_none():
    assert mobula.get(mobula.put(1), timeout=float("inf")) == 1
    assert mobula.get(mobula.put(1), timeout=1e300) == 1


def test_wait_answers_what_is_there_in_order(gate):
    late = behind.remote(gate)
    one, two = mobula.put(1), mobula.put(2)
    assert mobula.wait([late, one, two]) == ([one], [late, two])
    assert mobula.wait([late, one, two], num_returns=2) == ([one, two], [late])
    assert mobula.wait([two, late, one], num_returns=3, timeout=0.001) == ([two, one], [late])
    assert mobula.wait([late], timeout=0) == ([], [late])
    gate.set()
    assert mobula.wait([two, late], num_returns=2, fetch_local=False) == ([two, late], [])


def test_wait_takes_a_failure_for_an_answer():
    @mobula.remote
    def fails():
        raise ValueError

    failed = fails.remote()
    assert mobula.wait([failed]) == ([failed], [])


def test_wait_checks_what_it_is_given():
    ref = mobula.put(1)
    for number in (-1, 0, 2, 10**30):
        with pytest.raises(ValueError, match=f"num_returns .*{number}$"):
            mobula.wait([ref], num_returns=number)
    for number in ("1", 1.0):
        with pytest.raises(TypeError, match="num_returns must be a whole number, 1 or more, not"):
            mobula.wait([ref], num_returns=number)
    with pytest.raises(ValueError, match="different"):
        mobula.wait([ref, ref])
    with pytest.raises(TypeError, match="list"):
        mobula.wait(ref)
    with pytest.raises(TypeError, match="ObjectRef"):
        mobula.wait([1])


def test_to_wait_for_nothing_is_over_at_once():
    assert mobula.wait([]) == ([], [])
    assert mobula.wait((), num_returns=3, timeout=0) == ([], [])
    with pytest.raises(ValueError, match="num_returns"):
        mobula.wait([], num_returns=-1)


def test_a_ref_can_be_awaited_in_any_loop(gate):
    pending = behind.remote(gate, "there")

    async def main():
        task = asyncio.ensure_future(both())
        gate.set()
        return await task

    async def both():
        return await asyncio.gather(pending, mobula.put(2))

    assert asyncio.run(main()) == ["there", 2]

    async def once_more():
        return await pending

    assert asyncio.run(once_more()) == "there"


def test_an_awaited_failure_raises():
    @mobula.remote
    def fails():
        raise LookupError("here")

    async def main():
        await fails.remote()

    with pytest.raises(LookupError, match="here"):
        asyncio.run(main())


def test_to_give_up_awaiting_leaves_the_value_alone(gate):
    pending = behind.remote(gate, "there")

    async def give_up():
        task = asyncio.ensure_future(awaited())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def awaited():
        return await pending

    asyncio.run(give_up())
    gate.set()
    assert mobula.get(pending) == "there"


def test_a_future_has_the_value_or_the_exception(gate):
    pending = behind.remote(gate, 5).future()
    called = threading.Event()
    pending.add_done_callback(lambda _: called.set())
    assert not pending.cancel()
    gate.set()
    assert pending.result(60) == 5
    assert called.wait(30)

    @mobula.remote
    def fails():
        raise ValueError("here")

    assert isinstance(fails.remote().future().exception(60), ValueError)


def test_values_with_refs_in_them_keep_them():
    inner = mobula.put("inner")
    outer = mobula.put([inner])
    del inner
    assert mobula.get(mobula.get(outer)[0]) == "inner"


def test_large_values_move_to_disk_and_come_back(tmp_path):
    mobula.shutdown()
    mobula.init(2, memory_limit=8 << 20, spill_directory=str(tmp_path))
    try:

        @mobula.remote
        def large(number):
            return bytes([number]) * (1 << 20)

        @mobula.remote
        class Maker:
            def make(self, number):
                return bytes([number]) * (1 << 20)

        maker = Maker.remote()
        refs = [mobula.put(bytes([number]) * (1 << 20)) for number in range(10)]
        refs += [large.remote(number) for number in range(10, 20)]
        refs += [maker.make.remote(number) for number in range(20, 30)]
        for number, ref in enumerate(refs):
            assert mobula.get(ref) == bytes([number]) * (1 << 20)
        assert any(repr(ref).endswith("on disk)") for ref in refs)

        @mobula.remote
        def first(value):
            return value[0]

        assert mobula.get([first.remote(ref) for ref in refs]) == list(range(30))
    finally:
        mobula.shutdown()


def test_a_value_with_refs_stays_in_memory(tmp_path):
    mobula.shutdown()
    mobula.init(1, memory_limit=8 << 20, spill_directory=str(tmp_path))
    try:
        held = mobula.put([mobula.put("inner"), bytes(2 << 20)])
        others = [mobula.put(bytes(1 << 20)) for _ in range(12)]
        assert all(len(mobula.get(ref)) == 1 << 20 for ref in others)
        assert mobula.get(mobula.get(held)[0]) == "inner"
    finally:
        mobula.shutdown()


def test_eight_threads_wait_for_the_same_values(gate):
    pending = [behind.remote(gate, number) for number in range(4)]
    answers = []

    def fetch():
        answers.append(mobula.get(pending))

    threads = [threading.Thread(target=fetch) for _ in range(8)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert answers == [[0, 1, 2, 3]] * 8
