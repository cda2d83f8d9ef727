"""A task that says in which process it runs. It loads nothing, so that it costs a new process nothing."""

from __future__ import annotations

import os
import time


def who(pause: float) -> int:
    """The process that this task runs in, which it occupies for a while: others get a turn."""
    time.sleep(pause)
    return os.getpid()
