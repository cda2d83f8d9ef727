"""Large values between processes: shared and not copied, yet nobody sees what another one writes."""

from __future__ import annotations

import gc
import os
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from process_workers import cluster, get

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform != "linux", reason="it looks at maps in /proc"),
]

SIZE = 1 << 20


@pytest.fixture(scope="module", autouse=True)
def workers():
    with cluster(num_workers=2):
        yield


def mapped_file(address):
    """The file that lies at an address in the memory of this process."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            if begin <= address < end:
                return [*line.split(maxsplit=5), ""][5].strip()
    raise AssertionError("there is no memory")


def about(array):
    """What there is to know of the memory of an array."""
    address = array.__array_interface__["data"][0]
    return mapped_file(address), address % 64, array.flags.writeable, array.flags.owndata


def ones(count=SIZE):
    return np.ones(count)


def two(first, second):
    return first, second


def is_view(found):
    file, offset, writeable, owns = found
    return "memfd:mobula" in file and offset == 0 and writeable and not owns


def test_an_array_of_another_task_is_a_view_of_shared_memory():
    # With two dependents it cannot stay where it was made.
    graph = {"x": (ones,), "a": (about, "x"), "b": (about, "x"), "c": (two, "a", "b")}
    assert all(map(is_view, get(graph, "c")))


def test_an_array_of_the_graph_is_a_view_of_shared_memory():
    graph = {("x", number): (about, np.arange(SIZE) + number) for number in range(3)}
    assert all(map(is_view, get(graph, list(graph))))


def test_an_array_that_comes_back_is_a_view_of_shared_memory_that_can_be_written():
    array = get({"x": (ones,)}, "x")
    assert is_view(about(array))
    array[:] = 7
    assert array.sum() == 7 * SIZE


def test_all_buffers_of_a_value_are_views_and_aligned():
    def look(values):
        return [about(values[name]) for name in sorted(values)]

    def make():
        # Odd lengths, so that the next one begins somewhere.
        return {str(number): np.full(5001 + number, number, dtype="u1") for number in range(20)}

    graph = {"x": (make,), "a": (look, "x"), "b": (look, "x"), "c": (two, "a", "b")}
    for found in get(graph, "c"):
        assert len(found) == 20 and all(map(is_view, found))


def test_columns_of_frames_are_views():
    def frame():
        return pd.DataFrame({"a": np.arange(SIZE), "b": np.arange(SIZE) / 2})

    def look(frame):
        assert frame.b.sum() == SIZE * (SIZE - 1) / 4
        return mapped_file(frame["a"].to_numpy().__array_interface__["data"][0])

    graph = {"x": (frame,), "a": (look, "x"), "b": (look, "x"), "c": (two, "a", "b")}
    assert all("memfd:mobula" in file for file in get(graph, "c"))


def test_columns_of_arrow_tables_are_views():
    def table():
        return pa.table({"a": pa.array(np.arange(SIZE)), "b": ["text"] * SIZE})

    def look(table):
        assert table["b"][5].as_py() == "text"
        buffers = [table[name].chunk(0).buffers()[-1] for name in "ab"]
        return [(mapped_file(buffer.address), buffer.address % 64) for buffer in buffers]

    graph = {"x": (table,), "a": (look, "x"), "b": (look, "x"), "c": (two, "a", "b")}
    for found in get(graph, "c"):
        assert all("memfd:mobula" in file and offset == 0 for file, offset in found)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f8", "c16", "?", "M8[ns]", "S7", "i4,f4"])
def test_arrays_of_every_kind_arrive_as_they_were(order, dtype):
    array = np.zeros((300, 500), dtype=dtype, order=order)
    array[5, 7] = np.ones(1, dtype="i8").astype(dtype)[0] if dtype != "i4,f4" else (1, 2.5)

    def same(array):
        return array

    graph = {"x": array, "y": (same, "x"), "a": (same, "y"), "b": (same, "y")}
    for got in get(graph, ["a", "b"]):
        assert got.dtype == array.dtype and got.flags.f_contiguous == array.flags.f_contiguous
        assert np.array_equal(got, array)


@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 8191, 8192, 8193, 100_001])
def test_arrays_of_every_length_arrive_whole(count):
    graph = {"x": (np.arange, count), "a": (np.negative, "x"), "b": (np.sum, "x")}
    x, a, b = get(graph, ["x", "a", "b"])
    assert np.array_equal(x, np.arange(count)) and np.array_equal(a, -x)
    assert b == x.sum()


def write_and_sum(array, value):
    array[:] = value
    return array.sum()


@pytest.mark.parametrize("count", [10, 1000, SIZE], ids=["tiny", "small", "large"])
def test_a_write_into_an_input_changes_nobody_elses(count):
    graph = {"x": (ones, count)}
    graph |= {("w", number): (write_and_sum, "x", number) for number in range(20)}
    graph["after"] = (lambda array, *_: array.sum(), "x", *[key for key in graph if key != "x"])
    x, after, *written = get(graph, ["x", "after", *(("w", number) for number in range(20))])
    assert x.sum() == count
    assert after == count
    assert written == [number * count for number in range(20)]


def test_a_write_into_an_array_of_the_graph_does_not_change_it():
    array = np.ones(SIZE)
    graph = {("w", number): (write_and_sum, array, number) for number in range(6)}
    assert get(graph, list(graph)) == tuple(number * SIZE for number in range(6))
    assert array.sum() == SIZE


def test_a_write_into_a_result_changes_no_later_read():
    import dask

    import mobula.dask

    (kept,) = mobula.dask.persist(dask.delayed(ones)(), workers="processes")
    first = kept.compute(scheduler="mobula")
    first[:] = 5
    assert kept.compute(scheduler="mobula").sum() == SIZE
    assert get({"x": (np.sum, kept.dask[kept.key]())}, "x") == SIZE


def test_what_a_task_keeps_of_an_input_stays_as_it_was():
    kept = []

    def keep(array):
        import process_workers

        process_workers.__dict__.setdefault("kept", []).append(array)
        return os.getpid()

    def overwrite(number):
        return np.full(SIZE, number)

    def look():
        import process_workers

        return [float(array.sum()) for array in process_workers.__dict__.get("kept", [])]

    del kept
    with cluster(num_workers=1):
        for number in range(1, 4):
            graph = {"x": (np.full, SIZE, number), "a": (keep, "x"), "b": (keep, "x")}
            get(graph, ["a", "b"])
            # Segments of that size are used again.
            graph = {("o", other): (overwrite, 9) for other in range(6)}
            assert all(array.sum() == 9 * SIZE for array in get(graph, list(graph)))
        expected = [number * SIZE for number in (1, 1, 2, 2, 3, 3)]
        assert get({"x": (look,)}, "x") == expected


def test_a_result_stays_as_it_was_when_its_memory_could_be_used_again():
    with cluster(num_workers=1):
        results = [get({"x": (np.full, SIZE, number)}, "x") for number in range(8)]
        views = [result[::2] for result in results]
        del results
        gc.collect()
        for _ in range(8):
            get({"x": (np.full, SIZE, 99)}, "x")
        assert [view[0] for view in views] == list(range(8))
        assert [view.sum() for view in views] == [number * SIZE // 2 for number in range(8)]


def test_readonly_inputs_refuse_writes():
    with cluster(num_workers=2, readonly=True):
        # (Less than 4 KiB comes with the pickle, which makes arrays that can be written.)
        for count in (1000, SIZE):
            graph = {"x": (ones, count), "y": (write_and_sum, "x", 2), "z": (np.sum, "x")}
            with pytest.raises(ValueError, match="read-only"):
                get(graph, ["y", "z"])
            assert get(graph, "z") == count
