"""Tasks in a pool of the caller's: an executor of `concurrent.futures`, or a pool of `multiprocessing`."""

from __future__ import annotations

import contextvars
import multiprocessing.pool
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import Any

import cloudpickle

__all__ = ["PoolCall", "size_of"]

Call = Callable[..., Any]


def size_of(pool: Any) -> int:
    """How many tasks a pool can run at once."""
    workers = getattr(pool, "_max_workers", None)
    if workers is None:
        processes = getattr(pool, "_pool", None)
        if processes is None:
            raise TypeError(
                f"pool={pool!r} is neither an executor (concurrent.futures) nor a pool (multiprocessing)"
            )
        workers = len(processes)
    return max(int(workers), 1)


def _run_pickled(call: bytes, dumps: Call, loads: Call) -> Any:
    """In the pool: make the call, and pack what it gives."""
    function, arguments, keywords = loads(call)
    return dumps(function(*arguments, **keywords))


class PoolCall:
    """Calls functions in a pool and waits for their results.

    Calls go to other processes as ``dumps`` packs them, and to threads as they are, unless the caller
    of the scheduler wants them packed.
    """

    def __init__(self, pool: Any, dumps: Call | None = None, loads: Call | None = None) -> None:
        self._pool = pool
        is_remote = isinstance(pool, ProcessPoolExecutor) or (
            isinstance(pool, multiprocessing.pool.Pool)
            and not isinstance(pool, multiprocessing.pool.ThreadPool)
        )
        packs = is_remote or dumps is not None or loads is not None
        self._dumps = (dumps or cloudpickle.dumps) if packs else None
        self._loads = loads or cloudpickle.loads
        self._is_remote = is_remote

    def __call__(self, function: Call, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Make one call in the pool."""
        if self._dumps is not None:
            call = self._dumps((function, arguments, keywords))
            packed = self._wait(_run_pickled, (call, self._dumps, self._loads), {})
            return self._loads(packed)
        context = contextvars.copy_context()
        return self._wait(context.run, (function, *arguments), keywords)

    def _wait(self, function: Call, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if isinstance(self._pool, Executor) or hasattr(self._pool, "submit"):
            return self._pool.submit(function, *arguments, **keywords).result()
        return self._pool.apply_async(function, arguments, keywords).get()
