"""What Mobula's worker processes are to reach."""

from __future__ import annotations

from measuring.processes.blocks import WRITTEN
from measuring.processes.pools import (
    DASK_PROCESSES,
    DISTRIBUTED,
    MOBULA_PROCESSES,
    RAY,
)
from measuring.subjects import MOBULA, SYNC, THREADS
from measuring.targets import Target

PEERS = (DASK_PROCESSES, DISTRIBUTED, RAY)


def _target(row: str, at_most: float, relative_to: str | None = None, aim: bool = False) -> Target:
    section, shape = row.split("/")
    others = () if relative_to is None else (relative_to,)
    return Target(section, shape, at_most, others, subject=MOBULA_PROCESSES, aim=aim)


TARGETS = (
    _target("tasks/independent", 25.0),
    _target("tasks/chain", 10.0),
    _target("work/bag", 1 / 1.75, SYNC),
    *(_target("work/bag", 1.0, peer) for peer in (THREADS, *PEERS)),
    _target("work/objects", 1.3, MOBULA),
    *(_target(f"work/{name}", 1.0, peer) for name in ("groupby", "sort") for peer in PEERS),
    _target("memory/objects", 1.2, THREADS),
    _target("pool/start", 0.3),
    _target("pool/replace", 0.5),
    _target("blocks/first_touch", 1.0),
    # The task itself needs a page here and there.
    _target("blocks/write_pages", WRITTEN * 1.1),
)
