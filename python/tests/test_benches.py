"""The benchmark program works, at a size where its figures mean nothing; its verdicts are right."""

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


def run(*arguments):
    command = [sys.executable, str(BENCHES / "overhead.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_everything_can_be_measured():
    written = [BENCHES / name for name in ("README.md", "results.json")]
    before = [path.read_bytes() if path.exists() else None for path in written]
    process = run("--quick", "--rounds", "1")
    assert process.returncode == 0, process.stderr
    for row in ("tasks/shuffle", "work/bag", "memory/objects", "million/million", "hooks/chain"):
        (line, *_) = [line for line in process.stdout.splitlines() if line.startswith(f"| {row} ")]
        assert "not measured" not in line
    assert [path.read_bytes() if path.exists() else None for path in written] == before


def test_a_selection_measures_nothing_else():
    process = run("--quick", "--rounds", "1", "--only", "tasks/chain")
    assert process.returncode == 0, process.stderr
    assert "| tasks/chain" in process.stdout
    assert "tasks/tree" not in process.stdout


@pytest.mark.parametrize("word", ["nonsense", "tasks/nonsense"])
def test_a_wrong_word_is_said(word):
    process = run("--quick", "--only", word)
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
