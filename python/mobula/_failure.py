"""Copies of exceptions that are kept, so that each raise has one of its own.

An exception that is raised holds the frames that it passes, with all that is in their variables. One that
is kept must not: among those variables is, as a rule, the very ref that keeps it.
"""

from __future__ import annotations

import builtins
import contextlib
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any

__all__ = ["copied"]

#: Set in the `__flags__` of a class that was not built into the interpreter.
_HEAP_TYPE = 1 << 9

_NOT_SET = object()

# Python 3.10 has none.
_GROUP: Any = getattr(builtins, "BaseExceptionGroup", ())

# To set the cause sets this, too, so it comes last.
_suppress_context: Any = vars(BaseException)["__suppress_context__"]


def copied(exception: BaseException) -> BaseException:
    """A shallow copy, with the same traceback, cause and notes; the exception itself if it has no copy.

    Nothing of the exception's own class is called: what its constructor needs is not known any more.
    """
    try:
        copy = _new(exception)
        for owner in type(exception).__mro__:
            for field in vars(owner).values():
                if isinstance(field, (GetSetDescriptorType, MemberDescriptorType)):
                    _copy_field(field, exception, copy)
        _suppress_context.__set__(copy, exception.__suppress_context__)
    except Exception:
        return exception
    return copy


def _new(exception: BaseException) -> BaseException:
    """An empty object of the same class."""
    kind = type(exception)
    builtin: Any = kind
    while builtin.__flags__ & _HEAP_TYPE:
        builtin = builtin.__base__
    arguments: tuple[Any, ...] = ()
    if isinstance(exception, _GROUP):
        arguments = (exception.message, exception.exceptions)
    new: BaseException = builtin.__new__(kind, *arguments)
    return new


def _copy_field(field: Any, exception: BaseException, copy: BaseException) -> None:
    value = _value(field, exception)
    if field.__name__ == "__dict__":
        value = dict(value)
        if isinstance(value.get("__notes__"), list):
            value["__notes__"] = list(value["__notes__"])
    # What was never set may be read as None, and would be shown if it were set to that.
    if value is not _NOT_SET and value is not _value(field, copy):
        # Some say what cannot change.
        with contextlib.suppress(AttributeError, TypeError):
            field.__set__(copy, value)


def _value(field: Any, exception: BaseException) -> Any:
    try:
        return field.__get__(exception)
    except AttributeError:
        return _NOT_SET
