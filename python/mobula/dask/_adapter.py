"""All that is known of Dask's insides. No other file names what Dask does not document.

Tested against the oldest supported release, one in the middle, and the newest.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Hashable, Mapping
from typing import Any

import dask.sizeof
from dask import _task_spec as spec
from dask.base import named_schedulers

from mobula import _core

__all__ = ["graph_of", "register_name", "vocabulary"]


class _Keys(Container[Hashable]):
    """The keys of a graph and those of a cache."""

    def __init__(self, graph: Mapping[Any, Any], cache: Mapping[Any, Any] | None) -> None:
        self._graph = graph
        self._cache = cache or {}

    def __contains__(self, key: object) -> bool:
        return key in self._graph or key in self._cache


def _convert(
    key: Hashable, task: Any, graph: Mapping[Any, Any], cache: Mapping[Any, Any] | None
) -> Any:
    """Make a node of what stands in an old graph: a tuple with a callable, a key, or data."""
    node = spec.convert_legacy_task(key, task, _Keys(graph, cache))
    if isinstance(node, spec.GraphNode):
        return node
    return spec.DataNode(key, node)


def _missing(key: Hashable, dependent: Hashable) -> Exception:
    return ValueError(f"Missing dependency {key} for dependents {{{dependent!r}}}")


vocabulary = _core.Vocabulary(
    task=spec.Task,
    reference=spec.TaskRef,
    alias=spec.Alias,
    data=spec.DataNode,
    node=spec.GraphNode,
    list=getattr(spec, "List", None),
    tuple=getattr(spec, "Tuple", None),
    set=getattr(spec, "Set", None),
    dict=getattr(spec, "Dict", None),
    convert=_convert,
    missing=_missing,
)


def graph_of(dsk: Any) -> dict[Any, Any]:
    """The graph as a plain dictionary, which is not to be changed: it may be the caller's own."""
    if not isinstance(dsk, Mapping):
        dsk = dsk.__dask_graph__()
    return dsk if type(dsk) is dict else dict(dsk)


def register_name(name: str, get: Callable[..., Any]) -> None:
    """Let ``scheduler=name`` mean ``get``."""
    named_schedulers[name] = get


_core.set_sizeof(dask.sizeof.sizeof)
