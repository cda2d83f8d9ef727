"""Mobula as Dask's default scheduler, for a while or for good."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import dask.config

from mobula.dask.core import number_of_workers

__all__ = ["disable", "disable_dask_on_ray", "enable", "enable_dask_on_ray"]


class _Layer:
    """Settings of Dask that lie over those that were there before."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        #: What is under the layer: the settings of the layer below it, or the user's.
        self._before: dict[str, Any] = {}

    def lay(self) -> None:
        """Put the layer on top."""
        self._before = {key: dask.config.get(key, _UNSET) for key in self._settings}
        dask.config.set(self._settings)
        _layers.append(self)

    def take(self) -> None:
        """Take the layer out of the pile, wherever it lies, if it does."""
        if self not in _layers:
            return
        place = _layers.index(self)
        del _layers[place]
        for key, before in self._before.items():
            above = next((it for it in _layers[place:] if key in it._settings), None)
            seen = dask.config.get(key, _UNSET) if above is None else above._before[key]
            if seen != self._settings[key]:
                continue  # Somebody has set it since, or set it back.
            if above is not None:
                above._before[key] = before
            elif before is _UNSET:
                dask.config.pop(key, None)
            else:
                dask.config.set({key: before})


class _Enabled(_Layer):
    """Settings that hold from now on, and until the end of the block if there is one."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self.has_ended = False
        self.lay()

    def __enter__(self) -> _Enabled:
        return self

    def __exit__(self, *_: object) -> None:
        with _lock:
            self.has_ended = True
            self.take()


class _Disabled:
    """What was enabled before, and is enabled again at the end of the block if there is one."""

    def __init__(self) -> None:
        self._enabled = [layer for layer in _layers if isinstance(layer, _Enabled)]
        for layer in reversed(self._enabled):
            layer.take()
        self._own: _Layer | None = None
        if not self._enabled and dask.config.get("scheduler", None) is not None:
            self._own = _Layer({"scheduler": None})
            self._own.lay()

    def __enter__(self) -> _Disabled:
        return self

    def __exit__(self, *_: object) -> None:
        with _lock:
            if self._own is not None:
                self._own.take()
            for layer in self._enabled:
                if not layer.has_ended:
                    layer.lay()
            self._enabled = []


#: In place of a value: there is none.
_UNSET: Any = object()
#: What was laid over Dask's settings, the last one on top.
_layers: list[_Layer] = []
#: Held while the layers or the settings change.
_lock = threading.Lock()


def enable(*, num_workers: int | None = None, shuffle: str | None = None) -> _Enabled:
    """Make Mobula the scheduler that Dask uses where none is named.

    That holds until `disable` is called or, if this is used as a context manager, until the end of
    the block. Then Dask is as it was before. Blocks may end in any order, those of other threads for
    instance; what Dask was set to otherwise meanwhile stays.

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
        settings["num_workers"] = number_of_workers(num_workers)
    if shuffle is not None:
        settings["dataframe.shuffle.method"] = shuffle
    with _lock:
        return _Enabled(settings)


def disable() -> _Disabled:
    """Take back what was enabled: Dask is as it was before the first `enable`.

    If nothing was enabled, Dask chooses its scheduler itself. As a context manager, for the block only.
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
