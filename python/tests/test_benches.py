"""The benchmark programs work, at a size where its figures mean nothing; its verdicts are right."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHES = Path(__file__).parent.parent / "benches"

pytest.importorskip("pandas")
pytest.importorskip("pyarrow")


@pytest.fixture
def targets(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHES))
    from measuring import targets

    return targets


def run(program, *arguments):
    command = [sys.executable, str(BENCHES / program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def contents(names):
    paths = [BENCHES / name for name in names]
    return [path.read_bytes() if path.exists() else None for path in paths]


def verdict_of(row, process):
    (line, *_) = [line for line in process.stdout.splitlines() if line.startswith(f"| {row} ")]
    return line


def test_everything_can_be_measured():
    written = ("README.md", "results.json")
    before = contents(written)
    # Memory is measured for seconds, whatever the size.
    words = ("tasks", "work/bag", "memory/objects", "million", "hooks", "startup")
    process = run("overhead.py", "--quick", "--rounds", "1", "--only", *words)
    assert process.returncode == 0, process.stderr
    for row in ("tasks/shuffle", "work/bag", "memory/objects", "million/million", "hooks/chain"):
        assert "not measured" not in verdict_of(row, process)
    assert contents(written) == before


def test_worker_processes_can_be_measured():
    written = ("PROCESSES.md", "results-processes.json")
    before = contents(written)
    rows = ("tasks/shuffle", "work/bag", "memory/objects", "pool/replace", "blocks/write_pages")
    without = ("--without", "ray", "distributed")
    process = run("processes.py", "--quick", "--rounds", "1", *without, "--only", *rows)
    assert process.returncode == 0, process.stderr
    assert "ray is left out" in process.stderr
    for row in rows:
        assert f"{row} done" in process.stderr
    assert "dask_processes" in process.stdout
    assert contents(written) == before


@pytest.mark.parametrize("program", ["overhead.py", "processes.py"])
def test_a_selection_measures_nothing_else(program):
    process = run(program, "--quick", "--rounds", "1", "--only", "tasks/chain")
    assert process.returncode == 0, process.stderr
    assert "| tasks/chain" in process.stdout
    assert "tasks/tree" not in process.stdout


@pytest.mark.parametrize("word", ["nonsense", "tasks/nonsense"])
def test_a_wrong_word_is_said(word):
    process = run("overhead.py", "--quick", "--only", word)
    assert process.returncode != 0
    assert word in process.stderr


def test_a_ratio_is_taken_within_each_round(targets):
    from measuring.rounds import Sample

    target = targets.Target("work", "array", 1.0, ("sync", "threads"))
    subjects = {
        "mobula": Sample((10.0, 1.9, 3.0)),
        "sync": Sample((20.0, 2.0, 5.0)),
        "threads": Sample((11.0, 4.0, 2.0)),
    }
    verdict = targets.judge(target, subjects)
    assert verdict.figure == pytest.approx(1.9 / 2.0)
    assert verdict.word == "reached"


def test_what_is_added_is_compared_with_its_own_bound(targets):
    from measuring.rounds import Sample

    target = targets.Target("hooks", "chain", 1.0, ("direct",), plus=1.0, subject="pair")
    direct = Sample((0.2, 0.2, 0.2))
    assert targets.judge(target, {"pair": Sample((1.1, 1.2, 9.0)), "direct": direct}).reached
    assert (
        targets.judge(target, {"pair": Sample((1.3, 1.0, 9.0)), "direct": direct}).word == "MISSED"
    )


def test_a_missing_figure_is_no_success(targets):
    verdict = targets.judge(targets.Target("startup", "wheel", 10.0), {})
    assert verdict.word == "not measured"
    assert not verdict.reached


def test_shared_memory_that_nobody_has_mapped_is_seen(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHES))
    from measuring.processes import tree

    if not tree.available():
        pytest.skip("the system does not tell")
    holder = (
        "import os, subprocess, sys\n"
        "segment = os.memfd_create('segment')\n"
        "for _ in range(64): os.write(segment, bytes(1 << 20))\n"
        "wait = 'import time; time.sleep(0.5)'\n"
        "subprocess.run([sys.executable, '-c', wait], pass_fds=[segment], check=True)\n"
        "print('done')\n"
    )
    peak, printed = tree.watch([sys.executable, "-c", holder])
    assert printed == "done\n"
    assert peak.proportional < 64
    assert peak.proportional + 60 < peak.footprint < peak.proportional + 70
