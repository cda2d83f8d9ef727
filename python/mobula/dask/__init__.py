"""The scheduler for Dask, its callbacks, and the names that programs for Dask on Ray know."""

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
    "ray_dask_get",
    "ray_dask_get_sync",
]
