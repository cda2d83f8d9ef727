"""The comparison with Dask's own tests: what it calls different, unsteady and good.

A small tree of tests stands in for the tests of an installed Dask; threads are compared with Dask's
inline scheduler, so that the outcomes are known. Nothing of Mobula runs here.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[1] / "tools"

TESTS = """
import os, pathlib, threading
import dask
import pytest

inline = dask.delayed(lambda: threading.current_thread() is threading.main_thread())

def test_same():
    assert dask.delayed(sum)([1, 2]).compute() == 3

def test_only_on_threads():
    assert not inline().compute()

def test_only_inline():
    assert inline().compute()

def test_dies_inline():
    if inline().compute():
        os.abort()

def test_fails_once_inline():
    mark = pathlib.Path(__file__).with_suffix(".mark")
    if inline().compute() and not mark.exists():
        mark.touch()
        pytest.fail("for the first time")

@pytest.mark.parametrize("dask_says", ["[a-z]", "ok"])
def test_excluded(dask_says):
    assert dask_says == "ok" or not inline().compute()

@pytest.mark.xfail(reason="known")
def test_known():
    assert False

@pytest.mark.slow
def test_slow():
    assert False
"""


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    for name in ("dask_suite", "suite_groups", "suite_process"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("tools")
def test_the_comparison_tells_what_is_different(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import dask_suite
    import suite_groups

    monkeypatch.setattr(dask_suite, "TARGET", tmp_path / "target")
    tests = tmp_path / "dask" / "tests"
    tests.mkdir(parents=True)
    (tests / "test_order.py").write_text(TESTS, encoding="utf-8")
    arguments = argparse.Namespace(
        groups=["order"],
        quick=False,
        scheduler="sync",
        workers="threads",
        only_by_name=False,
        runslow=False,
        once=False,
        fresh=False,
        timeout=30.0,
        jobs=2,
    )
    suite = dask_suite.Suite(arguments, tmp_path, "0.0")
    file = "dask/tests/test_order.py"
    suite.exclusions = [
        suite_groups.Exclusion(f"{file}::test_excluded[*]", "both of them, and one passes"),
        suite_groups.Exclusion(f"{file}::test_gone", "it is no more"),
    ]
    (group,) = suite.groups()
    suite.run([group])

    assert group.different == [f"{file}::test_only_on_threads", f"{file}::test_dies_inline"]
    assert group.outcomes["sync"][f"{file}::test_dies_inline"].outcome == "crash"
    assert group.unsteady == [f"{file}::test_fails_once_inline"]
    assert group.excluded == [f"{file}::test_excluded[[a-z]]", f"{file}::test_excluded[ok]"]
    assert len(group.complaints) == 2
    assert "test_excluded[ok] is excluded" in group.complaints[0]
    assert "test_gone is no test" in group.complaints[1]
    assert group.outcomes["threads"][f"{file}::test_only_inline"].outcome == "failed"
    assert group.outcomes["threads"][f"{file}::test_known"].outcome == "xfailed"
    assert group.outcomes["threads"][f"{file}::test_slow"].outcome == "skipped"
    assert not suite.report([group])
    assert f"DIFFERENT {file}::test_only_on_threads" in capsys.readouterr().out

    # The outcomes on threads are kept, and a group without differences is good.
    (tests / "test_order.py").write_text("def test_new():\n    pass\n", encoding="utf-8")
    suite.exclusions = []
    (again,) = suite.groups()
    suite._load_baseline(again)
    assert again.outcomes["threads"] == group.outcomes["threads"]
    arguments.fresh = True
    (fresh,) = suite.groups()
    suite.run([fresh])
    assert list(fresh.outcomes["threads"]) == [f"{file}::test_new"]
    assert suite.report([fresh])


@pytest.mark.usefixtures("tools")
def test_a_test_that_no_timeout_can_end_is_named(tmp_path: Path) -> None:
    from suite_process import SuiteRun

    (tmp_path / "test_deep.py").write_text(
        "import signal, threading\n"
        "def test_ends_by_the_timeout():\n"
        "    threading.Event().wait()\n"
        "def test_hangs():\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})\n"
        "    threading.Event().wait()\n"
        "def test_after():\n"
        "    pass\n",
        encoding="utf-8",
    )
    run = SuiteRun(
        "deep", "threads", ["test_deep.py"], tmp_path, tmp_path / "out", timeout=1.0, grace=9.0
    )
    outcomes = run.outcomes()
    assert {test: outcome.outcome for test, outcome in outcomes.items()} == {
        "test_deep.py::test_ends_by_the_timeout": "hang",
        "test_deep.py::test_hangs": "hang",
        "test_deep.py::test_after": "passed",
    }
    assert "threading.py" in (tmp_path / "out" / "deep.log").read_text(encoding="utf-8")


@pytest.mark.usefixtures("tools")
def test_a_test_file_without_a_group_is_an_error(tmp_path: Path) -> None:
    import suite_groups
    import suite_process

    stray = tmp_path / "dask" / "novelty" / "tests"
    stray.mkdir(parents=True)
    (stray / "test_stray.py").touch()
    with pytest.raises(suite_process.SuiteError, match=r"test_stray\.py belongs to no group"):
        suite_groups.wanted_groups(tmp_path, ["order"], quick=False, options=[])


@pytest.mark.usefixtures("tools")
def test_an_exclusion_may_be_for_one_scheduler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import suite_groups

    monkeypatch.setattr(suite_groups, "PLUGIN_DIRECTORY", tmp_path)
    (tmp_path / "excluded.toml").write_text(
        '[[test]]\nid = "for_all"\nreason = "-"\n'
        '[[test]]\nid = "for_one"\nreason = "-"\nschedulers = ["mobula-processes"]\n',
        encoding="utf-8",
    )

    def patterns(scheduler: str) -> list[str]:
        return [entry.pattern for entry in suite_groups.excluded_tests("0.0", scheduler)]

    assert patterns("mobula") == ["for_all"]
    assert patterns("mobula-processes") == ["for_all", "for_one"]
