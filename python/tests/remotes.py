"""What the tests of remote functions and actors have in common."""

from __future__ import annotations

import subprocess
import sys
import threading

import mobula

__all__ = ["Log", "run"]


@mobula.remote
class Log:
    """Notes what it is told, in order."""

    def __init__(self, *notes):
        self.notes = list(notes)

    def note(self, note):
        self.notes.append(note)
        return note

    def read(self):
        return list(self.notes)

    def fail(self, message):
        raise LookupError(message)

    def wait(self, event):
        event.wait()

    def thread(self):
        return threading.get_ident()

    def call(self, function, *args):
        return function(*args)


def run(program):
    """What a program prints, which must end well and without a word of complaint."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout
