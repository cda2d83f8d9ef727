"""The end of the process, and forks of it: what has threads must hear of both."""

from __future__ import annotations

import atexit
import os

# What imports it first is taken for the main thread, which must not be an actor's.
import threading as threading

from mobula import _core, _requests

__all__: list[str] = []


def _end() -> None:
    # Workers and actors that are inside a call end with it, as those of `concurrent.futures` do: a
    # thread cannot be ended from outside. A second interrupt ends the waiting.
    try:
        _core.end_actors()
        _core.shutdown()
        _requests.end()
    finally:
        _core.end_aside()


atexit.register(_end)

# A child has none of its parent's threads: it starts workers of its own when it needs them.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_core.before_fork, after_in_child=_core.after_fork)
