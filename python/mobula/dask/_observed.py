"""Runs that somebody looks at: which callbacks hear of a run, and what Dask's own ones are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import dask.callbacks

from mobula import _core
from mobula.dask import _adapter, _registry
from mobula.dask.callbacks import _FIVE, _RAY, Callback, Hook, HookTable, check_hook

__all__ = ["Observed", "is_wanted"]

Five = tuple[Any, ...]


def is_wanted(kwargs: Mapping[str, Any]) -> bool:
    """Tell whether callbacks are active or among the keywords."""
    if kwargs.get("callbacks") is not None or kwargs.get("ray_callbacks") is not None:
        return True
    return _registry.is_anybody_there()


def _listeners(
    stack: ExitStack, callbacks: Any, ray_callbacks: Any
) -> tuple[list[Five], list[HookTable]]:
    """Find who listens, in order: Dask's five hooks of each, and Mobula's."""
    found = stack.enter_context(_registry.visible())
    if callbacks is not None:
        listeners = _listed("callbacks", callbacks, dask.callbacks.Callback, _FIVE)
        five = [_adapter.five_hooks(it) for it in listeners]
        tables = [it._table() for it in listeners if isinstance(it, Callback)]
    else:
        active = set(dask.callbacks.Callback.active)
        if active:
            active = set(stack.enter_context(dask.callbacks.local_callbacks()))
        five = _in_order(active, found)
        tables = [it.callback._table() for it in found]
    if ray_callbacks is not None:
        listeners = _listed("ray_callbacks", ray_callbacks, Callback, tuple(_RAY))
        tables = [_ray_table(it) for it in listeners]
    return [it for it in five if any(it)], tables


def _listed(name: str, callbacks: Any, kind: type, hooks: Sequence[str]) -> list[Any]:
    """Make a list of what may be one callback or several of them, of a class or as tuples of hooks."""
    is_hooks = isinstance(callbacks, tuple) and not any(
        isinstance(it, (dask.callbacks.Callback, tuple)) for it in callbacks
    )
    is_one = isinstance(callbacks, dask.callbacks.Callback) or (is_hooks and callbacks)
    is_several = not is_one and isinstance(callbacks, Iterable)
    listed = list(callbacks) if is_several else [callbacks]
    for callback in listed:
        if isinstance(callback, kind):
            continue
        if not isinstance(callback, tuple):
            raise TypeError(
                f"{name}={callbacks!r}: it must be a {kind.__name__}, a tuple of its hooks "
                f"({', '.join(hooks)}), or a list of those"
            )
        if len(callback) != len(hooks):
            raise TypeError(
                f"{name}={callbacks!r}: a tuple must be of {len(hooks)} hooks, "
                f"{', '.join(hooks)}, not of {len(callback)}; None stands for no hook"
            )
        for hook_name, hook in zip(hooks, callback, strict=True):
            check_hook(f"{name}: {hook_name}", hook)
    return listed


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


class Observed:
    """A run that callbacks look at: from its start to its end, a context manager.

    What is run is ``graph``, with ``hooks``. They call ``begin``, ``before`` and ``after`` on the thread
    that called ``get``: this is what tells Dask's callbacks, and keeps the state that they are shown.
    """

    def __init__(
        self,
        graph: dict[Any, Any],
        keys: Any,
        kwargs: Mapping[str, Any],
        cache: Mapping[Any, Any] | None,
    ) -> None:
        self.graph = graph
        self.hooks: _core.Hooks | None = None
        self._keys = keys
        self._kwargs = kwargs
        self._cache = cache or {}
        self._stack = ExitStack()
        self._five: list[Five] = []
        self._tables: list[HookTable] = []
        self._started: list[Five] = []
        self._state: dict[str, Any] = {}
        self._order: Mapping[Any, int] = {}
        self._wanted: set[Any] = set()
        self._befores: list[Any] = []
        self._afters: list[Any] = []

    def __enter__(self) -> Observed:
        with ExitStack() as stack:
            given = self._kwargs.get("callbacks"), self._kwargs.get("ray_callbacks")
            self._five, self._tables = _listeners(stack, *given)
            stack.push(self._end)
            self._begin()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, raised, traceback)

    def _begin(self) -> None:
        self._befores = [it[2] for it in self._five if it[2]]
        self._afters = [it[3] for it in self._five if it[3]]
        if self._five:
            # Its callbacks may change it, and it may be the caller's own.
            self.graph = _adapter.converted(self.graph)
        for it in self._five:
            if it[0]:
                it[0](self.graph)
            self._started.append(it)
        watch = self if any(any(it[1:]) for it in self._five) else None
        called = [table for table in self._tables if table.is_called_in_run()]
        if called or watch is not None:
            self.hooks = _core.Hooks(called, watch=watch, waits=bool(self._befores))

    def finish(self, result: Any) -> None:
        """Hear of the result of the run."""
        for table in self._tables:
            if table.run_finish is not None:
                _call(table.run_finish, f"`run_finish` of callback {table.name}", result)

    def _end(self, kind: type[BaseException] | None, *_: object) -> None:
        # All of them hear of the end. The first one that raises ends the call.
        first = None
        for finish in [it[4] for it in self._started if it[4]]:
            try:
                finish(self.graph, self._state, kind is not None)
            except BaseException as raised:
                first = first or raised
        if first is not None:
            raise first

    def begin(self, order: Mapping[Any, int]) -> None:
        """Hear in which order the tasks would run one after the other."""
        self._order = order
        self._wanted = set(_flat(self._keys))
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


def _call(hook: Hook, name: str, *arguments: Any) -> None:
    try:
        hook(*arguments)
    except BaseException as raised:
        if hasattr(raised, "add_note"):  # Python 3.11 and later.
            raised.add_note(f"raised in hook {name}")
        raise


def _flat(keys: Any) -> Iterable[Any]:
    if not isinstance(keys, list):
        yield keys
        return
    for key in keys:
        yield from _flat(key)
