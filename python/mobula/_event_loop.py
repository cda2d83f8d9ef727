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

    def begin(
        self,
        method: Callable[..., Any],
        arguments: tuple[Any, ...],
        named: dict[str, Any] | None,
        settle: Callable[[asyncio.Task[Any]], None],
    ) -> None:
        """Have a method called behind those before it, and `settle` at its end.

        Methods that are no coroutines come in this line, too: they must not overtake those that are.
        """
        call = self._call(method, arguments, named or {})
        task = asyncio.get_running_loop().create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(settle)

    async def _call(
        self, method: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        answer = method(*arguments, **named)
        return await answer if isinstance(answer, Coroutine) else answer

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
