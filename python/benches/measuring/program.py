"""What makes up a benchmark program: its sections, its targets, and the page it writes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from measuring.rows import Row
from measuring.settings import Settings
from measuring.targets import Target


def no_options(_parser: argparse.ArgumentParser) -> None:
    """Most programs have the common options only."""


@dataclass(frozen=True)
class Section:
    """Rows that belong together; `measure` is a generator, so that each can be shown at once."""

    note: str
    measure: Callable[[Settings], Iterator[Row]]


@dataclass(frozen=True)
class Program:
    """One benchmark program, as `command.main` runs it and `report` writes about it."""

    file: Path
    summary: str
    introduction: str
    """How the page begins: the command, and how it is measured."""
    page: str
    results: str
    shapes: Mapping[str, str]
    """What is run, by name, with a description of each."""
    subjects: Mapping[str, str]
    """What is compared, by name, with a description of each."""
    sections: Mapping[str, Section]
    targets: Sequence[Target]
    packages: Sequence[str]
    """Whose versions are told beside the figures."""
    children: Mapping[str, Callable[..., Mapping[str, float]]]
    """What runs in a process of its own, by the command that starts it."""
    rounds: int
    add_options: Callable[[argparse.ArgumentParser], None] = no_options
