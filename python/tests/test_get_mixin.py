"""Dask's own list of what every ``get`` function must do, for both of Mobula's."""

from dask.utils_test import GetFunctionTestMixin

import mobula.dask


class TestGet(GetFunctionTestMixin):
    """On the workers."""

    get = staticmethod(mobula.dask.get)


class TestGetSync(GetFunctionTestMixin):
    """Inline, in the calling thread."""

    get = staticmethod(mobula.dask.get_sync)
