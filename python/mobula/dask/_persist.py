"""Persisted collections: graphs of small tasks that fetch values out of the store.

A task that fetches is an ordinary task, so a persisted collection works under every scheduler. Mobula's
own knows such a task and takes the value where it lies.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Value", "fetch"]


class Value:
    """A value that was in the store of another process, or of an earlier one."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def fetch(self) -> Any:
        """The value."""
        return self._value


def fetch(handle: Any) -> Any:
    """The value of a handle; waits for it if it is still being made."""
    return handle.fetch()
