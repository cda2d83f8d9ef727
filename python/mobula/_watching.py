"""Looking at what happens: recordings, reports and the dashboard."""

from __future__ import annotations

import errno
import os
import warnings
from types import TracebackType

from mobula import _core

__all__ = ["dashboard_url", "profile", "read_journal"]


class profile:
    """Record what happens in a block, on all workers.

    Parameters
    ----------
    report
        The file for the report: one HTML page that opens offline, with what each worker did, times by key
        prefix, memory, the graph and errors. It is written also if the block ends with an exception.
    trace
        The file for a trace, which Perfetto (https://ui.perfetto.dev) and ``chrome://tracing`` show.

    Attributes
    ----------
    recording
        What was recorded, when the block has ended: ``recording.runs`` and ``recording.tasks`` are lists,
        ``recording.report(path)`` and ``recording.trace(path)`` write files.

    Raises
    ------
    OSError
        When the block begins, if the directory of a file is not there. When it ends, if a file cannot be
        written; if the block has failed itself, that is a warning.

    Examples
    --------
    >>> import dask, mobula, mobula.dask
    >>> with mobula.profile() as profile:
    ...     dask.delayed(sum)([1, 2]).compute(scheduler="mobula")
    3
    >>> [(run["status"], run["done"]) for run in profile.recording.runs]
    [('done', 1)]
    """

    def __init__(
        self,
        report: str | os.PathLike[str] | None = None,
        *,
        trace: str | os.PathLike[str] | None = None,
    ) -> None:
        self._files = {
            "report": None if report is None else os.fsdecode(report),
            "trace": None if trace is None else os.fsdecode(trace),
        }
        self._recorder: _core.Recorder | None = None
        self._recording: _core.Recording | None = None

    @property
    def recording(self) -> _core.Recording:
        """What was recorded, when the block has ended."""
        if self._recording is None:
            raise RuntimeError("the recording is there when the block of this profile has ended")
        return self._recording

    def __enter__(self) -> profile:
        if self._recorder is not None:
            raise RuntimeError("this profile records already; make another one")
        for form, path in self._files.items():
            directory = os.path.dirname(path or "") or "."
            if path is not None and not os.path.isdir(directory):
                message = f"the {form} cannot be written: there is no directory {directory!r}"
                raise FileNotFoundError(errno.ENOENT, message, path)
        self._recorder = _core.Recorder()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            raise RuntimeError("this profile does not record")
        self._recording = recorder.finish()
        failed = None
        for form, path in self._files.items():
            if path is None:
                continue
            try:
                getattr(self._recording, form)(path)
            except OSError as error:
                if kind is None and failed is None:
                    failed = error
                else:
                    # What the block, or the other file, has failed with matters more.
                    warnings.warn(str(error), RuntimeWarning, stacklevel=2)
        if failed is not None:
            raise failed


def read_journal(path: str | os.PathLike[str]) -> _core.Recording:
    """Read what `mobula.init(journal=...)` has written, also if its program has crashed.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no journal, or is damaged elsewhere than at its end.

    Examples
    --------
    >>> import dask, mobula, mobula.dask, tempfile
    >>> mobula.shutdown()
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     mobula.init(journal=f"{directory}/journal.jsonl")
    ...     dask.delayed(sum)([1, 2]).compute(scheduler="mobula")
    ...     mobula.shutdown()
    ...     recording = mobula.read_journal(f"{directory}/journal.jsonl")
    3
    >>> recording.runs[0]["status"]
    'done'
    """
    return _core.read_journal(path)


def dashboard_url() -> str | None:
    """Where the dashboard is to be seen, or None if there is none.

    The token in the URL is what lets the page in: give it to nobody who may not look.

    Examples
    --------
    >>> import mobula
    >>> mobula.shutdown()
    >>> mobula.init(num_cpus=1, dashboard=True)
    >>> mobula.dashboard_url()  # doctest: +ELLIPSIS
    'http://127.0.0.1:.../?token=...'
    >>> mobula.shutdown()
    >>> mobula.dashboard_url()
    """
    return _core.dashboard_url()
