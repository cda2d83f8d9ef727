"""Progress of runs, in terminals and notebooks."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Any

from mobula import _core

__all__ = ["progress"]

#: How far apart a notebook's pictures are, in seconds.
_APART = 0.2


class progress:
    """Show how far all runs of a block are, or all runs from now on.

    In a terminal there is a line for each run that goes on and one for each key prefix, on the standard
    error output: what has ended, what is running, cached and failed, bytes, tasks a second, and the time
    left by what tasks took so far. When a run ends, a line of it stays. Where there is no terminal, nothing
    is written. In a notebook the same is shown below the cell. No run waits for it.

    Use it as a context manager, or keep it and call `close`.

    Examples
    --------
    >>> import dask, mobula, mobula.dask
    >>> with mobula.progress():
    ...     dask.delayed(sum)([1, 2]).compute(scheduler="mobula")
    3
    """

    def __init__(self) -> None:
        self._shown: _Terminal | _Notebook | None = _Notebook() if _in_notebook() else _Terminal()

    def close(self) -> None:
        """Show the end, and nothing after it. The second time it does nothing."""
        shown, self._shown = self._shown, None
        if shown is not None:
            shown.close()

    def __enter__(self) -> progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _in_notebook() -> bool:
    """Tell whether this is a notebook: IPython with a front end that shows HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class _Terminal:
    """Lines in the terminal, if there is one."""

    def __init__(self) -> None:
        if sys.stderr is not None:
            sys.stderr.flush()
        self._progress = _core.Progress(True)

    def close(self) -> None:
        self._progress.finish()


class _Notebook:
    """A piece of HTML that a thread keeps up to date."""

    def __init__(self) -> None:
        from IPython.display import HTML, display

        self._html: Any = HTML
        self._progress = _core.Progress(False)
        self._last = self._progress.html()
        self._handle: Any = display(HTML(self._last), display_id=True)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="mobula-progress", daemon=True)
        self._thread.start()

    def _go_on(self) -> None:
        while not self._is_over.wait(_APART):
            self._show(self._progress.html())

    def _show(self, html: str) -> None:
        if html != self._last:
            self._last = html
            self._handle.update(self._html(html))

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()
        try:
            self._show(self._progress.html(now=True))
        finally:
            self._progress.finish()
