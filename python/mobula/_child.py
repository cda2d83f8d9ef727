"""A worker process: ``python -m mobula._child``, with the socket to its parent as standard input."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.abc
import importlib.util
import os
import pickle
import signal
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, TextIO

from mobula import _core
from mobula._processes import PARENT

__all__ = ["begin", "flush", "main", "refs_to", "unflushed"]


#: What was written to since it was flushed. Whoever makes the calls looks here after each, so it is a set, of
#: which that takes no time.
unflushed: set[_Marked] = set()


def flush() -> None:
    """Pass on what was written, so that it is there before the end of its call, or its question."""
    while unflushed:
        # A task may have closed it, or what reads it may have gone.
        with contextlib.suppress(OSError, ValueError, KeyError):
            unflushed.pop().flush()


class _Marked:
    """A text stream that says, in the stream, which call writes.

    The mark stands before the text: U+001E, the number of the call, U+001F. Lines are passed on when they
    end, with a carriage return, too, and with ``print(..., end="")``, which writes the empty end by itself.
    """

    def __init__(
        self, stream: TextIO, current: Callable[[], int | None], is_unbuffered: bool
    ) -> None:
        self._stream = stream
        self._current = current
        self._is_unbuffered = is_unbuffered
        self._marked: int | None = None
        # True if there may be text that the stream of bytes has not got yet.
        self._holds_text = False

    def flush(self) -> None:
        """Pass on what was written."""
        self._holds_text = False
        self._stream.flush()

    def mark(self) -> None:
        """Name the call, if another one has written last."""
        call = self._current()
        if call is not None and call != self._marked:
            self._marked = call
            self._holds_text = True
            self._stream.write(f"\x1e{call}\x1f")

    def write(self, text: str) -> int:
        """Write, behind the mark of the call if another one has written last."""
        if text:
            self.mark()
        count = self._stream.write(text)
        if self._is_unbuffered or not text or "\n" in text or "\r" in text:
            self.flush()
        else:
            self._holds_text = True
            unflushed.add(self)
        return count

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def write_bytes(self, content: Any) -> int:
        """Write to the stream of bytes below, behind the same mark."""
        self.mark()
        if self._holds_text:
            self.flush()
        count: int = self._stream.buffer.write(content)
        unflushed.add(self)
        return count

    @property
    def buffer(self) -> _MarkedBytes:
        """The stream of bytes below."""
        return _MarkedBytes(self, self._stream.buffer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _MarkedBytes:
    """The stream of bytes below a marked text stream."""

    def __init__(self, text: _Marked, stream: BinaryIO) -> None:
        self._text = text
        self._stream = stream

    def write(self, content: Any) -> int:
        """Write, behind the mark of the call if another one has written last."""
        return self._text.write_bytes(content)

    def writelines(self, lines: Iterable[Any]) -> None:
        """Write several pieces."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def begin(greeting: bytes, current: Callable[[], int | None]) -> bool:
    """Prepare for calls as the parent has said; answers whether inputs can only be read."""
    # From here on the end of the parent is noticed. Had it died before, this would have another one.
    if os.environ.pop(PARENT, None) not in (None, str(os.getppid())):
        os._exit(0)
    # The socket came as standard input, and was copied: a task, or what it starts, must not read from it.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    told = pickle.loads(greeting)
    sys.path[:] = told["path"]
    sys.argv[:] = told["argv"] or [""]
    if told["directory"] is not None:
        os.chdir(told["directory"])
    # Who goes back to the first ones goes back to these.
    streams: dict[str, Any] = {
        "stdout": _Marked(sys.stdout, current, is_unbuffered=False),
        "stderr": _Marked(sys.stderr, current, is_unbuffered=True),
    }
    for name, stream in streams.items():
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    for module in told["preimport"]:
        try:
            __import__(module)
        except BaseException as error:
            raise ImportError(
                f"preimport={module!r}: it cannot be imported: {type(error).__name__}: {error}"
            ) from error
    readonly: bool = told["readonly"]
    return readonly


#: The settings of Dask that are to hold, and those that do.
_wanted: bytes | None = None
_holding: bytes | None = None


def settings_hold(packed: bytes) -> None:
    """Let settings of Dask hold, as soon as Dask is there: importing it takes longer than many a task."""
    global _wanted
    _wanted = packed
    if "dask" in sys.modules:
        adopt_settings()
    elif not any(isinstance(finder, _Watch) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watch())


def adopt_settings() -> None:
    """Let the settings hold that are wanted."""
    global _holding
    if _wanted is None or _wanted == _holding:
        return
    from mobula.dask import _settings

    # What cannot be read now cannot be read later either.
    _holding = _wanted
    try:
        _settings.adopt(_wanted)
    except Exception as error:
        warnings.warn(
            f"Dask's settings do not hold in a worker process: {type(error).__name__}: {error}",
            RuntimeWarning,
            stacklevel=2,
        )


class _Watch(importlib.abc.MetaPathFinder):
    """Notices that Dask is imported."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """Have the settings adopted behind the import of Dask."""
        if name != "dask":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    """Loads as another one does, and has the settings adopted then."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: Any) -> Any:
        """Make the module."""
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        """Run it, then set what is to hold."""
        self._loader.exec_module(module)
        adopt_settings()


def refs_to(values: list[Any]) -> list[Any]:
    """Refs to values that lie in this process, for hooks."""
    return [_core.ref_here(f"input-{place}", value) for place, value in enumerate(values)]


def main() -> int:
    """Make calls until the parent wants no more."""
    faulthandler.enable()
    # It breaks calls off, also where the parent ignores it, as what a shell starts in the background does.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if os.environ.get(PARENT) not in (None, str(os.getppid())):
        # Nobody may ever say anything, and who was forked from the parent may keep the socket open.
        return 0
    refused = _core.serve()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return 0 if refused is None else 1


if __name__ == "__main__":
    # Others import this module by its name.
    from mobula._child import main as _main

    code = _main()
    sys.stdout.flush()
    os._exit(code)
