"""Runs that a task in a child process asks for: they go on in the parent, on the workers there.

The child sends its graph and gets the values. It makes calls while it waits, those of the inner run too, so
one child is enough however deep runs are nested. As everywhere, a run inside of a task does not hear the
callbacks of the outer one. Those of the child itself are in the child, and so a run that they look at goes on
there, in the thread that asks for it, one task after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mobula import _child_session, _core

__all__ = ["ask_compute", "ask_persist", "compute_for", "is_asked", "persist_for", "placed_here"]

Graph = dict[Any, Any]
Settings = Mapping[str, Any]

#: What the parent is told of a run.
_TOLD = ("kind", "workers", "retries", "time_limits", "time_limit")


def is_asked(settings: Settings, is_observed: bool) -> bool:
    """Tell whether the parent is asked for a run: if nothing that is in this process takes part in it."""
    if not _core.is_child() or is_observed:
        return False
    return not any(settings.get(name) for name in ("inline", "pool", "keeps_calls"))


def placed_here(settings: Settings) -> dict[str, Any]:
    """Give the settings of a run that goes on in this process: a child has no workers of its own.

    Those of a pool it has: they do nothing but wait.
    """
    is_inline = settings.get("inline", False)
    return {
        **settings,
        "inline": is_inline or (_core.is_child() and settings.get("pool") is None),
    }


def ask_compute(graph: Graph, keys: Any, settings: Settings) -> Any:
    """In the child: have the parent run the graph."""
    cache = settings.get("cache") or {}
    told = {name: settings.get(name) for name in _TOLD}
    told["cache"] = {key: value for key, value in cache.items() if key not in graph}
    try:
        return _child_session.ask("compute", graph, keys, **told)
    except Exception as raised:
        raise_exception = settings.get("raise_exception")
        if raise_exception is not None:
            raise_exception(raised, raised.__traceback__)
        raise


def ask_persist(graph: Graph, keys: Any, settings: Settings) -> list[Any]:
    """In the child: have the parent start to run the graph; answers a handle for each key."""
    told = {name: settings.get(name) for name in _TOLD}
    handles: list[Any] = _child_session.ask("persist", graph, keys, **told)
    return handles


def compute_for(of_child: Settings, graph: Graph, keys: Any, **told: Any) -> Any:
    """In the parent: run the graph, by default as that of the task was run that asks for it.

    Nobody looks at the run: the callbacks that are active here are not those of the child.
    """
    from mobula.dask import core

    return core.compute_unobserved(graph, keys, **_completed(of_child, told))


def persist_for(of_child: Settings, graph: Graph, keys: Any, **told: Any) -> list[Any]:
    """In the parent: start to run the graph."""
    from mobula.dask import core

    return core.persist_unobserved(graph, keys, **_completed(of_child, told))


def _completed(of_child: Settings, told: dict[str, Any]) -> dict[str, Any]:
    """What the child has said of a run, and else what holds for the run of its task."""
    if "must" in of_child:
        return {**told, "kind": of_child["must"]}
    if told["kind"] is None:
        told["kind"] = of_child.get("workers")
        told["workers"] = told["workers"] or of_child.get("num_workers")
    return told
