"""Reads which of Dask's own test files belong to which group, and what the comparison leaves out.

Both stand in `python/tests/dask_suite/`: `groups.toml` and `excluded.toml`. Nothing is run here.
"""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suite_process import PLUGIN_DIRECTORY, Outcome, SuiteError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Groups above this size are cut, so that two processes share them.
PART_BYTES = 150_000


@dataclass
class Group:
    """A named set of Dask's test files, and what became of its tests."""

    name: str
    files: list[str]
    options: list[str]
    #: Outcomes by the name of the scheduler, then by test id.
    outcomes: dict[str, dict[str, Outcome]] = field(default_factory=dict)
    #: Seconds of work by the name of the scheduler, starting of processes included.
    seconds: dict[str, float] = field(default_factory=dict)
    different: list[str] = field(default_factory=list)
    unsteady: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def parts(self, site: Path) -> list[list[str]]:
        """The files in parts of about the same size, the largest files first."""
        sizes = {file: (site / file).stat().st_size for file in self.files}
        parts: list[list[str]] = [
            [] for _ in range(max(1, round(sum(sizes.values()) / PART_BYTES)))
        ]
        for file in sorted(self.files, key=lambda file: (-sizes[file], file)):
            min(parts, key=lambda part: sum(sizes[file] for file in part)).append(file)
        return [part for part in parts if part]


@dataclass(frozen=True)
class Exclusion:
    """A test, or a pattern of tests, that the comparison leaves out."""

    pattern: str
    reason: str

    def matches(self, test: str) -> bool:
        """Whether the comparison leaves out this test."""
        # Square brackets are parameters in a test's id, not a set of characters.
        return fnmatch.fnmatchcase(test, self.pattern.replace("[", "[[]"))


def wanted_groups(
    site: Path, names: Sequence[str], quick: bool, options: Sequence[str]
) -> list[Group]:
    """The groups of these names with their files; without names all of them, or the quick ones.

    A test file of the installed Dask that belongs to no group is an error, wanted or not.
    """
    declared = _read("groups.toml")["group"]
    unknown = set(names) - {entry["name"] for entry in declared}
    if unknown:
        raise SuiteError(f"no such group: {', '.join(sorted(unknown))}")
    files: dict[str, list[str]] = {entry["name"]: [] for entry in declared}
    excluded = {entry["path"] for entry in _read("excluded.toml")["file"]}
    for path in sorted((site / "dask").rglob("test_*.py")):
        file = path.relative_to(site / "dask").as_posix()
        if file not in excluded:
            files[_group_of(file, declared)].append(f"dask/{file}")
    return [
        Group(
            entry["name"],
            files[entry["name"]],
            [*options, "--bags"] if entry.get("bags", True) else list(options),
        )
        for entry in declared
        if (entry["name"] in names if names else entry.get("quick", True) or not quick)
    ]


def excluded_tests(dask_version: str, scheduler: str) -> list[Exclusion]:
    """The tests that the comparison leaves out with this Dask and this scheduler.

    An entry may name the versions and the schedulers that it is for.
    """
    return [
        Exclusion(entry["id"], entry["reason"])
        for entry in _read("excluded.toml").get("test", [])
        if dask_version in entry.get("dask", [dask_version])
        and scheduler in entry.get("schedulers", [scheduler])
    ]


def _group_of(file: str, declared: Sequence[dict[str, Any]]) -> str:
    for entry in declared:
        if any(fnmatch.fnmatchcase(file, pattern) for pattern in entry["files"]):
            return str(entry["name"])
    raise SuiteError(f"dask/{file} belongs to no group: add it to groups.toml or excluded.toml")


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((PLUGIN_DIRECTORY / name).read_text(encoding="utf-8"))
