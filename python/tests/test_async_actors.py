"""Actors with `async def` methods."""

from __future__ import annotations

import asyncio
import threading

import pytest

import mobula
import mobula as ray
from mobula.exceptions import ActorDiedError, WouldDeadlockError


def test_async_methods_share_the_loop_of_their_actor():
    @mobula.remote
    class Signal:
        def __init__(self):
            self.event = asyncio.Event()
            self.order = []

        async def wait(self, number):
            self.order.append(number)
            await self.event.wait()
            return number

        async def send(self):
            self.event.set()
            return self.order

        async def fail(self):
            await asyncio.sleep(0)
            raise LookupError("here")

        async def thread(self):
            return threading.get_ident()

        async def ask(self, ref):
            return await ref[0]

        async def cancel(self):
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

    signal = Signal.remote()
    waiting = [signal.wait.remote(number) for number in range(100)]
    assert ray.wait(waiting, timeout=0) == ([], waiting)
    assert ray.get(signal.send.remote()) == list(range(100))
    assert ray.get(waiting) == list(range(100))
    with pytest.raises(LookupError, match="here"):
        ray.get(signal.fail.remote())
    assert len(set(ray.get([signal.thread.remote() for _ in range(5)]))) == 1
    # What would be a deadlock for other methods is none for a coroutine.
    assert ray.get(signal.ask.remote([signal.wait.remote("own")])) == "own"
    with pytest.raises(asyncio.CancelledError):
        ray.get(signal.cancel.remote())
    with pytest.raises(WouldDeadlockError):
        ray.get(Blocking.remote().block.remote())
    mobula.kill(ray.get_actor("blocking"))


@mobula.remote
class Blocking:
    async def block(self):
        me = Blocking.options(name="blocking").remote()
        await me.know.remote([me])
        return await me.wait.remote()

    async def know(self, me):
        self.me = me[0]

    async def wait(self):
        return ray.get(self.me.know.remote([None]))


def test_the_end_of_an_async_actor():
    @mobula.remote
    class Waiter:
        async def wait(self, event, notes):
            try:
                await asyncio.to_thread(event.wait)
                return "done"
            except asyncio.CancelledError:
                notes.append("cancelled")
                raise

        async def forever(self, begun, notes):
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                notes.set()

    event, notes = threading.Event(), []
    ref = Waiter.remote().wait.remote(event, notes)
    event.set()
    assert ray.get(ref) == "done"  # It came to its end, though there was no handle any more.
    assert notes == []

    begun, cancelled = threading.Event(), threading.Event()
    waiter = Waiter.remote()
    ref = waiter.forever.remote(begun, cancelled)
    begun.wait()
    mobula.kill(waiter)
    with pytest.raises(ActorDiedError, match="killed"):
        ray.get(ref)
    assert cancelled.wait(30)


def test_an_async_actor_whose_constructor_raises():
    @mobula.remote
    class Broken:
        def __init__(self):
            raise ValueError("no")

        async def use(self):
            pass

    with pytest.raises(ActorDiedError, match="no"):
        ray.get(Broken.remote().use.remote())
