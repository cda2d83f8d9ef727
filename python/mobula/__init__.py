"""Mobula: task graphs on a system of actors.

Beside the scheduler for Dask (:mod:`mobula.dask`) there are remote functions and actors, with the names that
they have in Ray, so that a program can say ``import mobula as ray``. Everything runs on threads of this
process, but for the tasks of graphs that are sent to worker processes (:func:`init`).

>>> import mobula
>>> @mobula.remote
... class Counter:
...     def __init__(self):
...         self.count = 0
...
...     def add(self, number):
...         self.count += number
...         return self.count
>>> counter = Counter.remote()
>>> mobula.get([counter.add.remote(1), counter.add.remote(2)])
[1, 3]
"""

from __future__ import annotations

from typing import Any

from mobula import exceptions
from mobula._core import ActorHandle, ObjectRef, Recording, get, get_actor, is_initialized, put
from mobula._drawing import Picture, visualize
from mobula._progress import progress
from mobula._remote import ActorClass, RemoteFunction, remote
from mobula._session import IgnoredWarning, explain, init, kill, shutdown, wait
from mobula._watching import dashboard_url, profile, read_journal

__all__ = [
    "ActorClass",
    "ActorHandle",
    "IgnoredWarning",
    "ObjectRef",
    "Picture",
    "Recording",
    "RemoteFunction",
    "dashboard_url",
    "exceptions",
    "explain",
    "get",
    "get_actor",
    "init",
    "is_initialized",
    "kill",
    "profile",
    "progress",
    "put",
    "read_journal",
    "remote",
    "shutdown",
    "visualize",
    "wait",
]


def __getattr__(name: str) -> Any:
    offered = ", ".join(__all__)
    raise AttributeError(f"module 'mobula' has no attribute {name!r}; there are {offered}")
