"""The scheduler: what Dask calls to have a graph run."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from mobula import _core
from mobula.dask import _adapter

__all__ = ["get", "get_sync"]


def get(dsk: Any, keys: Any, **kwargs: Any) -> Any:
    """Run what ``keys`` need of ``dsk``."""
    graph = _adapter.graph_of(dsk)
    return _core.compute(_adapter.vocabulary, graph, keys, workers=kwargs.get("num_workers"))


def get_sync(dsk: Any, keys: Any, **kwargs: Any) -> Any:
    """Run in the calling thread."""
    graph = _adapter.graph_of(dsk)
    return _core.compute(_adapter.vocabulary, graph, keys, inline=True)


_adapter.register_name("mobula", get)
