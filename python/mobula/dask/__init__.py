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
from mobula.dask.core import get, get_sync

__all__ = ["AnnotationWarning", "get", "get_sync", "persist"]


def persist(*collections: Any, **kwargs: Any) -> tuple[Any, ...]:
    """Have collections computed in the background and kept in the store.

    As `dask.persist` with ``scheduler="mobula"``.

    Examples
    --------
    >>> import dask
    >>> (total,) = persist(dask.delayed(sum)([1, 2]))
    >>> total.compute()
    3
    """
    kwargs.setdefault("scheduler", get)
    return _adapter.persist(*collections, **kwargs)
