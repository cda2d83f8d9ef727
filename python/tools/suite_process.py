"""Runs test files of Dask in a process of their own and reads what each test did.

A test that takes the whole process down, or that hangs so deeply that the timeout inside the
process cannot end it, is named with the outcome ``crash`` or ``hang``, and the tests after it run
in a new process. Nothing is compared here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

PLUGIN_DIRECTORY = Path(__file__).resolve().parent.parent / "tests" / "dask_suite"
# Exit codes of pytest: everything passed, some tests failed, nothing was left to run.
USUAL_EXIT_CODES = (0, 1, 5)


class Outcome(NamedTuple):
    """What one test did."""

    #: `passed`, `failed`, `error`, `skipped`, `xfailed`, `xpassed`, `hang` or `crash`.
    outcome: str
    seconds: float
    error: str

    @property
    def passes(self) -> bool:
        """Whether the test did what it is there for."""
        return self.outcome in ("passed", "xpassed")

    @property
    def fails(self) -> bool:
        """Whether the test went wrong."""
        return self.outcome in ("failed", "error", "hang", "crash")


class SuiteError(Exception):
    """The tests could not be run at all: wrong settings, a plugin that does not load."""


@dataclass(frozen=True)
class SuiteRun:
    """Some of Dask's test files, to be run on one scheduler."""

    #: Name of the run, unique in `directory`; its log and its record are called so.
    name: str
    #: A name that the plugin knows, such as `threads` or `mobula`.
    scheduler: str
    #: Test files, relative to the directory that holds the package `dask`.
    files: Sequence[str]
    #: Where the package `dask` is.
    site: Path
    #: Where logs and records go.
    directory: Path
    #: After how many seconds a test hangs.
    timeout: float
    #: Further options of the plugin.
    options: Sequence[str] = field(default_factory=list)
    #: The only tests to run; all of the files where this is none.
    selection: Sequence[str] | None = None
    #: Seconds beyond a test's own time limit: to start, to import Dask, to print stacks.
    grace: float = 60.0

    def outcomes(self) -> dict[str, Outcome]:
        """Runs the tests, in as many processes as it takes; answers outcomes by test id."""
        self.directory.mkdir(parents=True, exist_ok=True)
        record = self.directory / f"{self.name}.jsonl"
        record.write_text("", encoding="utf-8")
        log = self.directory / f"{self.name}.log"
        log.write_text("", encoding="utf-8")
        resume = False
        while True:
            ending = self._process(record, log, resume)
            lines = _lines(record)
            if lines and "complete" in lines[-1]:
                return _outcomes(lines)
            resume = True
            if lines and "restart" in lines[-1]:
                continue
            running = _running(lines)
            if running is None:
                raise SuiteError(
                    f"{self.name}: pytest ended ({ending}) outside of any test\n{_tail(log)}"
                )
            with record.open("a", encoding="utf-8") as file:
                outcome = "hang" if ending == "stalled" else "crash"
                end = {
                    "end": running,
                    "outcome": outcome,
                    "seconds": 0.0,
                    "error": f"the process {ending}",
                }
                file.write(json.dumps(end) + "\n")

    def _process(self, record: Path, log: Path, resume: bool) -> str:
        """One process of pytest; answers how it ended."""
        # Tests write into the directory they run in.
        scratch = self.directory / f"{self.name}.scratch"
        scratch.mkdir(exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "mobula_default",
            "-p",
            "no:cacheprovider",
        ]
        command += ["-c", str(PLUGIN_DIRECTORY / "pytest.ini"), "--rootdir", str(self.site)]
        command += [f"--timeout={self.timeout}", "--timeout-method=signal", "--tb=short"]
        command += [
            f"--scheduler-under-test={self.scheduler}",
            "--record",
            str(record),
            *self.options,
        ]
        if self.selection is not None:
            selection = self.directory / f"{self.name}.selection"
            selection.write_text("\n".join(self.selection), encoding="utf-8")
            command += ["--selection", str(selection)]
        if resume:
            command.append("--resume")
        command += [str(self.site / file) for file in self.files]
        with log.open("a", encoding="utf-8") as output:
            process = subprocess.Popen(
                command,
                cwd=scratch,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            _processes.add(process)
            try:
                return _watch(process, record, self.timeout + self.grace)
            finally:
                _processes.discard(process)


#: The processes that run now; `end_all` ends them when the runner itself is stopped.
_processes: set[subprocess.Popen[bytes]] = set()


def end_all() -> None:
    """Ends every running process with its children, which would go on: it has its own session."""
    for process in list(_processes):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """The variables of a process of tests.

    Two of them share the machine, so libraries get one thread each. Hashes have the same order in
    every process, which makes two runs of a test comparable.
    """
    single = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    path = os.pathsep.join(filter(None, [str(PLUGIN_DIRECTORY), os.environ.get("PYTHONPATH", "")]))
    return {
        **os.environ,
        **single,
        "PYTHONPATH": path,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _watch(process: subprocess.Popen[bytes], record: Path, limit: float) -> str:
    """Waits for the end of a process; ends it when its record has not grown for `limit` seconds."""
    size, grown = -1, time.monotonic()
    while True:
        try:
            code = process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            now_size = record.stat().st_size
            if now_size != size:
                size, grown = now_size, time.monotonic()
            elif time.monotonic() - grown > limit:
                return _end(process)
        else:
            if code < 0:
                return f"died of {signal.Signals(-code).name}"
            return "ended" if code in USUAL_EXIT_CODES else f"ended with code {code}"


def _end(process: subprocess.Popen[bytes]) -> str:
    """Ends a stalled process with its children; its log first gets the stacks of its threads."""
    process.send_signal(signal.SIGABRT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return "stalled"


def _lines(record: Path) -> list[dict[str, Any]]:
    """The whole lines of a record; a process that dies may leave a broken one at the end."""
    lines = []
    for text in record.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return lines


def _running(lines: list[dict[str, Any]]) -> str | None:
    """The test that has begun and not ended."""
    ended = {line["end"] for line in lines if "end" in line}
    return next(
        (line["begin"] for line in lines if "begin" in line and line["begin"] not in ended), None
    )


def _outcomes(lines: list[dict[str, Any]]) -> dict[str, Outcome]:
    return {
        line["end"]: Outcome(line["outcome"], line["seconds"], line["error"])
        for line in lines
        if "end" in line
    }


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
