"""Runs that somebody looks at: which callbacks hear of a run, and what Dask's own ones are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import dask.callbacks

from mobula import _core
from mobula.dask import _adapter, _registry
from mobula.dask.callbacks import _RAY, Callback, HookTable

__all__ = ["compute"]

Five = tuple[Any, ...]


def compute(graph: dict[Any, Any], keys: Any, kwargs: Mapping[str, Any], **options: Any) -> Any:
    """Run as `_core.compute` does, with the callbacks that are active or among the keywords."""
    given = kwargs.get("callbacks"), kwargs.get("ray_callbacks")
    if given == (None, None) and not _registry.is_anybody_there():
        return _core.compute(_adapter.vocabulary, graph, keys, **options)
    with ExitStack() as stack:
        five, tables = _listeners(stack, *given)
        watch = Watch(graph, keys, five, options.get("cache"))
        return stack.enter_context(watch).run(tables, options)


def _listeners(
    stack: ExitStack, callbacks: Any, ray_callbacks: Any
) -> tuple[list[Five], list[HookTable]]:
    """Find who listens, in order: Dask's five hooks of each, and Mobula's."""
    found = stack.enter_context(_registry.visible())
    if callbacks is not None:
        listeners = _listed(callbacks)
        five = [_adapter.five_hooks(it) for it in listeners]
        tables = [it._table() for it in listeners if isinstance(it, Callback)]
    else:
        active = set(dask.callbacks.Callback.active)
        if active:
            active = set(stack.enter_context(dask.callbacks.local_callbacks()))
        five = _in_order(active, found)
        tables = [it.callback._table() for it in found]
    if ray_callbacks is not None:
        tables = [_ray_table(it) for it in _listed(ray_callbacks)]
    return [it for it in five if any(it)], tables


def _listed(callbacks: Any) -> list[Any]:
    """Make a list of what may be one callback or several of them."""
    if isinstance(callbacks, dask.callbacks.Callback):
        return [callbacks]
    is_one = isinstance(callbacks, tuple) and any(callable(hook) for hook in callbacks)
    return [callbacks] if is_one else list(callbacks)


def _ray_table(callback: Any) -> HookTable:
    if isinstance(callback, Callback):
        return callback._table()
    return HookTable("ray_callbacks", **dict(zip(_RAY.values(), callback, strict=True)))


def _in_order(active: set[Five], registered: list[_registry.Registration]) -> list[Five]:
    """Put Dask's active callbacks, of which it keeps no order, where they were among ours."""
    ours = {it.callback._callback for it in registered}
    others = [five for five in active if five not in ours]
    ordered: list[Five] = []
    for registration in registered:
        ordered += [it for it in others if it in registration.earlier and it not in ordered]
        ordered.append(registration.callback._callback)
    return ordered + [it for it in others if it not in ordered]


class Watch:
    """Tells Dask's callbacks of one run, and keeps the state that they are shown.

    ``begin``, ``before`` and ``after`` are called by the run, on the thread that called ``get``.
    """

    def __init__(
        self, graph: dict[Any, Any], keys: Any, five: list[Five], cache: Mapping[Any, Any] | None
    ) -> None:
        self.graph = graph
        self.keys = keys
        self._five = five
        self._cache = cache or {}
        self._started: list[Five] = []
        self._state: dict[str, Any] = {}
        self._order: Mapping[Any, int] = {}
        self._wanted: set[Any] = set()
        self._befores = [it[2] for it in five if it[2]]
        self._afters = [it[3] for it in five if it[3]]

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # All of them hear of the end. The first one that raises ends the call.
        first = None
        for finish in [it[4] for it in self._started if it[4]]:
            try:
                finish(self.graph, self._state, kind is not None)
            except BaseException as raised:
                first = first or raised
        if first is not None:
            raise first

    def run(self, tables: list[HookTable], options: dict[str, Any]) -> Any:
        """Run the graph, and tell everybody."""
        if self._five:
            # Its callbacks may change it, and it may be the caller's own.
            self.graph = _adapter.converted(self.graph)
        for it in self._five:
            if it[0]:
                it[0](self.graph)
            self._started.append(it)
        sees_tasks = any(any(it[1:]) for it in self._five)
        called = [table for table in tables if table.is_called_in_run()]
        hooks = None
        if called or sees_tasks:
            hooks = _core.Hooks(
                called, watch=self if sees_tasks else None, waits=bool(self._befores)
            )
        result = _core.compute(_adapter.vocabulary, self.graph, self.keys, hooks=hooks, **options)
        for table in tables:
            if table.run_finish is not None:
                _call_run_finish(table, result)
        return result

    def begin(self, order: Mapping[Any, int]) -> None:
        """Hear in which order the tasks would run one after the other."""
        self._order = order
        self._wanted = set(_flat(self.keys))
        self._state = _adapter.start_state(self.graph, self._wanted, self._cache, self._rank)
        for it in self._five:
            if it[1]:
                it[1](self.graph, self._state)

    def _rank(self, key: Any) -> int:
        return self._order.get(key, -1)

    def before(self, key: Any) -> None:
        """Hear of a task that a worker is about to run."""
        ready = self._state["ready"]
        # The task that is next in order is the last one of the list.
        for place in range(len(ready) - 1, -1, -1):
            if ready[place] == key:
                del ready[place]
                break
        self._state["running"].add(key)
        for hook in self._befores:
            hook(key, self.graph, self._state)

    def after(self, key: Any, result: Any, worker: int) -> None:
        """Hear of a task that has ended."""
        self._state["cache"][key] = result
        _adapter.finish_task(self.graph, key, self._state, self._wanted, self._rank)
        for hook in self._afters:
            hook(key, result, self.graph, self._state, worker)


def _call_run_finish(table: HookTable, result: Any) -> None:
    assert table.run_finish is not None
    try:
        table.run_finish(result)
    except BaseException as raised:
        if hasattr(raised, "add_note"):  # Python 3.11 and later.
            raised.add_note(f"raised in hook `run_finish` of callback {table.name}")
        raise


def _flat(keys: Any) -> Iterable[Any]:
    if not isinstance(keys, list):
        yield keys
        return
    for key in keys:
        yield from _flat(key)
