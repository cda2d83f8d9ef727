"""Callbacks: hooks into runs, for diagnostics, caches and the like."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn

import dask.callbacks
import dask.diagnostics.progress

from mobula._core import Result
from mobula.dask import _registry

__all__ = ["Callback", "ProgressBar", "ProgressBarCallback", "RayDaskCallback", "Result"]

Hook = Callable[..., Any]

#: Mobula's hooks, by their keywords.
_HOOKS = (
    "presubmit",
    "postsubmit",
    "task_start",
    "task_end",
    "postsubmit_all",
    "error",
    "retry",
    "run_finish",
)

#: Ray's names, with ours.
_RAY = {
    "ray_presubmit": "presubmit",
    "ray_postsubmit": "postsubmit",
    "ray_pretask": "task_start",
    "ray_posttask": "task_end",
    "ray_postsubmit_all": "postsubmit_all",
    "ray_finish": "run_finish",
}


#: Dask's own hooks, in the order in which its tuples have them.
_FIVE = ("start", "start_state", "pretask", "posttask", "finish")


def check_hook(name: str, hook: Any) -> None:
    """Refuse a hook that cannot be called.

    Raises
    ------
    TypeError
        If it is neither a function nor ``None``.
    """
    if hook is not None and not callable(hook):
        raise TypeError(f"{name}={hook!r}: a hook must be a function, or None for no hook")
    if inspect.iscoroutinefunction(hook):
        raise TypeError(
            f"{name}={hook!r}: nobody would await an async function; a hook is a plain one"
        )


class HookTable(NamedTuple):
    """The hooks that a callback has, and what it is called in messages."""

    name: str
    presubmit: Hook | None = None
    postsubmit: Hook | None = None
    task_start: Hook | None = None
    task_end: Hook | None = None
    postsubmit_all: Hook | None = None
    error: Hook | None = None
    retry: Hook | None = None
    run_finish: Hook | None = None

    def is_called_in_run(self) -> bool:
        """Tell whether there is a hook beside ``run_finish``, which is called after the run."""
        return any(self[1:-1])


class Callback(dask.callbacks.Callback):
    """A set of hooks into runs: subclass it, or pass functions by keyword.

    Use it as a context manager around computes, or with ``register`` and ``unregister``. Several
    can be active at once; each hook is called for all of them, in the order of their registration.
    Runs that are started inside of tasks do not hear of callbacks from outside. A hook that raises
    ends the run with its exception.

    The hooks of tasks, ``_presubmit``, ``_postsubmit``, ``_retry``, ``_task_start`` and
    ``_task_end``, are called in the worker that runs the task, several perhaps at the same time. All
    others are called on the thread that called ``get``. Dask's five, ``start``, ``start_state``, ``pretask``,
    ``posttask`` and ``finish``, are what `dask.callbacks.Callback` says they are.

    A hook that is ``None``, or that is not overridden, costs nothing.

    Examples
    --------
    >>> import dask
    >>> from mobula.dask import Callback, get
    >>> class Names(Callback):
    ...     def _task_start(self, key, object_refs):
    ...         print("begin", key)
    ...     def _task_end(self, key, result, pre_state):
    ...         print("end", key, result)
    >>> with Names():
    ...     get({"x": 1, "y": (lambda x: x + 1, "x")}, "y")
    begin y
    end y 2
    2
    >>> with Callback(run_finish=print):
    ...     answer = get({"x": 1, "y": (lambda x: x + 1, "x")}, ["x", "y"])
    (1, 2)
    """

    #: What can be given by keyword.
    _keywords: ClassVar[Sequence[str]] = (*_FIVE, *_HOOKS)

    def __init__(
        self,
        start: Hook | None = None,
        start_state: Hook | None = None,
        pretask: Hook | None = None,
        posttask: Hook | None = None,
        finish: Hook | None = None,
        *,
        presubmit: Hook | None = None,
        postsubmit: Hook | None = None,
        task_start: Hook | None = None,
        task_end: Hook | None = None,
        postsubmit_all: Hook | None = None,
        run_finish: Hook | None = None,
        error: Hook | None = None,
        retry: Hook | None = None,
        **unknown: NoReturn,
    ) -> None:
        for name in unknown:
            known = ", ".join(self._keywords)
            raise TypeError(f"{type(self).__name__} has no hook {name!r}; there are {known}")
        five = start, start_state, pretask, posttask, finish
        for name, hook in zip(_FIVE, five, strict=True):
            check_hook(name, hook)
        super().__init__(*five)  # type: ignore[no-untyped-call]
        given = (
            presubmit,
            postsubmit,
            task_start,
            task_end,
            postsubmit_all,
            error,
            retry,
            run_finish,
        )
        for name, hook in zip(_HOOKS, given, strict=True):
            check_hook(name, hook)
            if hook is not None:
                setattr(self, f"_{name}", hook)

    def _presubmit(self, task: Any, key: Any, deps: Mapping[Any, Any]) -> Any:
        """Answer for a task before it runs.

        All callbacks are asked; the first answer but ``None`` is the task's value, and the task
        does not run. If it is an object ref, the value of the ref is meant, and waited for; what the
        ref has failed with, the task fails with. `Result` wraps an answer that is to be taken as it
        is, so that ``None`` can be one. ``deps`` are the object refs of the inputs that tasks make,
        by key.
        """

    def _postsubmit(self, task: Any, key: Any, deps: Mapping[Any, Any], object_ref: Any) -> None:
        """Hear of a task that nobody has answered for; ``object_ref`` will hold its value."""

    def _task_start(self, key: Any, object_refs: Sequence[Any]) -> Any:
        """Hear of a task just before it is called. `_task_end` is given the answer."""

    def _task_end(self, key: Any, result: Any, pre_state: Any) -> None:
        """Hear of a task that has just been called, with what it has answered."""

    def _postsubmit_all(self, object_refs: Sequence[Any], dsk: Mapping[Any, Any]) -> None:
        """Hear, once a run, that all tasks were taken on; with the refs of the wanted values."""

    def _run_finish(self, result: Any) -> None:
        """Hear, once a run, that it has succeeded, with what ``get`` will answer."""

    def _error(self, key: Any, exception: BaseException) -> None:
        """Hear of the task that the run has failed with."""

    def _retry(self, key: Any, attempt: int) -> None:
        """Hear, before its `_task_start`, of a task that has failed and is tried again.

        ``attempt`` is the one that begins, counted from 1.
        """

    def _own(self, name: str, base: type) -> Hook | None:
        """Find a hook that is not the base class's own, which does nothing."""
        hook: Hook | None = getattr(self, name, None)
        check_hook(f"{type(self).__qualname__}.{name}", hook)
        is_empty = getattr(hook, "__func__", None) is getattr(base, name)
        return None if is_empty else hook

    def _table(self) -> HookTable:
        return HookTable(
            type(self).__qualname__, *(self._own(f"_{name}", Callback) for name in _HOOKS)
        )

    def __enter__(self) -> Any:
        """Register the callback until the end of the block."""
        self.register()
        return self

    def __exit__(self, *_: object) -> None:
        _registry.remove(self)
        dask.callbacks.Callback.active.discard(self._callback)

    def register(self) -> None:
        """Hear of all runs from now on."""
        # First, so that what was there before is seen without this one.
        _registry.add(self)
        if any(self._callback):
            # For Dask's other schedulers.
            super().register()

    def unregister(self) -> None:
        """Hear of no more runs.

        Raises
        ------
        KeyError
            If the callback is not registered.
        """
        if not _registry.remove(self):
            raise KeyError(self)
        dask.callbacks.Callback.active.discard(self._callback)


class RayDaskCallback(Callback):
    """A `Callback` whose hooks have the names that they have in ``ray.util.dask``.

    ``ray_presubmit``, ``ray_postsubmit``, ``ray_pretask`` (`Callback._task_start`),
    ``ray_posttask`` (`Callback._task_end`), ``ray_postsubmit_all`` and ``ray_finish``
    (`Callback._run_finish`), by keyword or as methods with a leading underscore. Hooks under
    Mobula's own names work here, too.

    Examples
    --------
    >>> from mobula.dask import RayDaskCallback, ray_dask_get
    >>> with RayDaskCallback(ray_posttask=lambda key, result, pre_state: print(key, result)):
    ...     ray_dask_get({"x": (sum, [1, 2])}, "x")
    x 3
    3
    """

    #: What is registered just now.
    ray_active: ClassVar[Sequence[object]] = _registry.registrations
    _keywords = (*Callback._keywords, *_RAY)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = {name: kwargs.pop(name) for name in _RAY if name in kwargs}
        super().__init__(*args, **kwargs)
        for name, hook in given.items():
            check_hook(name, hook)
            if hook is not None:
                setattr(self, f"_{name}", hook)

    def _ray_presubmit(self, task: Any, key: Any, deps: Mapping[Any, Any]) -> Any:
        """As `Callback._presubmit`."""

    def _ray_postsubmit(
        self, task: Any, key: Any, deps: Mapping[Any, Any], object_ref: Any
    ) -> None:
        """As `Callback._postsubmit`."""

    def _ray_pretask(self, key: Any, object_refs: Sequence[Any]) -> Any:
        """As `Callback._task_start`."""

    def _ray_posttask(self, key: Any, result: Any, pre_state: Any) -> None:
        """As `Callback._task_end`."""

    def _ray_postsubmit_all(self, object_refs: Sequence[Any], dsk: Mapping[Any, Any]) -> None:
        """As `Callback._postsubmit_all`."""

    def _ray_finish(self, result: Any) -> None:
        """As `Callback._run_finish`."""

    def _table(self) -> HookTable:
        table = super()._table()
        rays = (self._own(f"_{name}", RayDaskCallback) for name in _RAY)
        hooks = {ours: hook for ours, hook in zip(_RAY.values(), rays, strict=True) if hook}
        return HookTable(**(table._asdict() | hooks))


class ProgressBar(dask.diagnostics.progress.ProgressBar):
    """Dask's progress bar, without making tasks wait until it has heard of them.

    Examples
    --------
    >>> from mobula.dask import ProgressBar, get
    >>> with ProgressBar():  # doctest: +SKIP
    ...     get({"x": (sum, [1, 2])}, "x")
    [########################################] | 100% Completed | 102.10 ms
    3
    """

    # Its base class asks before each task for the state, which is the same one throughout a run.
    _pretask = None  # type: ignore[assignment]

    def _start_state(self, dsk: Mapping[Any, Any], state: dict[str, Any]) -> None:
        self._state = state


ProgressBarCallback = ProgressBar
