"""Runs Dask's own tests on its threads and on Mobula; fails where one passes on threads alone.

Usage, with the Python of an environment that holds Dask, Mobula and the test requirements::

    python python/tools/dask_suite.py --quick        # the groups that test schedulers
    python python/tools/dask_suite.py array bag      # some groups
    python python/tools/dask_suite.py                # all of them
    python python/tools/dask_suite.py --workers processes bag

The tests are those of the installed Dask. `python/tests/dask_suite/groups.toml` says which file
belongs to which group, `excluded.toml` beside it what is left out and why. The outcomes on threads
are kept in `target/` for the next run.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

from suite_groups import Group, excluded_tests, wanted_groups
from suite_process import PLUGIN_DIRECTORY, Outcome, SuiteError, SuiteRun, end_all

TARGET = Path(__file__).resolve().parents[2] / "target" / "python" / "dask-suite"
BASELINE = "threads"
# More suspects than this in a group are no matter of chance, and are not run again one by one.
MOST_RERUNS = 25
MISSING = Outcome("missing", 0.0, "the test was not collected")


class Suite:
    """One run of the comparison."""

    def __init__(self, arguments: argparse.Namespace, site: Path, dask_version: str) -> None:
        self.arguments = arguments
        self.site = site
        self.dask_version = dask_version
        self.directory = TARGET / f"dask-{dask_version}-python-{platform.python_version()}"
        self.tested: str = arguments.scheduler
        if arguments.workers == "processes":
            self.tested += "-processes"
        self.exclusions = excluded_tests(dask_version, self.tested)

    def groups(self) -> list[Group]:
        """The wanted groups with their files."""
        options = ["--runslow"] if self.arguments.runslow else []
        options += ["--only-by-name"] if self.arguments.only_by_name else []
        return wanted_groups(self.site, self.arguments.groups, self.arguments.quick, options)

    def run(self, groups: list[Group]) -> None:
        """Runs the tests of the groups on both schedulers, and compares."""
        for group in groups:
            self._load_baseline(group)
        work = [
            (group, scheduler, number, part)
            for group in groups
            for scheduler in (BASELINE, self.tested)
            if scheduler not in group.outcomes
            for number, part in enumerate(group.parts(self.site))
        ]
        # Long parts first, so that no core waits for the other at the end.
        work.sort(key=lambda item: -sum((self.site / file).stat().st_size for file in item[3]))
        with ThreadPoolExecutor(self.arguments.jobs) as pool:
            started = [
                (
                    group,
                    scheduler,
                    pool.submit(self._timed, group, scheduler, f"{group.name}-{number}", part),
                )
                for group, scheduler, number, part in work
            ]
            for group, scheduler, result in started:
                outcomes, seconds = result.result()
                group.outcomes.setdefault(scheduler, {}).update(outcomes)
                group.seconds[scheduler] = group.seconds.get(scheduler, 0.0) + seconds
        for group in groups:
            if BASELINE in {scheduler for member, scheduler, _ in started if member is group}:
                self._settle_baseline(group)
            self._compare(group)

    def _test_run(
        self,
        group: Group,
        scheduler: str,
        name: str,
        files: Iterable[str],
        selection: Sequence[str] | None = None,
    ) -> SuiteRun:
        directory = self.directory / scheduler
        timeout = self.arguments.timeout
        return SuiteRun(
            name, scheduler, list(files), self.site, directory, timeout, group.options, selection
        )

    def _timed(
        self, group: Group, scheduler: str, name: str, files: list[str]
    ) -> tuple[dict[str, Outcome], float]:
        start = time.monotonic()
        outcomes = self._test_run(group, scheduler, name, files).outcomes()
        seconds = time.monotonic() - start
        print(f"  {scheduler:16} {name:14} {len(outcomes):6} tests {seconds:7.1f} s", flush=True)
        return outcomes, seconds

    def _again(
        self, group: Group, scheduler: str, name: str, tests: Sequence[str]
    ) -> dict[str, Outcome]:
        files = sorted({test.partition("::")[0] for test in tests})
        return self._test_run(group, scheduler, name, files, tests).outcomes()

    def _settle_baseline(self, group: Group) -> None:
        """Runs what failed on threads once more, and keeps the outcomes.

        A loaded machine must not take a test out of the comparison.
        """
        outcomes = group.outcomes[BASELINE]
        failed = [test for test, outcome in outcomes.items() if outcome.fails]
        if failed:
            again = self._again(group, BASELINE, f"{group.name}-again", failed)
            outcomes.update({test: outcome for test, outcome in again.items() if outcome.passes})
        path = self._baseline_path(group)
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = {"seconds": group.seconds[BASELINE], "outcomes": outcomes}
        path.write_text(json.dumps(kept), encoding="utf-8")

    def _load_baseline(self, group: Group) -> None:
        path = self._baseline_path(group)
        if self.arguments.fresh or not path.exists():
            return
        kept = json.loads(path.read_text(encoding="utf-8"))
        group.outcomes[BASELINE] = {
            test: Outcome(*outcome) for test, outcome in kept["outcomes"].items()
        }
        group.seconds[BASELINE] = kept["seconds"]

    def _baseline_path(self, group: Group) -> Path:
        """A file whose name changes with all that the outcomes on threads can depend on."""
        inputs = hashlib.sha256(
            f"{sys.version} {group.files} {group.options} {self.arguments.timeout}".encode()
        )
        for distribution in sorted(
            f"{d.name}=={d.version}" for d in importlib.metadata.distributions()
        ):
            if not distribution.startswith("mobula"):
                inputs.update(distribution.encode())
        for path in sorted(PLUGIN_DIRECTORY.glob("*")):
            if path.name in ("mobula_default.py", "pytest.ini"):
                inputs.update(path.read_bytes())
        return self.directory / "baseline" / f"{group.name}-{inputs.hexdigest()[:16]}.json"

    def _compare(self, group: Group) -> None:
        baseline, tested = group.outcomes[BASELINE], group.outcomes[self.tested]
        if not any(outcome.passes for outcome in baseline.values()):
            group.complaints.append("no test of this group passes on threads: nothing was compared")
        suspects = []
        for test, outcome in baseline.items():
            exclusion = next((entry for entry in self.exclusions if entry.matches(test)), None)
            passes = tested.get(test, MISSING).passes
            if exclusion is not None:
                group.excluded.append(test)
                if passes:
                    group.complaints.append(
                        f"{test} is excluded ({exclusion.reason}) and passes: take its entry away"
                    )
            elif outcome.passes and not passes:
                suspects.append(test)
        for entry in self.exclusions:
            in_group = entry.pattern.partition("::")[0] in group.files
            if in_group and not any(entry.matches(test) for test in baseline):
                group.complaints.append(
                    f"the excluded {entry.pattern} is no test of Dask {self.dask_version}"
                )
        if self.arguments.once or len(suspects) > MOST_RERUNS:
            group.different = suspects
            return
        for number, test in enumerate(suspects):
            (group.different if self._differs(group, test, number) else group.unsteady).append(test)

    def _differs(self, group: Group, test: str, number: int) -> bool:
        """Whether a suspect fails alone, twice, or else once more with the tests of its file."""
        name = f"{group.name}-alone-{number}"
        for attempt in ("a", "b"):
            outcome = self._again(group, self.tested, f"{name}{attempt}", [test]).get(test, MISSING)
            if outcome.passes:
                break
            if outcome.outcome == "hang":
                return True
        else:
            if self._again(group, BASELINE, name, [test]).get(test, MISSING).passes:
                return True
        file = test.partition("::")[0]
        return (
            not self._test_run(group, self.tested, f"{name}-file", [file])
            .outcomes()
            .get(test, MISSING)
            .passes
        )

    def report(self, groups: list[Group]) -> bool:
        """Prints what differs and the closing table; answers whether all is well."""
        for group in groups:
            for test in group.different:
                outcome = group.outcomes[self.tested].get(test, MISSING)
                print(f"DIFFERENT {test}\n    {outcome.outcome} on {self.tested}: {outcome.error}")
            for test in group.unsteady:
                outcome = group.outcomes[self.tested].get(test, MISSING)
                print(f"unsteady  {test}\n    {outcome.outcome} once: {outcome.error}")
            for complaint in group.complaints:
                print(f"COMPLAINT {complaint}")
        print(
            f"\nDask {self.dask_version}, Python {platform.python_version()}, "
            f"{BASELINE} beside {self.tested}"
        )
        header = (
            "group",
            "tests",
            BASELINE,
            self.tested,
            "skipped",
            "excluded",
            "unsteady",
            "DIFFERENT",
            "s",
            "s",
        )
        rows = [header, *(self._row(group) for group in groups)]
        totals = [sum(int(row[column]) for row in rows[1:]) for column in range(1, len(header))]
        rows.append(("total", *map(str, totals)))
        width = max(10, len(self.tested) + 2)
        for row in rows:
            print(f"{row[0]:12}" + "".join(f"{cell:>{width}}" for cell in row[1:]))
        self._write_results(groups)
        good = not any(group.different or group.complaints for group in groups)
        print(
            "every test that passes on threads passes"
            if good
            else "FAILED: see the tests named above"
        )
        return good

    def _row(self, group: Group) -> tuple[str, ...]:
        baseline, tested = group.outcomes[BASELINE], group.outcomes[self.tested]
        counts = (
            len(baseline),
            sum(outcome.passes for outcome in baseline.values()),
            sum(outcome.passes for outcome in tested.values()),
            sum(outcome.outcome in ("skipped", "xfailed") for outcome in baseline.values()),
            len(group.excluded),
            len(group.unsteady),
            len(group.different),
            round(group.seconds[BASELINE]),
            round(group.seconds[self.tested]),
        )
        return (group.name, *map(str, counts))

    def _write_results(self, groups: list[Group]) -> None:
        results: dict[str, Any] = {
            group.name: {
                "different": {
                    test: group.outcomes[self.tested].get(test, MISSING) for test in group.different
                },
                "unsteady": group.unsteady,
                "complaints": group.complaints,
                "seconds": dict(group.seconds),
                "slowest": sorted(
                    (
                        (outcome.seconds, test)
                        for test, outcome in group.outcomes[self.tested].items()
                    ),
                    reverse=True,
                )[:10],
            }
            for group in groups
        }
        (self.directory / f"results-{self.tested}.json").write_text(
            json.dumps(results, indent=1), encoding="utf-8"
        )


def _stop() -> NoReturn:
    """Ends at once, with all that runs: the outcomes so far are of no use."""
    end_all()
    os._exit(130)


def main() -> int:
    """Reads the command line, runs, reports; answers the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "groups", nargs="*", help="the groups to run; all of them where none is named"
    )
    parser.add_argument("--quick", action="store_true", help="only the groups that take seconds")
    parser.add_argument(
        "--scheduler",
        default="mobula",
        choices=("mobula", "sync", "processes"),
        help="what to compare with Dask's threads: Mobula, or another one of Dask's own",
    )
    parser.add_argument(
        "--workers",
        default="threads",
        choices=("threads", "processes"),
        help="which workers of Mobula's the tests run on",
    )
    parser.add_argument(
        "--only-by-name",
        action="store_true",
        help="set the scheduler by Dask's configuration alone",
    )
    parser.add_argument(
        "--runslow", action="store_true", help="run the tests that Dask marks as slow as well"
    )
    parser.add_argument(
        "--once", action="store_true", help="call a test different without running it again alone"
    )
    parser.add_argument("--fresh", action="store_true", help="run the tests on threads again too")
    parser.add_argument(
        "--timeout", type=float, default=60.0, help="seconds after which a test hangs"
    )
    parser.add_argument(
        "--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes at the same time"
    )
    arguments = parser.parse_args()
    if arguments.workers != "threads" and arguments.scheduler != "mobula":
        parser.error("--workers is about Mobula's: it goes with --scheduler mobula")
    found = importlib.util.find_spec("dask")
    if found is None or found.origin is None:
        parser.error(
            "this Python has no Dask: make an environment with python/tools/environment.py"
        )
    try:
        suite = Suite(arguments, Path(found.origin).parents[1], importlib.metadata.version("dask"))
        groups = suite.groups()
        signal.signal(signal.SIGTERM, lambda *_: _stop())
        signal.signal(signal.SIGINT, lambda *_: _stop())
        suite.run(groups)
    except SuiteError as error:
        print(f"dask_suite: {error}", file=sys.stderr)
        return 2
    return 0 if suite.report(groups) else 1


if __name__ == "__main__":
    sys.exit(main())
