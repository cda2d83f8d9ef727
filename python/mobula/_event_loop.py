"""The event loop of an actor whose class has ``async def`` methods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from mobula import _core

__all__ = ["Methods"]


class Methods:
    """The coroutines of one actor, in an event loop on its thread.

    Calls begin in their order; a coroutine that awaits something lets the others go on.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Future[None] | None = None

    def run(self) -> None:
        """Live until nobody calls the actor any more, or until it is killed."""
        asyncio.run(self._live())

    def begin(self, answer: Any, settle: Callable[[asyncio.Task[Any]], None]) -> bool:
        """Begin to run a coroutine, and call `settle` at its end; false if it is something else."""
        if not isinstance(answer, Coroutine):
            return False
        task = asyncio.get_running_loop().create_task(answer)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(settle)
        return True

    def ring(self) -> None:
        """Have the loop look at its actor's calls; from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        if _core.look_at_calls() and self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._look()
        await self._ended
        if _core.is_killed():
            for task in self._tasks:
                task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))
