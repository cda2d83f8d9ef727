"""How many bytes a value takes: `dask.sizeof`, and a shorter way for frames.

Every result of a task is weighed. For a frame `dask.sizeof` takes some fifty microseconds, which many a
task of a shuffle does not take itself; adding up the arrays that pandas holds takes three.
"""

from __future__ import annotations

from typing import Any

from dask.sizeof import sizeof

__all__ = ["size_of"]

#: What a frame takes beside its columns and its index.
_FRAME = 1000
#: Of larger dictionaries Dask looks at a sample.
_FEW = 64


def size_of(value: Any) -> int:
    """The size of a value in bytes.

    Examples
    --------
    >>> size_of(bytes(1000))
    1000
    """
    kind = type(value)
    if kind is dict and 0 < len(value) <= _FEW:
        return sum(map(size_of, value.values())) + int(sizeof(list(value)))
    if kind.__name__ in ("DataFrame", "Series") and kind.__module__.partition(".")[0] == "pandas":
        size = _size_of_frame(value)
        if size is not None:
            return size
    return int(sizeof(value))


def _size_of_frame(frame: Any) -> int | None:
    """The size of a frame of pandas; None if that has objects, or another pandas has other insides."""
    try:
        index = frame.index
        if index.dtype == object:
            return None
        size = _FRAME + int(index.nbytes)
        for array in frame._mgr.arrays:
            if array.dtype == object:
                return None
            size += int(array.nbytes)
    except (AttributeError, TypeError):
        return None
    return size
