"""Mobula as Dask's default scheduler, for a while or for good."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import dask.config

__all__ = ["disable", "disable_dask_on_ray", "enable", "enable_dask_on_ray"]


class _Enabled:
    """Settings of Dask that hold from now on, and until the end of the block if there is one."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self.redo()

    def redo(self) -> None:
        self._set: Any = dask.config.set(**self._settings)
        _enabled.append(self)

    def undo(self) -> None:
        if self in _enabled:
            _enabled.remove(self)
            self._set.__exit__(None, None, None)

    def __enter__(self) -> _Enabled:
        return self

    def __exit__(self, *_: object) -> None:
        with _lock:
            self.undo()


class _Disabled:
    """What was enabled before, and is enabled again at the end of the block if there is one."""

    def __init__(self) -> None:
        self._enabled = _enabled[-1] if _enabled else None
        if self._enabled is not None:
            self._enabled.undo()
        else:
            self._set: Any = dask.config.set(scheduler=None)

    def __enter__(self) -> _Disabled:
        return self

    def __exit__(self, *_: object) -> None:
        with _lock:
            if self._enabled is not None:
                self._enabled.redo()
            else:
                self._set.__exit__(None, None, None)


#: What `disable` takes back, the last one first.
_enabled: list[_Enabled] = []
_lock = threading.Lock()


def enable(*, num_workers: int | None = None, shuffle: str | None = None) -> _Enabled:
    """Make Mobula the scheduler that Dask uses where none is named.

    That holds until `disable` is called or, if this is used as a context manager, until the end of
    the block. Then Dask is as it was before.

    Parameters
    ----------
    num_workers
        How many workers run the tasks; by default one for each core.
    shuffle
        How dataframes are shuffled: ``"tasks"`` or ``"disk"``; by default as Dask does it.

    Examples
    --------
    >>> import dask, mobula.dask
    >>> with mobula.dask.enable():
    ...     dask.delayed(sum)([1, 2]).compute()
    3
    """
    settings: dict[str, Any] = {"scheduler": "mobula"}
    if num_workers is not None:
        settings["num_workers"] = num_workers
    if shuffle is not None:
        settings["dataframe__shuffle__method"] = shuffle
    with _lock:
        return _Enabled(settings)


def disable() -> _Disabled:
    """Take the last `enable` back; without one, let Dask choose its scheduler itself.

    As a context manager, for the block only.
    """
    with _lock:
        return _Disabled()


def enable_dask_on_ray(
    shuffle: str | None = "tasks", use_shuffle_optimization: bool = True
) -> _Enabled:
    """As `enable`, under the name and with the defaults that it has in ``ray.util.dask``.

    ``use_shuffle_optimization`` means nothing here: a shuffle needs no help to be fast.
    """
    del use_shuffle_optimization
    return enable(shuffle=shuffle)


disable_dask_on_ray = disable
