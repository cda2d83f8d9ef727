"""Where shared memory comes from, where it goes when it is full, and that it goes back."""

from __future__ import annotations

import os
import resource
import sys

import numpy as np
import pytest
from process_workers import cluster, finish, get, start, until, worker_pids

import mobula

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc and /dev/shm"),
]

SIZE = 1 << 18


def make(number):
    return np.full(SIZE, number)


def graph_of(count):
    graph = {("x", number): (make, number) for number in range(count)}
    graph |= {
        ("y", number): (np.add, ("x", number), ("x", number - 1)) for number in range(1, count)
    }
    graph["sum"] = (
        lambda *arrays: sum(map(np.sum, arrays)),
        *[key for key in graph if key[0] == "y"],
    )
    return graph


def expected(count):
    return sum(SIZE * (2 * number - 1) for number in range(1, count))


def file_of(array):
    address = array.__array_interface__["data"][0]
    with open("/proc/self/maps") as maps:
        for line in maps:
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            if begin <= address < end:
                return line.split(maxsplit=5)[5].strip()


def names_in(directory):
    # Others have semaphores there.
    return {name for name in os.listdir(directory) if not name.startswith("sem.")}


def test_nothing_has_a_name_in_dev_shm():
    before = names_in("/dev/shm")

    def look(_):
        return names_in("/dev/shm")

    with cluster(num_workers=2):
        graph = {"x": (make, 1), "y": (look, "x"), "z": (look, "x")}
        assert all(names <= before for names in get(graph, ["y", "z"]))
        assert get(graph_of(5), "sum") == expected(5)
        assert names_in("/dev/shm") <= before


@pytest.mark.parametrize("place", ["/dev/shm", "directory"])
def test_a_directory_for_shared_memory_holds_no_names(tmp_path, place):
    directory = tmp_path if place == "directory" else place
    before = names_in(place) if place != "directory" else set()

    def look(array):
        return file_of(array), names_in(directory) - before

    with cluster(num_workers=2, shared_directory=directory):
        graph = {"x": (make, 1), "y": (look, "x"), "z": (look, "x")}
        for file, names in get(graph, ["y", "z"]):
            assert file.startswith(str(directory)) and file.endswith("(deleted)")
            assert not names
        assert get(graph_of(5), "sum") == expected(5)
        assert names_in(directory) <= before


def test_a_directory_that_cannot_be_used_is_refused_at_once(tmp_path):
    file = tmp_path / "file"
    file.touch()
    mobula.shutdown()
    with pytest.raises(OSError, match="shared_directory"):
        mobula.init(workers="processes", shared_directory=file / "below")
    assert not mobula.is_initialized()


FULL = """
import sys
import numpy as np
import mobula
from process_workers import get
mobula.init(workers="processes", num_workers=2, shared_directory=sys.argv[1])
def make(number):
    return np.full(1 << 20, number)
{before}
graph = {{("x", number): (make, number) for number in range(8)}}
graph |= {{("y", number): (np.sum, ("x", number)) for number in range(8)}}
for _ in range(3):
    values = get(graph, list(graph))
    assert [int(value[0]) for value in values[:8]] == list(range(8))
print("right")
"""


def test_a_directory_that_is_gone_is_replaced_by_another_with_one_line(tmp_path):
    directory = tmp_path / "gone"
    directory.mkdir()
    before = "import os; os.rmdir(sys.argv[1])"
    process = start(FULL.format(before=before), directory)
    out, err = finish(process)
    assert out == "right\n"
    told = [line for line in err.splitlines() if str(directory) in line]
    assert len(told) == 1, err
    assert "cannot be used" in told[0]


@pytest.fixture
def full_medium(tmp_path):
    """A file system of 4 MiB."""
    import subprocess

    directory = tmp_path / "full"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(directory)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("file systems can be mounted by root alone")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)


def test_a_file_system_that_is_full_is_replaced_by_another_with_one_line(full_medium):
    process = start(FULL.format(before=""), full_medium)
    out, err = finish(process)
    assert out == "right\n"
    told = [line for line in err.splitlines() if str(full_medium) in line]
    assert len(told) == 1, err


def test_a_process_that_may_write_no_large_files_gets_an_error_and_no_signal():
    def limited():
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
        return np.ones(SIZE)

    with cluster(num_workers=1), pytest.raises(OSError, match="no room"):
        get({"x": (limited,)}, "x")


def test_an_open_file_too_many_is_an_error_and_no_end():
    def limited():
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = [os.open(os.devnull, os.O_RDONLY)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (files[0] + 1, before[1]))
        return np.ones(SIZE)

    with cluster(num_workers=1):
        with pytest.raises(OSError, match="too many open files"):
            get({"x": (limited,)}, "x")
        # The limit holds on.
        assert get({"x": (len, "abc")}, "x") == 3


def shared_files(pid):
    """How many segments a process has open, and how many it has mapped."""
    files = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            files += "memfd:mobula " in os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
    with open(f"/proc/{pid}/maps") as maps:
        return files, sum("memfd:mobula " in line for line in maps)


#: What a process may keep for its next values, in segments of this size.
MOST_KEPT = (64 << 20) // (SIZE * 8)


def test_segments_are_freed_and_used_again():
    with cluster(num_workers=2):
        pids = worker_pids()
        for _ in range(10):
            assert get(graph_of(40), "sum") == expected(40)
        # A worker may still be on its way out of the last run.
        until(lambda: shared_files(os.getpid()) == (0, 0), seconds=10)

        def is_kept_little():
            # Each process hears what it may forget when it next has something to do.
            get({("x", number): (abs, number) for number in range(50)}, ("x", 0))
            kept = [shared_files(pid) for pid in pids]
            return all(files <= MOST_KEPT and maps == 0 for files, maps in kept)

        until(is_kept_little, seconds=10)
        assert worker_pids() == pids


def test_segments_of_a_process_that_died_are_freed(tmp_path):
    from process_workers import kill_once

    with cluster(num_workers=2):
        for number in range(4):
            graph = graph_of(10)
            graph["deadly"] = (kill_once, str(tmp_path / str(number)))
            assert get(graph, ["sum", "deadly"])[0] == expected(10)
        until(lambda: shared_files(os.getpid()) == (0, 0), seconds=10)


def test_values_that_are_too_many_are_spilled_and_come_back_right(tmp_path):
    with cluster(num_workers=2, memory_limit=8 * SIZE * 8, spill_directory=tmp_path):
        graph = {("x", number): (make, number) for number in range(40)}
        graph["all"] = (lambda *arrays: [int(array[-1]) for array in arrays], *graph)
        values = get(graph, [*graph])
        assert [int(value.sum()) for value in values[:-1]] == [
            number * SIZE for number in range(40)
        ]
        assert values[-1] == list(range(40))
