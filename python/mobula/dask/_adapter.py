"""All that is known of Dask's insides. No other file names what Dask does not document.

Tested against the oldest supported release, one in the middle, and the newest.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Hashable, Mapping
from typing import Any

import dask.callbacks
import dask.local
import dask.sizeof
from dask import _task_spec as spec
from dask.base import named_schedulers

from mobula import _core

__all__ = [
    "converted",
    "finish_task",
    "five_hooks",
    "graph_of",
    "register_name",
    "start_state",
    "vocabulary",
]


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


def converted(graph: Mapping[Any, Any]) -> dict[Any, Any]:
    """Make a graph of nodes, as Dask's callbacks are given it: a new one in any case."""
    return dict(spec.convert_legacy_graph(graph))


#: Older releases take the whole graph for what is to run.
_TAKES_KEYS = "keys" in inspect.signature(dask.local.start_state_from_dask).parameters
_start_state: Callable[..., Any] = dask.local.start_state_from_dask
_finish_task: Callable[..., Any] = dask.local.finish_task


def start_state(
    graph: Mapping[Any, Any],
    wanted: set[Any],
    cache: Mapping[Any, Any],
    rank: Callable[[Any], int],
) -> dict[str, Any]:
    """Make the state of a run, as Dask's callbacks are given it, before the first task."""
    # Values of the cache count for keys that are not in the graph alone.
    values = {key: value for key, value in cache.items() if key not in graph}
    state: dict[str, Any]
    if _TAKES_KEYS:
        state = _start_state(graph, cache=values, sortkey=rank, keys=wanted)
    else:
        state = _start_state(_needed(graph, wanted), cache=values, sortkey=rank)
    return state


def five_hooks(callback: Any) -> tuple[Any, ...]:
    """Find the five hooks of one of Dask's callbacks, or of a tuple of them."""
    five: tuple[Any, ...] = dask.callbacks.normalize_callback(callback)  # type: ignore[no-untyped-call]
    return five


def _needed(graph: Mapping[Any, Any], wanted: set[Any]) -> dict[Any, Any]:
    nodes = converted(graph)
    needed: dict[Any, Any] = {}
    left = list(wanted)
    while left:
        key = left.pop()
        if key in nodes and key not in needed:
            needed[key] = nodes[key]
            left.extend(nodes[key].dependencies)
    return needed


def finish_task(
    graph: Mapping[Any, Any],
    key: Hashable,
    state: dict[str, Any],
    wanted: set[Any],
    rank: Callable[[Any], int],
) -> None:
    """Note in the state of a run that a task has ended; its value is in the state's cache."""
    _finish_task(graph, key, state, wanted, rank)


def register_name(name: str, get: Callable[..., Any]) -> None:
    """Let ``scheduler=name`` mean ``get``."""
    named_schedulers[name] = get


_core.set_sizeof(dask.sizeof.sizeof)
