"""All that is known of Dask's insides. No other file names what Dask does not document.

Tested against the oldest supported release, one in the middle, and the newest.
"""

from __future__ import annotations

import inspect
import numbers
import operator
import sys
import warnings
from collections.abc import Callable, Container, Hashable, Iterator, Mapping
from typing import Any, NamedTuple

import dask.base
import dask.callbacks
import dask.local
from dask import _task_spec as spec
from dask import config
from dask.highlevelgraph import HighLevelGraph

from mobula import _core
from mobula.dask._persist import fetch
from mobula.dask._sizes import size_of

__all__ = [
    "Annotated",
    "AnnotationWarning",
    "annotated_of",
    "called_by_persist",
    "converted",
    "data_of",
    "finish_task",
    "five_hooks",
    "graph_of",
    "persist",
    "register_name",
    "seconds",
    "setting",
    "start_state",
    "task",
    "vocabulary",
]


_EXPRESSION: Any
try:
    from dask._expr import Expr as _EXPRESSION
except ImportError:  # Older releases hand graphs of layers to a scheduler.
    _EXPRESSION = None


class AnnotationWarning(UserWarning):
    """An annotation of a collection means nothing to this scheduler."""


class _Keys(Container[Hashable]):
    """The keys of a graph and those of a cache."""

    def __init__(self, graph: Mapping[Any, Any], cache: Mapping[Any, Any] | None) -> None:
        self._graph = graph
        self._cache = cache or {}

    def __contains__(self, key: object) -> bool:
        return key in self._graph or key in self._cache


def _convert(key: Any, task: Any, graph: Mapping[Any, Any], cache: Mapping[Any, Any] | None) -> Any:
    """Make a node of what stands in an old graph: a tuple with a callable, a key, or data."""
    node = spec.convert_legacy_task(key, task, _Keys(graph, cache))
    if isinstance(node, spec.GraphNode):
        return node
    return spec.DataNode(key, node)


def _missing(key: Hashable, dependent: Hashable) -> Exception:
    return ValueError(f"Missing dependency {key} for dependents {{{dependent!r}}}")


def _flat_dict() -> type | None:
    """The class for dictionaries, if it holds keys and values in turn; an older one evaluates itself."""
    container: type | None = getattr(spec, "Dict", None)
    return container if container and len(container({"key": 1}).args) == 2 else None


vocabulary = _core.Vocabulary(
    task=spec.Task,
    reference=spec.TaskRef,
    alias=spec.Alias,
    data=spec.DataNode,
    node=spec.GraphNode,
    list=getattr(spec, "List", None),
    tuple=getattr(spec, "Tuple", None),
    set=getattr(spec, "Set", None),
    dict=_flat_dict(),
    convert=_convert,
    fetch=fetch,
    missing=_missing,
)


def graph_of(dsk: Any) -> dict[Any, Any]:
    """The graph as a plain dictionary, which is not to be changed: it may be the caller's own."""
    if not isinstance(dsk, Mapping):
        if not hasattr(dsk, "__dask_graph__"):
            raise TypeError(
                f"dsk is of type {type(dsk).__name__}, and no graph: give a dictionary of keys and tasks,"
                " or a collection or an expression of Dask's"
            )
        dsk = dsk.__dask_graph__()
    return dsk if type(dsk) is dict else dict(dsk)


def setting(name: str, given: Any) -> Any:
    """What the caller has given, or else what Dask's configuration says."""
    return config.get(name, None) if given is None else given


def task(key: Hashable, function: Callable[..., Any], *arguments: Any) -> Any:
    """A task of Dask's."""
    return spec.Task(key, function, *arguments)


def called_by_persist() -> bool:
    """True if `dask.persist` has called the scheduler, which then may answer before it is done."""
    caller = sys._getframe(2)
    return caller.f_code is dask.base.persist.__code__


class Annotated(NamedTuple):
    """What is annotated of tasks, by key; None if nothing is."""

    #: How often a task may be tried again.
    retries: dict[Any, int] | None
    #: How long one attempt of a task may take, in seconds.
    time_limits: dict[Any, float] | None


def annotated_of(dsk: Any, graph: Mapping[Any, Any]) -> Annotated:
    """What is annotated of tasks and means something; other annotations are warned of.

    An array loses its annotations when Dask optimises it, so they are taken from the layers before that,
    which an expression still holds. A task that Dask has made of several may be tried as often as any of
    them, and take as long as all of them together.
    """
    retries: dict[Any, int] = {}
    time_limits: dict[Any, float] = {}
    unknown: set[str] = set()
    layers = (layer for graph in _graphs(dsk) for layer in graph.layers.values())
    for layer in layers:
        for name, value in (layer.annotations or {}).items():
            if name not in ("retries", "time_limit"):
                unknown.add(name)
                continue
            for key in layer:
                said = value(key) if callable(value) else value
                if name == "retries":
                    retries[key] = _count(said, key)
                else:
                    time_limits[key] = seconds(said, f"task {key!r} is annotated with time_limit")
    if unknown:
        names = ", ".join(sorted(unknown))
        warnings.warn(
            f"annotated {names}: workers of one machine are all alike to this scheduler, so this has no"
            " effect; `retries` and `time_limit` have one",
            AnnotationWarning,
            stacklevel=4,
        )
    _spread(retries, max, dsk, graph)
    _spread(time_limits, operator.add, dsk, graph)
    return Annotated(retries or None, time_limits or None)


def seconds(given: Any, what: str) -> float:
    """A time limit in seconds."""
    number = float(given) if isinstance(given, numbers.Real) else -1.0
    if not 0 < number < _LONGEST:
        raise ValueError(f"{what}={given!r}: it must be a number of seconds, more than 0")
    return number


#: A longer time limit is none.
_LONGEST = 1e9


def _spread(
    values: dict[Any, Any],
    combine: Callable[[Any, Any], Any],
    dsk: Any,
    graph: Mapping[Any, Any],
) -> None:
    """Give what is said of tasks that became part of others to those."""
    if not values:
        return
    for key, node in graph.items():
        for part in _parts_of(node):
            if part in values and part != key:
                values[key] = combine(values[part], values[key]) if key in values else values[part]
    for before in _graphs(dsk):
        lost = [key for key in values if key not in graph and key in before]
        if not lost:
            continue
        dependents: dict[Any, list[Any]] = {}
        for key, needed in before.get_all_dependencies().items():
            for one in needed:
                dependents.setdefault(one, []).append(key)
        for key in lost:
            # The next ones that still have a key.
            for heir in _heirs(key, dependents, before, graph):
                values[heir] = combine(values[key], values[heir]) if heir in values else values[key]


def _heirs(
    key: Any,
    dependents: Mapping[Any, list[Any]],
    before: Mapping[Any, Any],
    graph: Mapping[Any, Any],
) -> Iterator[Any]:
    """The keys of a graph that are reached first from a key that it has no more."""
    left, seen = [key], {key}
    while left:
        one = left.pop()
        followers = dependents.get(one, ())
        if not followers:
            # What Dask has put behind the last tasks was not there before.
            followers = [new for new in graph if new not in before]
        for follower in followers:
            if follower in seen:
                continue
            seen.add(follower)
            if follower not in graph:
                left.append(follower)
                continue
            while isinstance(graph.get(follower), spec.Alias):
                follower = graph[follower].target
            yield follower


def _count(retries: Any, key: Any) -> int:
    """How often a task is tried again; what is no such number is an error that names the task."""
    most = 2.0**31 - 1
    number = float(retries) if isinstance(retries, numbers.Real) else -1.0
    if number < 0 or not number.is_integer():
        raise ValueError(
            f"task {key!r} is annotated with retries={retries!r}: it must be a whole number from 0 on"
        )
    return int(min(number, most))


#: What Dask calls for a task that it has made of several.
_SUBGRAPH = getattr(spec, "_execute_subgraph", None)


def _parts_of(node: Any) -> Iterator[Any]:
    """The keys of the tasks that Dask has made one task of."""
    if _SUBGRAPH and isinstance(node, spec.Task) and node.func is _SUBGRAPH:
        yield from node.args[0]


def data_of(graph: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """The keys that stand for data, with it."""
    for key, node in graph.items():
        if isinstance(node, spec.DataNode):
            yield key, node.value
        elif not isinstance(node, spec.GraphNode):
            node = _convert(key, node, graph, None)
            if isinstance(node, spec.DataNode):
                yield key, node.value


def _graphs(dsk: Any) -> Iterator[HighLevelGraph]:
    """The graph of layers, or all of them in an expression, as they were before Dask optimised them."""
    left, seen = [dsk], set()
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, HighLevelGraph):
            yield one
        elif _EXPRESSION and isinstance(one, _EXPRESSION):
            # Only these: what else stands in an expression may be any object of a user's.
            left.extend(one.operands)


def persist(*collections: Any, **kwargs: Any) -> tuple[Any, ...]:
    """Dask's own `persist`."""
    dask_persist: Any = dask.base.persist
    return tuple(dask_persist(*collections, **kwargs))


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
    dask.base.named_schedulers[name] = get


_core.set_sizeof(size_of)
