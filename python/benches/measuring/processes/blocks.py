"""Tasks that look at, or write into, a large block that another process has made.

A block says when it was unpickled, so that what a process pays for the first look at it can be told
from inside: unpickling, copying where there is any, and the look itself. A process that has made the
block, and never unpickled it, tells nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

PAGE = os.sysconf("SC_PAGE_SIZE")
WRITTEN = 100
"""How many pages a writer writes to."""
READERS = 16
"""How many tasks take the same block, so that each process gets some of them."""
PAUSE = 0.002
"""How long each of them occupies its process."""


class Moment:
    """When this object was unpickled; `None` in the process where it was made."""

    def __init__(self, time: float | None = None) -> None:
        self.time = time

    def __reduce__(self) -> tuple[Any, ...]:
        return (_moment, ())


def _moment() -> Moment:
    return Moment(perf_counter())


@dataclass(frozen=True)
class Block:
    """Bytes, and the moment that was unpickled just before them."""

    opened: Moment
    values: Any


class Report(NamedTuple):
    """What a task on a block tells: its process, when, whether it may count, and the figure."""

    process: int
    time: float
    counts: bool
    figure: float


def make(size: int) -> Block:
    """A block of so many bytes, each of them written."""
    return Block(Moment(), np.full(size, 7, dtype=np.uint8))


def first_touch(block: Block, _number: int) -> Report:
    """Seconds from the unpickling to the first byte."""
    total = int(block.values[len(block.values) // 2])
    return _since_opened(block, total == 7)


def every_page(block: Block, _number: int) -> Report:
    """Seconds from the unpickling until each page was looked at."""
    looked_at = block.values[::PAGE]
    return _since_opened(block, int(looked_at.sum()) == 7 * len(looked_at))


def write_seconds(block: Block, number: int) -> Report:
    """Seconds of writing a byte to each of some pages; a block that is read-only is copied first."""
    start = perf_counter()
    _write(block, number)
    took = perf_counter() - start
    _pause()
    return Report(os.getpid(), start, block.opened.time is not None, took)


def write_pages(block: Block, number: int) -> Report:
    """How many pages of memory became this process's own by the same."""
    start = perf_counter()
    before = private_dirty()
    kept = _write(block, number)
    grown = private_dirty() - before
    _pause()
    counts = block.opened.time is not None and len(kept) > 0
    return Report(os.getpid(), start, counts, grown / PAGE)


def private_dirty() -> int:
    """Bytes of memory that this process has written to and shares with nobody."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    kib = next(line.split()[1] for line in lines if line.startswith("Private_Dirty:"))
    return int(kib) * 1024


def _write(block: Block, number: int) -> Any:
    """Each writer has pages of its own, so that it is the first that writes to them.

    It answers what it has written to, so that a copy is there until its memory has been measured.
    """
    values = block.values if block.values.flags.writeable else block.values.copy()
    pages = len(values) // PAGE
    first = number * pages // READERS
    step = max(1, pages // READERS // WRITTEN) * PAGE
    written = slice(first * PAGE, first * PAGE + WRITTEN * step, step)
    values[written] = 8
    return values


def _since_opened(block: Block, right: bool) -> Report:
    now = perf_counter()
    if not right:
        raise AssertionError("a block holds something else than was put there")
    _pause()
    opened = block.opened.time
    return Report(os.getpid(), now, opened is not None, 0.0 if opened is None else now - opened)


def _pause() -> None:
    # A busy loop: a sleeping task might be taken for one that needs no process of its own.
    end = perf_counter() + PAUSE
    while perf_counter() < end:
        pass
