"""The command ``mobula``."""

from __future__ import annotations

import signal
import sys

from mobula import _core

__all__ = ["main"]


def main() -> int:
    """Run the command with the arguments of this program, and answer its exit code."""
    # It waits where Python's own handlers are not called.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _core.command(sys.argv[1:])
