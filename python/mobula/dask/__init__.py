"""The scheduler for Dask: any graph, from any ``compute()``, runs on Mobula's workers.

>>> import dask
>>> import mobula.dask
>>> dask.delayed(sum)([1, 2]).compute(scheduler="mobula")
3
"""

from __future__ import annotations

from typing import Any

from mobula.dask import _adapter
from mobula.dask._adapter import AnnotationWarning
from mobula.dask._default import disable, disable_dask_on_ray, enable, enable_dask_on_ray
from mobula.dask.callbacks import (
    Callback,
    ProgressBar,
    ProgressBarCallback,
    RayDaskCallback,
    Result,
)
from mobula.dask.core import get, get_sync

ray_dask_get = get
ray_dask_get_sync = get_sync

__all__ = [
    "AnnotationWarning",
    "Callback",
    "ProgressBar",
    "ProgressBarCallback",
    "RayDaskCallback",
    "Result",
    "disable",
    "disable_dask_on_ray",
    "enable",
    "enable_dask_on_ray",
    "get",
    "get_sync",
    "persist",
    "ray_dask_get",
    "ray_dask_get_sync",
]


def persist(*collections: Any, **kwargs: Any) -> tuple[Any, ...]:
    """Have collections computed in the background and kept in the store.

    As `dask.persist` with ``scheduler="mobula"``. While a callback is active, or with a ``cache``, it waits
    for the values: both look at results on the calling thread.

    Examples
    --------
    >>> import dask
    >>> (total,) = persist(dask.delayed(sum)([1, 2]))
    >>> total.compute()
    3
    """
    kwargs.setdefault("scheduler", get)
    return _adapter.persist(*collections, **kwargs)
