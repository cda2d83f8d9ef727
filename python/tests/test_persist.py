"""Persisted collections, and the store that holds them."""

from __future__ import annotations

import gc
import threading
import weakref

import dask
import pytest

import mobula
import mobula.dask as mobula_dask

np = pytest.importorskip("numpy")
da = pytest.importorskip("dask.array")


@pytest.mark.parametrize("scheduler", ["mobula", "threads", "sync"])
def test_a_persisted_array_works_under_every_scheduler(scheduler):
    array = (da.ones((40, 40), chunks=(10, 10)) + 1).persist(scheduler="mobula")
    assert array.sum().compute(scheduler=scheduler) == 3200
    assert array.compute(scheduler=scheduler).shape == (40, 40)


def test_a_persisted_value_can_go_to_another_process():
    import pickle

    array = da.ones(4, chunks=2).persist(scheduler="mobula")
    (task, _) = array.__dask_graph__().values()
    copy = pickle.loads(pickle.dumps(task))
    assert copy().tolist() == [1, 1]


def test_persist_answers_before_the_tasks_are_done():
    go_on = threading.Event()

    def wait():
        assert go_on.wait(30)
        return 3

    value = dask.delayed(wait)().persist(scheduler="mobula")
    go_on.set()
    assert value.compute(scheduler="mobula") == 3
    assert value.compute(scheduler="sync") == 3


def test_a_failure_is_told_when_the_value_is_wanted():
    value = dask.delayed(lambda: 1 / 0)().persist(scheduler="mobula")
    for scheduler in ("mobula", "sync"):
        with pytest.raises(ZeroDivisionError):
            value.compute(scheduler=scheduler)


def test_values_are_released_with_the_collection():
    class Thing:
        pass

    things = []

    def make():
        thing = Thing()
        things.append(weakref.ref(thing))
        return thing

    value = dask.delayed(make)().persist(scheduler="mobula")
    assert isinstance(value.compute(scheduler="mobula"), Thing)
    assert things[0]() is not None
    released = threading.Event()
    weakref.finalize(things[0](), released.set)
    del value
    gc.collect()
    assert released.wait(30)


@pytest.fixture
def small_store(tmp_path):
    mobula.shutdown()
    mobula.init(memory_limit=32 << 20, spill_directory=str(tmp_path))
    yield tmp_path
    mobula.shutdown()


def test_values_move_to_disk_and_come_back_equal(small_store):
    blocks = [dask.delayed(np.full)(1 << 18, number) for number in range(40)]  # 2 MiB each
    persisted = dask.persist(*blocks, scheduler="mobula")
    handles = [next(iter(one.__dask_graph__().values())).args[0] for one in persisted]
    totals = dask.compute(*[one.sum() for one in persisted], scheduler="mobula")
    assert totals == tuple(number << 18 for number in range(40))
    assert any(handle.is_spilled() for handle in handles)
    array = handles[0].fetch()
    array[0] = 1  # What comes back is writable.


def test_frames_come_back_equal(small_store):
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame({"a": range(600_000), "b": [f"text {n % 7}" for n in range(600_000)]})
    persisted = dd.from_pandas(frame, npartitions=12).persist(scheduler="mobula")
    counts = persisted.b.value_counts().compute(scheduler="mobula")
    assert counts.sum() == 600_000
    assert persisted.a.sum().compute(scheduler="mobula") == sum(range(600_000))


def test_a_value_that_cannot_be_pickled_stays_in_memory(small_store):
    class Locked:
        def __init__(self):
            self.lock = threading.Lock()
            self.data = bytearray(4 << 20)

        def __sizeof__(self):
            return len(self.data)

    locked = [dask.delayed(Locked)() for _ in range(12)]
    persisted = dask.persist(*locked, scheduler="mobula")
    sizes = dask.compute(
        *[dask.delayed(lambda one: len(one.data))(one) for one in persisted], scheduler="mobula"
    )
    assert sizes == (4 << 20,) * 12


def test_a_graph_larger_than_the_limit_runs(small_store):
    total = da.ones(16 << 20, chunks=1 << 18).map_blocks(lambda block: block + 1).sum()
    assert total.compute(scheduler="mobula") == 32 << 20


def test_persist_of_mobula_needs_no_scheduler():
    (value,) = mobula_dask.persist(dask.delayed(len)("abc"))
    assert value.compute(scheduler="sync") == 3
