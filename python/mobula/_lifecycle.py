"""The end of the process, and forks of it: what has threads must hear of both."""

from __future__ import annotations

import atexit
import os

from mobula import _core

__all__: list[str] = []

# Registered first, so it comes last.
atexit.register(_core.end_aside)

# Workers that are inside a task end with it, as those of `concurrent.futures` do: a thread cannot be
# ended from outside. A second interrupt ends the waiting.
atexit.register(_core.shutdown)

# A child has none of its parent's threads: it starts workers of its own when it needs them.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_core.after_fork)
