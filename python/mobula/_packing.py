"""How calls, values and exceptions become bytes for another process, and come back.

Data goes the way of the standard library's pickle, arrays with their buffers apart. What that cannot write
(functions and classes made in a session) goes the way of cloudpickle. Functions are pickled once a run and
then named by number, also those inside of data, such as the tasks that Dask has made of several others.
"""

from __future__ import annotations

import io
import pickle
import sys
import types
from collections.abc import Callable
from typing import Any

from mobula.exceptions import NotPicklableError

__all__ = [
    "Definitions",
    "definitions_of",
    "dumps",
    "dumps_exception",
    "loads_exception",
    "weigh",
]

_PROTOCOL = 5

#: Buffers below this go with the pickle: one more piece costs more than copying them.
_SMALL_BUFFER = 4096


def _taker(buffers: list[memoryview]) -> Callable[[pickle.PickleBuffer], bool]:
    """What takes buffers out of a pickle, those that are not too small."""

    def take(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.nbytes < _SMALL_BUFFER:
            return True  # It goes with the pickle.
        buffers.append(view)
        return False

    return take


class _Pickler(pickle.Pickler):
    """Pickles for a process that has the same modules, but not what was made in this one's `__main__`."""

    def __init__(
        self, file: io.BytesIO, definitions: Definitions | None, buffers: list[memoryview]
    ) -> None:
        self._definitions = definitions
        # Not a method: whatever refers to itself stays until it is found by chance, and a pickler holds all
        # that it has pickled.
        super().__init__(file, _PROTOCOL, buffer_callback=_taker(buffers))

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, (types.FunctionType, type)):
            return NotImplemented
        if _is_importable(obj):
            return NotImplemented
        if self._definitions is not None:
            return _defined, (self._definitions.number(obj),)
        return _by_value, (_cloudpickled(obj),)


def _is_importable(obj: Any) -> bool:
    """True if another process finds a function or class under its name."""
    name = getattr(obj, "__module__", None)
    if name is None or name == "__main__":
        return False
    module = sys.modules.get(name)
    if module is None:
        return False
    if name in _by_value_modules():
        return False
    found: Any = module
    for part in obj.__qualname__.split("."):
        found = getattr(found, part, None)
        if found is None:
            return False
    return found is obj


def _by_value_modules() -> frozenset[str]:
    """The modules that a program has told cloudpickle to send along."""
    cloudpickle = sys.modules.get("cloudpickle")
    if cloudpickle is None:
        return frozenset()
    modules: frozenset[str] = frozenset(cloudpickle.list_registry_pickle_by_value())
    return modules


def _cloudpickled(obj: Any) -> bytes:
    import cloudpickle

    pickled: bytes = cloudpickle.dumps(obj, _PROTOCOL)
    return pickled


def _by_value(pickled: bytes) -> Any:
    return pickle.loads(pickled)


#: In a child: what the calls of the run refer to that is being unpickled.
_current: dict[int, Any] = {}


def definitions_of(numbered: dict[int, Any]) -> None:
    """In a child: say which definitions the next values refer to."""
    global _current
    _current = numbered


def _defined(number: int) -> Any:
    return _current[number]


class Definitions:
    """What the calls of one run refer to by number, from 1 on: each function once."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        # What has a number is held, so that its address is its own.
        self._objects: list[Any] = []
        self._pickled: list[bytes] = []

    def number(self, obj: Any) -> int:
        """The number of a function; it is pickled when it gets it."""
        number = self._numbers.get(id(obj))
        if number is None:
            try:
                pickled = self.pickled(obj)
            except Exception as error:
                raise TypeError(
                    f"its function {_named(obj)} cannot be pickled: {_said(error)}"
                ) from error
            self._objects.append(obj)
            self._pickled.append(pickled)
            number = self._numbers[id(obj)] = len(self._objects)
        return number

    def bytes_of(self, number: int) -> bytes:
        """The pickle of what has a number."""
        return self._pickled[number - 1]

    def pickled(self, obj: Any) -> bytes:
        """The pickle of something that is sent once, whatever is in it."""
        if isinstance(
            obj, (types.FunctionType, types.BuiltinFunctionType, type)
        ) and _is_importable(obj):
            return pickle.dumps(obj, _PROTOCOL)
        return _cloudpickled(obj)

    def pickled_hooks(self, hooks: list[tuple[str, Any, Any]]) -> bytes:
        """The pickle of the hooks of a run: of each callback its name, `task_start` and `task_end`."""
        try:
            return self.pickled(hooks)
        except Exception as error:
            raise NotPicklableError(
                f"{self._culprit_of(hooks)} cannot be pickled: {_said(error)}; keep its state in an actor, or"
                ' run with workers="threads"'
            ) from error

    def _culprit_of(self, hooks: list[tuple[str, Any, Any]]) -> str:
        """Which callback it is whose hook cannot be pickled."""
        for callback, start, end in hooks:
            for name, hook in (("task_start", start), ("task_end", end)):
                try:
                    self.pickled(hook)
                except Exception:
                    return f"callback {callback} ({name})"
        return "a callback"

    def dumps(self, literals: list[Any]) -> tuple[bytes, list[memoryview], list[int]]:
        """The pickle of what stands in a call, its large buffers, and the numbers that it refers to."""
        used = _Used(self)
        buffers: list[memoryview] = []
        file = io.BytesIO()
        try:
            _Pickler(file, used, buffers).dump(literals)
            return file.getvalue(), buffers, used.numbers
        except Exception as error:
            # Its traceback would hold this frame, and with it what was to be pickled.
            first = error.with_traceback(None)
        try:
            buffers = []
            pickled = _cloud_dumps(literals, buffers)
        except Exception as error:
            raise TypeError(f"{_culprit(literals)} cannot be pickled: {_said(error)}") from first
        return pickled, buffers, []


class _Used(Definitions):
    """Notes which numbers are asked for."""

    def __init__(self, definitions: Definitions) -> None:
        self._of = definitions
        self.numbers: list[int] = []

    def number(self, obj: Any) -> int:
        number = self._of.number(obj)
        self.numbers.append(number)
        return number


def dumps(value: Any) -> tuple[bytes, list[memoryview]]:
    """The pickle of a value and its large buffers, for a process that has the same modules.

    Examples
    --------
    >>> pickled, buffers = dumps([1, 2])
    >>> pickle.loads(pickled, buffers=buffers)
    [1, 2]
    """
    buffers: list[memoryview] = []
    file = io.BytesIO()
    try:
        _Pickler(file, None, buffers).dump(value)
        return file.getvalue(), buffers
    except Exception as error:
        # Its traceback would hold this frame, and with it what was to be pickled.
        first = error.with_traceback(None)
    try:
        buffers = []
        return _cloud_dumps(value, buffers), buffers
    except Exception as error:
        raise TypeError(
            f"a value of type {_named(type(value))} cannot be pickled: {_said(error)}"
        ) from first


def _cloud_dumps(value: Any, buffers: list[memoryview]) -> bytes:
    import cloudpickle

    pickled: bytes = cloudpickle.dumps(value, _PROTOCOL, buffer_callback=_taker(buffers))
    return pickled


def _named(obj: Any) -> str:
    name = getattr(obj, "__qualname__", None) or getattr(obj, "__name__", None)
    if name is None:
        return f"of type {type(obj).__qualname__}"
    return str(name)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _culprit(literals: list[Any]) -> str:
    """Which argument it is that cannot be pickled."""
    for place, literal in enumerate(literals):
        try:
            _cloud_dumps(literal, [])
        except Exception:
            return f"what it is given (value {place + 1}, of type {type(literal).__qualname__})"
    return "what it is given"


def weigh(value: Any) -> int:
    """What a value takes in memory, in bytes, as far as that can be had without importing anything."""
    if "dask.sizeof" in sys.modules:
        from mobula.dask._sizes import size_of

        return size_of(value)
    size = getattr(value, "nbytes", None)
    return size if isinstance(size, int) else sys.getsizeof(value)


def dumps_exception(exception: BaseException) -> bytes:
    """An exception with its traceback, its causes and its notes.

    Examples
    --------
    >>> try:
    ...     1 / 0
    ... except ZeroDivisionError as error:
    ...     raised = loads_exception(dumps_exception(error))
    >>> raised
    ZeroDivisionError('division by zero')
    """
    from mobula._messages import pack_exception

    return pack_exception(exception)[0]


def loads_exception(pickled: bytes) -> BaseException:
    """The exception of :func:`dumps_exception`."""
    from mobula._messages import unpack_exception

    return unpack_exception(pickled)
