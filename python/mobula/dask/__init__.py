"""The scheduler for Dask."""

from mobula.dask.core import get, get_sync

__all__ = ["get", "get_sync"]
