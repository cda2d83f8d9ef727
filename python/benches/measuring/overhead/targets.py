"""What the cost of Mobula as Dask's scheduler is to be."""

from __future__ import annotations

from measuring.subjects import FLOOR, SYNC, THREADS
from measuring.targets import Target

NO_OPS = ("independent", "chain", "tree", "layers", "shuffle")

TARGETS = (
    *(Target("tasks", shape, 2.0, (FLOOR,)) for shape in NO_OPS),
    *(Target("tasks", shape, 1.0, (FLOOR,), aim=True) for shape in NO_OPS),
    *(Target("tasks", shape, 1 / 20, (THREADS,)) for shape in NO_OPS),
    *(
        Target("work", work, 1.0, (SYNC, THREADS))
        for work in ("array", "groupby", "sort", "objects")
    ),
    Target("work", "groupby", 1 / 1.15, (THREADS,)),
    Target("work", "bag", 1.05, (SYNC,)),
    *(Target("memory", work, 1.0, (THREADS,)) for work in ("array", "objects")),
    Target("million", "million", 8.0),
    *(
        Target("hooks", shape, 1.0, ("direct",), plus=1.0, subject="pair")
        for shape in ("independent", "chain")
    ),
    Target("startup", "import", 100.0),
    Target("startup", "wheel", 10.0),
)
