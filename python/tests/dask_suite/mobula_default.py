"""Makes one scheduler the default in Dask's own tests, and records what each test did.

A pytest plugin, loaded with ``-p mobula_default``. Dask itself is not edited: its functions are
replaced in the running process, before any test module is imported. The scheduler that stands in
for Dask's own can be Dask's own too (``threads``), which gives the outcomes to compare with. It
knows nothing of groups or comparisons: the runner does.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import pytest

Get = Callable[..., Any]


class Scheduler(NamedTuple):
    """The two functions of a scheduler: on its workers, and inline in the calling thread."""

    get: Get
    get_sync: Get


#: What the option `--scheduler-under-test` takes.
NAMES = ("threads", "sync", "processes", "mobula", "mobula-processes")


def scheduler_named(name: str) -> Scheduler:
    """The scheduler under test, by the name of the option."""
    if name.startswith("mobula"):
        module = importlib.import_module("mobula.dask")
        return Scheduler(
            module.get if name == "mobula" else in_processes(module.get), module.get_sync
        )
    local = importlib.import_module("dask.local")
    gets = {"threads": importlib.import_module("dask.threaded").get, "sync": local.get_sync}
    return Scheduler(gets[name] if name in gets else DaskProcesses().get, local.get_sync)


def in_processes(get: Get) -> Get:
    """Mobula's scheduler with worker processes, unless a call asks for other workers."""

    def get_in_processes(dsk: Any, keys: Any, **keywords: Any) -> Any:
        return get(dsk, keys, **{"workers": "processes", **keywords})

    return get_in_processes


class DaskProcesses:
    """Dask's own processes, which show what a test demands that no processes can do.

    Dask would start a pool for each call, which takes longer than most tests.
    """

    def __init__(self) -> None:
        self.module = importlib.import_module("dask.multiprocessing")
        self.pool: ProcessPoolExecutor | None = None

    def get(self, dsk: Any, keys: Any, **keywords: Any) -> Any:
        if keywords.get("pool") is None:
            keywords["pool"] = self.pool = self.pool or self._new_pool()
        try:
            return self.module.get(dsk, keys, **keywords)
        except BrokenProcessPool:
            self.pool = None
            raise

    def _new_pool(self) -> ProcessPoolExecutor:
        os.environ["PYTHONHASHSEED"] = "6640"
        return ProcessPoolExecutor(
            2,
            mp_context=self.module.get_context(),
            initializer=self.module.initialize_worker_process,
        )


class Replacement:
    """Puts the scheduler under test in the place of Dask's threads and Dask's inline scheduler.

    It does so in all loaded modules of Dask. Modules loaded later copy the names from the modules
    changed here. Bags default to processes in Dask; with ``bags`` they get the scheduler under test
    as well, while the scheduler *named* ``processes`` stays what it is.
    """

    def __init__(self, scheduler: Scheduler, bags: bool) -> None:
        threaded = importlib.import_module("dask.threaded")
        local = importlib.import_module("dask.local")
        #: Dask's own function to the one that replaces it.
        self.by_original: dict[Get, Get] = {
            threaded.get: scheduler.get,
            local.get_sync: scheduler.get_sync,
        }
        self.scheduler = scheduler
        self.bags = bags

    def apply(self) -> None:
        for holder, name, value in list(self._places()):
            replacement = self.by_original[value]
            if isinstance(holder, dict):
                holder[name] = replacement
            elif isinstance(holder, type):
                setattr(holder, name, staticmethod(replacement))
            else:
                setattr(holder, name, replacement)
        if self.bags:
            module = importlib.import_module("dask.bag.core")
            for collection in (module.Bag, module.Item):
                collection.__dask_scheduler__ = staticmethod(self.scheduler.get)

    def leftovers(self) -> list[str]:
        """The places that still hold a function of Dask's that was to be replaced."""
        return [
            f"{getattr(holder, '__name__', 'named_schedulers')}.{name}"
            for holder, name, value in self._places()
            if self.by_original[value] is not value
        ]

    def _places(self) -> Iterator[tuple[Any, str, Get]]:
        """Each place that holds one of the functions: the holder, the name there, the function."""
        base = importlib.import_module("dask.base")
        for name, value in base.named_schedulers.items():
            if value in self.by_original:
                yield base.named_schedulers, name, value
        seen: set[type] = set()
        for module_name, module in list(sys.modules.items()):
            if module_name.partition(".")[0] not in ("dask", "dask_expr") or not isinstance(
                module, types.ModuleType
            ):
                continue
            for name, value in list(vars(module).items()):
                if isinstance(value, types.FunctionType) and value in self.by_original:
                    yield module, name, value
                if isinstance(value, type) and value not in seen:
                    seen.add(value)
                    default = vars(value).get("__dask_scheduler__")
                    function = getattr(default, "__func__", default)
                    if isinstance(function, types.FunctionType) and function in self.by_original:
                        yield value, "__dask_scheduler__", function


class Record:
    """Writes one line of JSON for the begin and for the end of each test.

    Each line is written at once, so that a killed process leaves its story.
    """

    def __init__(self, file: TextIO) -> None:
        self.file = file
        #: What is known of the running test: the outcome so far, its seconds and its error.
        self.outcome = "passed"
        self.seconds = 0.0
        self.error = ""

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.outcome, self.seconds, self.error = "passed", 0.0, ""
        self._write({"begin": nodeid})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds += report.duration
        if report.failed:
            self.error = _last_line(report)
            timed_out = "Timeout (>" in self.error
            self.outcome = "hang" if timed_out else "failed" if report.when == "call" else "error"
        elif report.skipped and self.outcome == "passed":
            self.outcome = "xfailed" if hasattr(report, "wasxfail") else "skipped"
        elif hasattr(report, "wasxfail") and report.when == "call":
            self.outcome = "xpassed"

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        seconds = round(self.seconds, 3)
        self._write(
            {"end": nodeid, "outcome": self.outcome, "seconds": seconds, "error": self.error}
        )
        if self.outcome == "hang":
            # What it left behind, occupied workers for one, must not fail the tests after it:
            # they get a new process.
            self._write({"restart": True})
            os._exit(0)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(
                {
                    "end": report.nodeid,
                    "outcome": "error",
                    "seconds": 0.0,
                    "error": _last_line(report),
                }
            )

    def pytest_sessionfinish(self) -> None:
        self._write({"complete": True})

    def _write(self, line: dict[str, Any]) -> None:
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()


def _last_line(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The exception of a report in one line, as short as pytest itself says it."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    return " / ".join(line for line in text.splitlines() if line.strip())[:400]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mobula", "Dask's own tests on another scheduler")
    group.addoption(
        "--scheduler-under-test", default="mobula", choices=NAMES, help="mobula is the default"
    )
    group.addoption(
        "--only-by-name",
        action="store_true",
        help="leave Dask's functions alone: make it the default by Dask's configuration",
    )
    group.addoption(
        "--bags",
        action="store_true",
        help="compute bags on it too, which Dask computes in processes",
    )
    group.addoption(
        "--record", type=Path, help="file for the outcome of each test, one line of JSON each"
    )
    group.addoption(
        "--resume",
        action="store_true",
        help="leave out the tests whose begin is in the record already",
    )
    group.addoption(
        "--selection", type=Path, help="file with the ids of the only tests to run, one in a line"
    )
    group.addoption("--runslow", action="store_true", help="run the tests that Dask marks as slow")


def pytest_configure(config: pytest.Config) -> None:
    scheduler = scheduler_named(config.getoption("--scheduler-under-test"))
    if config.getoption("--only-by-name"):
        importlib.import_module("dask.config").set(scheduler=scheduler.get)
    else:
        replacement = Replacement(scheduler, config.getoption("--bags"))
        replacement.apply()
        config.pluginmanager.register(NothingLeft(replacement))
    path = config.getoption("--record")
    if path is not None:
        file = path.open("a", encoding="utf-8")
        config.add_cleanup(file.close)
        config.pluginmanager.register(Record(file))


class NothingLeft:
    """Fails a session that leaves one of the functions to be replaced in a module of Dask."""

    def __init__(self, replacement: Replacement) -> None:
        self.replacement = replacement

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        left = self.replacement.leftovers()
        if left:
            raise pytest.UsageError(
                f"these places still hold a scheduler of Dask's: {', '.join(left)}"
            )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    selection, record = config.getoption("--selection"), config.getoption("--record")
    if selection is not None:
        wanted = set(selection.read_text(encoding="utf-8").splitlines())
        items[:] = [item for item in items if item.nodeid in wanted]
    if config.getoption("--resume"):
        lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
        begun = {line["begin"] for line in lines if "begin" in line}
        items[:] = [item for item in items if item.nodeid not in begun]
    for item in items:
        if "slow" in item.keywords and not config.getoption("--runslow"):
            item.add_marker(pytest.mark.skip(reason="slow: runs with --runslow"))
        if "network" in item.keywords or "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs the network or a graphics card"))
        if "array_expr" in item.keywords and not _array_expressions():
            item.add_marker(pytest.mark.skip(reason="array expressions are off"))


def _array_expressions() -> bool:
    return bool(importlib.import_module("dask.array")._array_expr_enabled())
