"""`remote`, which makes functions and classes of a program run on workers and as actors."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, overload

from mobula import _core
from mobula._session import warn_of_ignored

__all__ = ["ActorClass", "RemoteFunction", "remote"]

# What Ray knows and what has no effect here: all tasks are alike to the threads of one process.
_IGNORED = frozenset(
    {
        "accelerator_type",
        "enable_task_events",
        "fallback_strategy",
        "label_selector",
        "memory",
        "num_cpus",
        "num_gpus",
        "object_store_memory",
        "placement_group",
        "placement_group_bundle_index",
        "placement_group_capture_child_tasks",
        "resources",
        "runtime_env",
        "scheduling_strategy",
    }
)
_IGNORED_BY_FUNCTIONS = _IGNORED | {"max_calls"}
_IGNORED_BY_ACTORS = _IGNORED | {
    "concurrency_groups",
    "lifetime",
    "max_concurrency",
    "max_pending_calls",
    "max_restarts",
    "max_task_retries",
    "namespace",
}

# As often as a task may be tried at all.
_FOR_EVER = 2**32 - 1


def _merged(
    kind: str,
    old: dict[str, Any],
    new: dict[str, Any],
    known: frozenset[str],
    ignored: frozenset[str],
    stacklevel: int,
) -> dict[str, Any]:
    """The options `old` with the options `new`; says which are ignored, and refuses unknown ones."""
    for name in new:
        if name not in known and name not in ignored:
            offered = ", ".join(sorted(known))
            raise ValueError(f"{kind} have no option {name!r}; there are {offered}")
    warn_of_ignored(new.keys() & ignored, f"the options of {kind}", stacklevel + 1)
    return old | {name: value for name, value in new.items() if name in known}


def _name(options: dict[str, Any]) -> str | None:
    """The name among the options."""
    name = options.get("name")
    if name is None or (isinstance(name, str) and name):
        return name
    error = ValueError if isinstance(name, str) else TypeError
    raise error(f"name must be text that is not empty, not {name!r}")


class RemoteFunction:
    """A function whose calls are tasks on the workers; made by :func:`remote`.

    Call it with ``remote``, which answers an :class:`ObjectRef` at once. Among the arguments, refs stand
    for their values: the call begins when these are there, and no worker waits for it. An exception
    comes back at `get`, and at the calls that need the result.

    Examples
    --------
    >>> import mobula
    >>> @mobula.remote
    ... def add(x, y):
    ...     return x + y
    >>> mobula.get(add.remote(add.remote(1, 2), y=3))
    6
    >>> @mobula.remote(num_returns=2)
    ... def halves(items):
    ...     return items[: len(items) // 2], items[len(items) // 2 :]
    >>> mobula.get(halves.remote([1, 2, 3]))
    [[1], [2, 3]]
    """

    _KNOWN = frozenset({"max_retries", "name", "num_returns", "retry_exceptions"})

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._options = options
        number = options.get("num_returns", 1)
        if not isinstance(number, int) or number < 0:
            raise ValueError(f"num_returns must be 0 or a positive number, not {number!r}")
        retries = options.get("max_retries", 3)
        if not isinstance(retries, int) or retries < -1:
            raise ValueError(f"max_retries must be -1, 0 or a positive number, not {retries!r}")
        retried = options.get("retry_exceptions", False)
        if isinstance(retried, (list, tuple)):
            self._retried: tuple[type[BaseException], ...] = tuple(retried)
        else:
            self._retried = (Exception,) if retried else ()
        retries = _FOR_EVER if retries < 0 else min(retries, _FOR_EVER)
        self._retries = retries if self._retried else 0
        self._number: int = number
        self._name = _name(options) or str(getattr(function, "__name__", "function"))

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Have the function called; answers a ref to its result, a list of refs, or None."""
        refs = _core.submit(
            self._function,
            args,
            kwargs,
            name=self._name,
            num_returns=self._number,
            max_retries=self._retries,
            retried=self._retried,
        )
        if self._number == 1:
            return refs[0]
        return refs or None

    def options(self, **options: Any) -> RemoteFunction:
        """The same function with other options."""
        merged = _merged(
            "remote functions", self._options, options, self._KNOWN, _IGNORED_BY_FUNCTIONS, 2
        )
        return RemoteFunction(self._function, merged)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            f"a remote function is called with `{self._name}.remote(...)`, which answers an ObjectRef"
        )

    def __repr__(self) -> str:
        return f"RemoteFunction({self._name})"


class ActorClass:
    """A class whose objects are actors; made by :func:`remote`.

    Call it with ``remote``, which answers a handle at once. Each actor has a thread of its own, on which
    its methods run one after the other, in the order in which a caller calls them. Methods that are
    ``async def`` begin in that order and go on in turn, in an event loop of the actor.

    An actor ends when there is no handle to it any more, after what it was asked for; one with a name ends
    with `kill` or `shutdown`. If its constructor raises, all calls raise an `ActorDiedError`.

    Examples
    --------
    >>> import mobula
    >>> @mobula.remote
    ... class Cache:
    ...     def __init__(self):
    ...         self.values = {}
    ...
    ...     def put(self, key, value):
    ...         self.values[key] = value
    ...
    ...     def get(self, key):
    ...         return self.values[key]
    >>> cache = Cache.options(name="values", get_if_exists=True).remote()
    >>> stored = cache.put.remote("x", 1)
    >>> mobula.get(mobula.get_actor("values").get.remote("x"))
    1
    >>> mobula.get(cache.get.remote("y"))
    Traceback (most recent call last):
        ...
    KeyError: 'y'
    >>> mobula.kill(cache)
    """

    _KNOWN = frozenset({"get_if_exists", "name"})

    def __init__(self, cls: type, options: dict[str, Any]) -> None:
        functools.update_wrapper(self, cls, updated=())
        self._class = cls
        self._options = options
        self._is_asynchronous = any(
            inspect.iscoroutinefunction(inspect.getattr_static(cls, name)) for name in dir(cls)
        )
        self._name = _name(options)
        if options.get("get_if_exists") and self._name is None:
            raise ValueError("get_if_exists needs a name")

    def remote(self, *args: Any, **kwargs: Any) -> _core.ActorHandle:
        """Start an actor; answers a handle to it."""
        return _core.start_actor(
            self._class,
            args,
            kwargs,
            class_name=self._class.__name__,
            name=self._name,
            get_if_exists=bool(self._options.get("get_if_exists")),
            is_asynchronous=self._is_asynchronous,
        )

    def options(self, **options: Any) -> ActorClass:
        """The same class with other options."""
        merged = _merged("actors", self._options, options, self._KNOWN, _IGNORED_BY_ACTORS, 2)
        return ActorClass(self._class, merged)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = self._class.__name__
        raise TypeError(f"an actor is made with `{name}.remote(...)`, which answers a handle to it")

    def __repr__(self) -> str:
        return f"ActorClass({self._class.__name__})"


@overload
def remote(target: type, /) -> ActorClass: ...
@overload
def remote(target: FunctionType, /) -> RemoteFunction: ...
@overload
def remote(target: Callable[..., Any], /) -> Any: ...
@overload
def remote(**options: Any) -> Callable[[Any], Any]: ...


def remote(*targets: Any, **options: Any) -> Any:
    """Make a function remote, or the objects of a class actors. Use it as a decorator.

    Parameters
    ----------
    *targets
        A function, or a class.
    **options
        Of a function: ``num_returns``, how many results a call has; ``max_retries``, how often it may be
        tried again, -1 for as often as it takes; ``retry_exceptions``, after which exceptions: none
        (``False``, by default), all (``True``) or a list of classes; ``name``, for messages. Of a class:
        ``name``, by which :func:`get_actor` finds the actor; ``get_if_exists``, to be answered the actor
        that has the name already. What else Ray takes has no effect, and there is a warning that says so.

    Examples
    --------
    >>> import mobula
    >>> @mobula.remote
    ... def square(x):
    ...     return x * x
    >>> mobula.get([square.remote(x) for x in range(4)])
    [0, 1, 4, 9]
    """
    if targets:
        if len(targets) > 1 or options or not callable(targets[0]):
            raise TypeError("use it as `@remote`, or with options by name as `@remote(name=...)`")
        return _made_remote(targets[0], {}, 2)

    def decorator(target: Any) -> Any:
        return _made_remote(target, options, 2)

    return decorator


def _made_remote(
    target: Any, options: dict[str, Any], stacklevel: int
) -> RemoteFunction | ActorClass:
    if isinstance(target, type):
        known, ignored = ActorClass._KNOWN, _IGNORED_BY_ACTORS
        merged = _merged("actors", {}, options, known, ignored, stacklevel + 1)
        return ActorClass(target, merged)
    if not callable(target):
        raise TypeError(f"a function or a class can be remote, not {target!r}")
    if _is_asynchronous(target) or _is_asynchronous(type(target).__call__):
        raise TypeError(
            f"{target!r} is `async def`: nobody would await it. A method of an actor can be that."
        )
    known, ignored = RemoteFunction._KNOWN, _IGNORED_BY_FUNCTIONS
    merged = _merged("remote functions", {}, options, known, ignored, stacklevel + 1)
    return RemoteFunction(target, merged)


def _is_asynchronous(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
