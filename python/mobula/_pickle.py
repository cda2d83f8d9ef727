"""How values become bytes: the standard library's pickle, and cloudpickle for what it cannot write."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

__all__ = ["dumps"]


def dumps(
    value: Any, *, protocol: int, buffer_callback: Callable[[pickle.PickleBuffer], Any]
) -> bytes:
    """Pickle a value; its large buffers go to ``buffer_callback``, in order."""
    buffers: list[pickle.PickleBuffer] = []
    try:
        pickled = pickle.dumps(value, protocol, buffer_callback=buffers.append)
    except Exception:
        import cloudpickle

        buffers.clear()
        pickled = cloudpickle.dumps(value, protocol, buffer_callback=buffers.append)
    for buffer in buffers:
        buffer_callback(buffer)
    return pickled
