"""How a child process asks its parent something: a question and its answer, as bytes.

Both say first, in plain data, what has to be known before anything of a user's is unpickled. Values travel as
they are pickled, through the socket: a large one is copied several times on its way.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace, TracebackType
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


#: A frame of a traceback as it travels: file, function, line, and the names of the module and of its file.
_Frame = tuple[str, str, int, dict[str, str]]


class _Link(NamedTuple):
    """One exception of several that stand behind each other, as it travels."""

    exception: BaseException
    #: Where it was raised, from the outermost frame on.
    frames: list[_Frame]
    #: Which ones of the exceptions are its cause and its context.
    cause: int | None
    context: int | None
    suppresses_context: bool


class _Raised(NamedTuple):
    """An exception as it travels, with those behind it.

    Exceptions and frames are in flat lists: what is nested is pickled by recursion, and a task may have
    failed hundreds of calls deep.
    """

    #: The first one was raised.
    links: list[_Link]

    def unpacked(self) -> BaseException:
        """Answer the exception as it was raised."""
        exceptions = [link.exception for link in self.links]
        for exception, link in zip(exceptions, self.links, strict=True):
            if link.context is not None:
                exception.__context__ = exceptions[link.context]
            if link.cause is not None:
                exception.__cause__ = exceptions[link.cause]
            exception.__suppress_context__ = link.suppresses_context
            exception.__traceback__ = _traceback(link.frames)
        return exceptions[0]


#: Of exceptions no more than this many travel, with those behind them.
_MOST_EXCEPTIONS = 17

#: Of a longer traceback this many frames at its beginning travel, and as many at its end.
_MOST_FRAMES = 50


def _raised(exception: BaseException) -> _Raised:
    found = [exception]

    def place(other: BaseException | None) -> int | None:
        if other is None:
            return None
        for at, known in enumerate(found):
            if known is other:
                return at
        if len(found) == _MOST_EXCEPTIONS:
            return None
        found.append(other)
        return len(found) - 1

    # It grows meanwhile.
    links = [
        _Link(
            each,
            _frames(_of_user(each.__traceback__)),
            place(each.__cause__),
            place(each.__context__),
            each.__suppress_context__,
        )
        for each in found
    ]
    return _Raised(links)


def _of_user(traceback: TracebackType | None) -> TracebackType | None:
    """Where the user's own part of a traceback begins; all of it, if nothing of it is the user's."""
    first = traceback
    while first is not None and first.tb_frame.f_globals.get("__package__") in _OURS:
        first = first.tb_next
    return first or traceback


_OURS = ("mobula", "mobula.dask")


def _frames(traceback: TracebackType | None) -> list[_Frame]:
    all_of_them = []
    while traceback is not None:
        all_of_them.append(traceback)
        traceback = traceback.tb_next
    left_out = len(all_of_them) - 2 * _MOST_FRAMES
    if left_out <= 1:  # The line that says so would be one, too.
        return [_frame(each) for each in all_of_them]
    return [
        *(_frame(each) for each in all_of_them[:_MOST_FRAMES]),
        ("<mobula>", f"<{left_out} frames are left out>", 1, {}),
        *(_frame(each) for each in all_of_them[-_MOST_FRAMES:]),
    ]


def _frame(traceback: TracebackType) -> _Frame:
    code, names = traceback.tb_frame.f_code, traceback.tb_frame.f_globals
    told = {name: str(names[name]) for name in _NAMES if name in names}
    return code.co_filename, code.co_name, traceback.tb_lineno, told


#: What a traceback that is printed, or a debugger, asks of a module.
_NAMES: tuple[str, ...] = ("__name__", "__file__")


def _traceback(frames: list[_Frame]) -> TracebackType | None:
    """Make a traceback of its frames, if the package for it is there."""
    chain = None
    for filename, name, line, names in reversed(frames):
        code = SimpleNamespace(co_filename=filename, co_name=name)
        frame = SimpleNamespace(f_code=code, f_globals=names, f_lineno=line)
        chain = SimpleNamespace(tb_frame=frame, tb_lineno=line, tb_next=chain)
    if chain is None:
        return None
    try:
        from tblib import Traceback
    except ImportError:
        return None
    traceback: TracebackType | None = Traceback(chain).as_traceback()
    return traceback


def pack_exception(exception: BaseException) -> tuple[bytes, list[tuple[int, Any]]]:
    """Pickle an exception with all that it says; one that cannot be pickled, as what it says."""
    raised = _raised(exception)
    try:
        return _packed(raised)
    except Exception:
        # Frames are plain data, so it is one of the exceptions, or several.
        links = [link._replace(exception=_sendable(link.exception)) for link in raised.links]
    return _packed(_Raised(links))


def _packed(raised: _Raised) -> tuple[bytes, list[tuple[int, Any]]]:
    packed, handles = _core.gather(_dumps_raised, raised)
    if any(type(link.exception).__module__ != "builtins" for link in raised.links):
        # Many can be written and not be read: what their constructor needs is not known any more.
        unpack(packed)
    return packed, handles


def _dumps_raised(raised: _Raised) -> bytes:
    file = io.BytesIO()
    _pickler()(file, _PROTOCOL).dump(raised)
    return file.getvalue()


@cache
def _pickler() -> Any:
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        """Writes exceptions without what their links tell."""

        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, BaseException):
                reduce = copyreg.dispatch_table.get(type(obj))
                if str(getattr(reduce, "__module__", "")).startswith("tblib"):
                    return _alone(obj, reduce(obj))  # type: ignore[misc]
            return super().reducer_override(obj)

    return Pickler


def _alone(exception: BaseException, reduced: Any) -> Any:
    """How tblib, once somebody has installed it (as Dask does), pickles an exception, but that one alone.

    It would have it followed by its traceback, frame within frame, and by its causes.
    """
    function, arguments, *rest = reduced
    apart = (exception.__traceback__, exception.__cause__, exception.__context__)
    kept = [None if any(it is other for other in apart) else it for it in arguments]
    return function, tuple(kept), *rest


def _sendable(exception: BaseException) -> BaseException:
    """Answer the exception if it can be pickled alone, or one that says what it says."""
    try:
        _packed(_Raised([_Link(exception, [], None, None, True)]))
    except Exception as wrong:
        text = f"{type(exception).__name__}: {exception} (it cannot be sent as it is: {wrong})"
        return RuntimeError(text)
    return exception


def unpack_exception(content: bytes) -> BaseException:
    """Read an exception that the other process has packed."""
    raised: _Raised = unpack(content)
    return raised.unpacked()
