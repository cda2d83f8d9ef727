"""The scheduler: what Dask calls to have a graph run.

This file has a name that Dask leaves out of tracebacks (`admin.traceback.shorten`), so what a user sees
of a failed task begins in the user's own code.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from mobula import _core
from mobula import _lifecycle as _lifecycle
from mobula.dask import _adapter, _nested, _observed
from mobula.dask._persist import fetch
from mobula.dask._pool import PoolCall, size_of

__all__ = ["get", "get_sync"]


def get(
    dsk: Any,
    keys: Any,
    *,
    workers: str | None = None,
    num_workers: int | None = None,
    pool: Any = None,
    cache: MutableMapping[Any, Any] | None = None,
    rerun_exceptions_locally: bool | None = None,
    raise_exception: Callable[..., Any] | None = None,
    time_limit: float | None = None,
    dumps: Callable[..., Any] | None = None,
    loads: Callable[..., Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Run what ``keys`` need of a graph, on worker threads or in worker processes.

    Parameters
    ----------
    dsk
        Any graph of Dask's: an expression, a ``HighLevelGraph``, a dictionary of task objects or of
        tuples as they were written once. It is not changed.
    keys
        A key, or nested lists of keys.
    workers
        The kind of workers of this run: ``"threads"``; ``"processes"``, which run pure Python on all cores
        at once; or ``"auto"``, which begins in threads and sends those tasks to processes that hold the
        interpreter's lock for long (:func:`mobula.explain` tells which and why). What is used if this is not
        said, :func:`mobula.init` says; by default threads.
    num_workers
        How many; by default one for each core that this process may use.
    pool
        An executor of ``concurrent.futures`` or a pool of ``multiprocessing`` in which the tasks run,
        whatever `init` has said; an error beside ``workers="processes"``.
    cache
        Values of keys that the graph does not have. The results are put into it.
    rerun_exceptions_locally
        Repeat a task that failed in the calling thread, where a debugger finds it. One that failed in a
        worker process is not repeated.
    raise_exception
        What is called with the exception of a task and its traceback, to raise it.
    time_limit
        How many seconds one attempt of a task may take, if it is not annotated otherwise
        (``dask.annotate(time_limit=...)``). A worker process that takes longer is ended and replaced; a
        thread cannot be ended, so another one stands in for it.
    dumps, loads
        How calls and results are packed for a pool.
    callbacks
        Callbacks that hear of this run instead of those that are active: one or several.
    **kwargs
        What other schedulers know and this one needs not, ``chunksize`` for instance.

    Returns
    -------
    The value of the key; a tuple of values for a list of keys, nested alike.

    Raises
    ------
    KeyError
        If a wanted key is not in the graph.
    ValueError
        If a task needs a key that is not in the graph.
    RuntimeError
        If the graph has a cycle.
    mobula.exceptions.TaskTimeoutError
        If a task has taken longer than it may.
    mobula.exceptions.WorkerLostError
        If a task has lost its worker process three times, or none can be started.
    mobula.exceptions.NotPicklableError
        If something cannot go to a worker process, or come from there.
    Exception
        What a task has raised, as it was raised.

    Examples
    --------
    >>> from operator import add
    >>> get({"x": 1, "y": (add, "x", 1), "z": (add, "x", "y")}, ["z", ["x", "y"]])
    (3, (1, 2))
    >>> import dask
    >>> dask.delayed(add)(1, 2).compute(scheduler="mobula")
    3
    """
    pool = _adapter.setting("pool", pool)
    if pool is not None and workers == "processes":
        raise ValueError("workers='processes' and pool: the tasks run in one of them, give one")
    call = None
    if pool is not None:
        call, num_workers = PoolCall(pool, dumps, loads), size_of(pool)
    else:
        num_workers = number_of_workers(_adapter.setting("num_workers", num_workers))
    cache = _cache(cache)
    graph = _adapter.graph_of(dsk)
    retries, time_limits = _adapter.annotated_of(dsk, graph)
    said: dict[str, Any] = {"retries": retries, "time_limits": time_limits}
    if time_limit is not None:
        said["time_limit"] = _adapter.seconds(time_limit, "time_limit")
    by_persist = call is None and cache is None and _adapter.called_by_persist()
    if by_persist and not _observed.is_wanted(kwargs):
        return _persist(graph, keys, kind=workers, workers=num_workers, **said)
    if cache is not None:
        cache.update(_adapter.data_of(graph))
    values = _compute(
        graph,
        keys,
        kwargs,
        kind=workers,
        workers=num_workers,
        cache=cache,
        pool=call,
        **said,
        keeps_calls=bool(_adapter.setting("rerun_exceptions_locally", rerun_exceptions_locally)),
        raise_exception=raise_exception,
    )
    if cache is not None:
        _fill(cache, keys, values)
    return values


def get_sync(
    dsk: Any,
    keys: Any,
    *,
    cache: MutableMapping[Any, Any] | None = None,
    raise_exception: Callable[..., Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Run what ``keys`` need of a graph in the calling thread, one task after the other.

    For debugging: ``breakpoint()`` works in a task. The parameters are those of :func:`get`; those that
    are about workers mean nothing here.

    Examples
    --------
    >>> import threading
    >>> get_sync({"here": (threading.current_thread,)}, "here") is threading.current_thread()
    True
    """
    cache = _cache(cache)
    graph = _adapter.graph_of(dsk)
    if cache is not None:
        cache.update(_adapter.data_of(graph))
    values = _compute(
        graph,
        keys,
        kwargs,
        inline=True,
        cache=cache,
        retries=_adapter.annotated_of(dsk, graph).retries,
        raise_exception=raise_exception,
    )
    if cache is not None:
        _fill(cache, keys, values)
    return values


def number_of_workers(given: Any) -> int | None:
    """What was given, if it is a number of workers."""
    if given is None:
        return None
    try:
        number = operator.index(given)
    except TypeError:
        raise TypeError(f"num_workers={given!r}: it must be a whole number, 1 or more") from None
    if number < 1:
        raise ValueError(f"num_workers={given!r}: it must be 1 or more")
    return number


def _cache(given: Any) -> MutableMapping[Any, Any] | None:
    """The caller's cache, or the one of Dask's configuration."""
    cache = _adapter.setting("cache", given)
    if cache is not None and not isinstance(cache, MutableMapping):
        raise TypeError(f"cache={cache!r}: it must be a dictionary of keys and values, or like one")
    return cache


def _compute(graph: dict[Any, Any], keys: Any, kwargs: Mapping[str, Any], **settings: Any) -> Any:
    """Run the graph, with the callbacks that are active or among the keywords."""
    is_observed = _observed.is_wanted(kwargs)
    if _nested.is_asked(settings, is_observed):
        return _nested.ask_compute(graph, keys, settings)
    settings = _nested.placed_here(settings)
    if not is_observed:
        return compute_unobserved(graph, keys, **settings)
    with _observed.Observed(graph, keys, kwargs, settings["cache"]) as observed:
        values = compute_unobserved(observed.graph, keys, hooks=observed.hooks, **settings)
        observed.finish(values)
    return values


def compute_unobserved(graph: dict[Any, Any], keys: Any, **settings: Any) -> Any:
    """Run the graph, whatever callbacks are active."""
    return _core.compute(_adapter.vocabulary, graph, keys, **settings)


def _persist(graph: dict[Any, Any], keys: Any, **settings: Any) -> tuple[Any, ...]:
    """Start the run, and answer a task for each key that fetches its value."""
    if _nested.is_asked(settings, is_observed=False):
        handles = _nested.ask_persist(graph, keys, settings)
    else:
        handles = persist_unobserved(graph, keys, **settings)
    return tuple(
        _adapter.task(key, fetch, handle) for key, handle in zip(keys, handles, strict=True)
    )


def persist_unobserved(graph: dict[Any, Any], keys: Any, **settings: Any) -> list[Any]:
    """Start to run the graph; answers a handle for each key."""
    return _core.persist(_adapter.vocabulary, graph, keys, **settings)


def _fill(cache: MutableMapping[Any, Any], keys: Any, values: Any) -> None:
    """Put the results into the caller's cache."""
    if isinstance(keys, list):
        for key, value in zip(keys, values, strict=True):
            _fill(cache, key, value)
    else:
        cache[keys] = values


_adapter.register_name("mobula", get)
