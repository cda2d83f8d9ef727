"""Who wants to hear of runs, in order of registration.

Dask keeps its active callbacks in a set, which has no order, and takes them out of it while a run
goes on, so that runs inside of tasks do not hear of them. Here every registration knows where it
was made: outside of all runs, or by a thread that is inside of one. A run finds the registrations
of its own place alone; so a run inside a task does not find the outer callbacks, and runs of other
threads, which go on at the same time, do.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dask.callbacks

from mobula import _core

if TYPE_CHECKING:
    from mobula.dask.callbacks import Callback

__all__ = ["Registration", "add", "is_anybody_there", "remove", "visible"]

FiveHooks = tuple[Any, ...]


class Registration:
    """A callback that is registered."""

    def __init__(self, callback: Callback) -> None:
        self.callback = callback
        self.owner = _here()
        #: Dask's own callbacks that were there before.
        self.earlier = frozenset(dask.callbacks.Callback.active)


#: In order of registration. ``RayDaskCallback.ray_active`` is the same list.
registrations: list[Registration] = []


class _Inside(threading.local):
    """How many runs of this thread, with callbacks, go on."""

    runs = 0


_inside = _Inside()


def _here() -> int | None:
    """Tell this thread from others if it is inside of a run."""
    if _core.is_in_task() or _inside.runs:
        return threading.get_ident()
    return None


def is_anybody_there() -> bool:
    """Tell whether any callback is active: quickly, as this is asked by every run."""
    return bool(registrations or dask.callbacks.Callback.active)


def add(callback: Callback) -> None:
    """Register a callback behind the others."""
    registrations.append(Registration(callback))


def remove(callback: Callback) -> bool:
    """Take back the last registration of a callback, if there is one."""
    for registration in reversed(registrations):
        if registration.callback is callback:
            _discard(registration)
            return True
    return False


def _discard(registration: Registration) -> None:
    for place, other in enumerate(registrations):
        if other is registration:
            del registrations[place]
            return


@contextmanager
def visible() -> Iterator[list[Registration]]:
    """Find the callbacks of a run that begins here, each once. Runs inside of it do not."""
    here = _here()
    found = [registration for registration in list(registrations) if registration.owner == here]
    if here is not None:
        # Other threads do not look at these, and this one is busy with the run.
        for registration in found:
            _discard(registration)
    _inside.runs += 1
    try:
        yield list({id(it.callback): it for it in reversed(found)}.values())[::-1]
    finally:
        _inside.runs -= 1
        if here is not None:
            registrations[:0] = found
