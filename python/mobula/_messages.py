"""How a child process asks its parent something: a question and its answer, as bytes.

Both say first, in plain data, what has to be known before anything of a user's is unpickled. Values travel as
they are pickled, through the socket: a large one is copied several times on its way.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple

from mobula import _core

__all__ = ["Answer", "Question", "is_plain", "pack", "pack_exception", "unpack", "unpack_exception"]


class Question(NamedTuple):
    """What a child process asks."""

    #: Counted by the child.
    number: int
    operation: str
    #: Who calls actors, counted by the child: the calls of one caller stay in order.
    caller: int
    #: By number, how often handles that the parent has lent are given back.
    returned: Sequence[tuple[int, int]]
    #: True if the arguments are plain, see `is_plain`.
    is_plain: bool
    #: The packed arguments of the operation, and its keywords.
    arguments: bytes

    def to_bytes(self) -> bytes:
        """Write the question."""
        return pickle.dumps(tuple(self), _PROTOCOL)

    @classmethod
    def from_bytes(cls, payload: bytes) -> Question:
        """Read a question."""
        return cls(*pickle.loads(payload))


class Answer(NamedTuple):
    """What the parent answers."""

    #: False if `content` is an exception, to be raised.
    is_result: bool
    #: The numbers of the handles in it, which the parent lends.
    lent: Sequence[int]
    #: What is packed.
    content: bytes

    def to_bytes(self) -> bytes:
        """Write the answer."""
        return pickle.dumps(tuple(self), _PROTOCOL)

    @classmethod
    def from_bytes(cls, payload: bytes) -> Answer:
        """Read an answer."""
        return cls(*pickle.loads(payload))


_PROTOCOL = 5

_PLAIN = frozenset(
    {
        type(None),
        bool,
        int,
        float,
        str,
        _core.ActorHandle,
        _core.ObjectRef,
        _core.Persisted,
    }
)

#: Larger ones are not looked through.
_MOST_ITEMS = 100


def is_plain(value: Any, depth: int = 4) -> bool:
    """Tell whether a value is small, and pickled and unpickled without code of a user's."""
    kind = type(value)
    if kind in _PLAIN:
        return kind is not str or len(value) <= 1 << 16
    if kind is bytes:
        return len(value) <= 1 << 16
    if depth > 0 and kind in (tuple, list, dict) and len(value) <= _MOST_ITEMS:
        items = (*value, *value.values()) if kind is dict else value
        return all(is_plain(item, depth - 1) for item in items)
    return False


def _dumps(value: Any) -> bytes:
    if is_plain(value):
        return pickle.dumps(value, _PROTOCOL)
    import cloudpickle

    # By value if need be: functions and classes of the program's main module, which others do not have.
    pickled: bytes = cloudpickle.dumps(value, _PROTOCOL)
    return pickled


def pack(value: Any) -> tuple[bytes, list[tuple[int, Any]]]:
    """Pickle a value for the other process; with the handles in it, each with its number."""
    return _core.gather(_dumps, value)


def unpack(content: bytes) -> Any:
    """Read a value that the other process has packed."""
    return pickle.loads(content)


class _Raised(NamedTuple):
    """An exception as it travels."""

    exception: BaseException
    #: Where it was raised, if that is known and can travel.
    traceback: Any
    cause: _Raised | None
    context: _Raised | None
    suppresses_context: bool

    def unpacked(self) -> BaseException:
        """Answer the exception as it was raised."""
        exception = self.exception
        if self.context is not None:
            exception.__context__ = self.context.unpacked()
        if self.cause is not None:
            exception.__cause__ = self.cause.unpacked()
        exception.__suppress_context__ = self.suppresses_context
        if self.traceback is not None:
            from tblib import Traceback

            return exception.with_traceback(Traceback.from_dict(self.traceback).as_traceback())
        return exception


#: Of causes and contexts no more than this many travel.
_MOST_BEHIND = 16


def _raised(exception: BaseException, depth: int = 0) -> _Raised:
    def behind(other: BaseException | None) -> _Raised | None:
        return None if other is None or depth >= _MOST_BEHIND else _raised(other, depth + 1)

    return _Raised(
        exception,
        _traceback(_of_user(exception.__traceback__)),
        behind(exception.__cause__),
        behind(exception.__context__),
        exception.__suppress_context__,
    )


def _of_user(traceback: TracebackType | None) -> TracebackType | None:
    """Where the user's own part of a traceback begins; all of it, if nothing of it is the user's."""
    first = traceback
    while first is not None and first.tb_frame.f_globals.get("__package__") in _OURS:
        first = first.tb_next
    return first or traceback


_OURS = ("mobula", "mobula.dask")


def _traceback(traceback: TracebackType | None) -> Any:
    if traceback is None:
        return None
    try:
        from tblib import Traceback
    except ImportError:
        return None
    return Traceback(traceback).to_dict()


def pack_exception(exception: BaseException) -> tuple[bytes, list[tuple[int, Any]]]:
    """Pickle an exception with all that it says; one that cannot be pickled, as what it says."""
    try:
        packed, handles = pack(_raised(exception))
        if type(exception).__module__ != "builtins":
            # Many can be written and not be read: what their constructor needs is not known any more.
            unpack(packed)
    except Exception as wrong:
        text = f"{type(exception).__name__}: {exception} (it cannot be sent as it is: {wrong})"
        stand_in = RuntimeError(text).with_traceback(exception.__traceback__)
        return pack(_raised(stand_in))
    return packed, handles


def unpack_exception(content: bytes) -> BaseException:
    """Read an exception that the other process has packed."""
    raised: _Raised = unpack(content)
    return raised.unpacked()
