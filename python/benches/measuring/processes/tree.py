"""How much memory a process uses with all that it has started, sampled from outside. Linux only."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
INTERVAL = 0.02
"""Seconds between two samples."""


@dataclass(frozen=True)
class Peak:
    """The most, in MiB, that was seen in one sample."""

    proportional: float
    """Proportional set sizes: a page that n processes have mapped counts a n-th in each of them."""
    footprint: float
    """The same, with the shared memory that some process holds open and nobody has mapped."""


def available() -> bool:
    """Whether the system tells."""
    return (PROC / "self" / "smaps_rollup").exists()


def watch(command: Sequence[str]) -> tuple[Peak, str]:
    """Runs a command; its peak, and what it has printed."""
    proportional = footprint = 0
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        while process.poll() is None:
            total, unmapped = _sizes(process.pid)
            proportional = max(proportional, total)
            footprint = max(footprint, total + unmapped)
            time.sleep(INTERVAL)
    finally:
        process.kill()
        printed, _ = process.communicate()
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Peak(proportional / 1024, footprint / 1024), printed


def _sizes(root: int) -> tuple[int, int]:
    """KiB of a process and its descendants: what they have mapped, and what they only hold open."""
    total = shared = 0
    segments: dict[tuple[int, int], int] = {}
    for process in _descendants(root):
        fields = _fields(PROC / str(process) / "smaps_rollup")
        total += fields.get("Pss", 0)
        shared += fields.get("Pss_Shmem", 0)
        segments.update(_segments(process))
    return total, max(0, sum(segments.values()) - shared)


def _segments(process: int) -> Iterator[tuple[tuple[int, int], int]]:
    """The shared memory that a process holds open: device and number of the file, and its KiB."""
    try:
        names = os.listdir(PROC / str(process) / "fd")
    except OSError:
        return  # It has ended meanwhile.
    for name in names:
        path = PROC / str(process) / "fd" / name
        try:
            if os.readlink(path).startswith(("/memfd:", "/dev/shm/")):
                found = path.stat()
                yield (found.st_dev, found.st_ino), found.st_blocks // 2
        except OSError:
            continue  # It was closed meanwhile.


def _descendants(root: int) -> list[int]:
    started: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue  # It has ended meanwhile.
            # The name of the program, in brackets, may hold anything.
            parent = int(stat.rpartition(")")[2].split()[1])
            started.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for process in found:
        found += started.get(process, [])
    return found


def _fields(path: Path) -> dict[str, int]:
    """Lines such as `Pss:  12 kB`; nothing if the process has ended."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines if line.endswith(" kB"))
    return {words[0].rstrip(":"): int(words[1]) for words in pairs}
