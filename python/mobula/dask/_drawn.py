"""The graph of collections, as they would run."""

from __future__ import annotations

from typing import Any

import dask.base

from mobula import _core
from mobula.dask import _adapter

__all__ = ["drawn"]


class _Seen(BaseException):
    """What a scheduler was asked to run."""

    def __init__(self, graph: Any, keys: Any) -> None:
        super().__init__()
        self.graph = graph
        self.keys = keys


def _see(graph: Any, keys: Any, **_: Any) -> Any:
    raise _Seen(graph, keys)


def drawn(
    collections: tuple[Any, ...], color: str, optimize_graph: bool, grouped_above: int
) -> str:
    """Draw what a compute of collections would run."""
    try:
        # Whatever Dask does before it asks a scheduler, each version in its own way, belongs to it.
        dask.base.compute(  # type: ignore[no-untyped-call]
            *collections, scheduler=_see, optimize_graph=optimize_graph
        )
    except _Seen as seen:
        graph, keys = _adapter.graph_of(seen.graph), seen.keys
    else:
        raise TypeError(
            "visualize() takes collections of Dask's; among what was given there is none"
        )
    return _core.draw(_adapter.vocabulary, graph, keys, color, grouped_above)
