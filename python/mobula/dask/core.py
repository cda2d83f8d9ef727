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
from mobula.dask import _adapter, _observed
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
    dumps: Callable[..., Any] | None = None,
    loads: Callable[..., Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Run what ``keys`` need of a graph, on worker threads.

    Parameters
    ----------
    dsk
        Any graph of Dask's: an expression, a ``HighLevelGraph``, a dictionary of task objects or of
        tuples as they were written once. It is not changed.
    keys
        A key, or nested lists of keys.
    workers
        The kind of workers of this run: ``"threads"``, which ``"auto"`` means, too.
    num_workers
        How many; by default one for each core that this process may use.
    pool
        An executor of ``concurrent.futures`` or a pool of ``multiprocessing`` in which the tasks run.
    cache
        Values of keys that the graph does not have. The results are put into it.
    rerun_exceptions_locally
        Repeat a task that failed in the calling thread, where a debugger finds it.
    raise_exception
        What is called with the exception of a task and its traceback, to raise it.
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
    if workers not in (None, "threads", "auto"):
        raise ValueError(f"workers={workers!r}: there are 'threads' and 'auto'")
    pool = _adapter.setting("pool", pool)
    call = None
    if pool is not None:
        call, num_workers = PoolCall(pool, dumps, loads), size_of(pool)
    else:
        num_workers = _number_of_workers(_adapter.setting("num_workers", num_workers))
    cache = _cache(cache)
    graph = _adapter.graph_of(dsk)
    retries = _adapter.retries_of(dsk, graph)
    by_persist = call is None and cache is None and _adapter.called_by_persist()
    if by_persist and not _observed.is_wanted(kwargs):
        return _persist(graph, keys, workers=num_workers, retries=retries)
    if cache is not None:
        cache.update(_adapter.data_of(graph))
    values = _compute(
        graph,
        keys,
        kwargs,
        workers=num_workers,
        cache=cache,
        pool=call,
        retries=retries,
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
        retries=_adapter.retries_of(dsk, graph),
        raise_exception=raise_exception,
    )
    if cache is not None:
        _fill(cache, keys, values)
    return values


def _number_of_workers(given: Any) -> int | None:
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
    if not _observed.is_wanted(kwargs):
        return _core.compute(_adapter.vocabulary, graph, keys, **settings)
    with _observed.Observed(graph, keys, kwargs, settings["cache"]) as observed:
        hooks = observed.hooks
        values = _core.compute(_adapter.vocabulary, observed.graph, keys, hooks=hooks, **settings)
        observed.finish(values)
    return values


def _persist(graph: dict[Any, Any], keys: Any, **settings: Any) -> tuple[Any, ...]:
    """Start the run, and answer a task for each key that fetches its value."""
    handles = _core.persist(_adapter.vocabulary, graph, keys, **settings)
    return tuple(
        _adapter.task(key, fetch, handle) for key, handle in zip(keys, handles, strict=True)
    )


def _fill(cache: MutableMapping[Any, Any], keys: Any, values: Any) -> None:
    """Put the results into the caller's cache."""
    if isinstance(keys, list):
        for key, value in zip(keys, values, strict=True):
            _fill(cache, key, value)
    else:
        cache[keys] = values


_adapter.register_name("mobula", get)
