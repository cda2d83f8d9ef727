"""What a task or a hook in a child process asks of its parent, where all workers, actors and values are.

In a child the functions and classes of `mobula` are those of the parent, the same objects of the same types,
so programs need not know where they run: `get`, `put`, `remote` and so on find that they are in a child and
go on here; an `ObjectRef` and an `ActorHandle` of the parent know that they are, and go on here, too. The
other way would have been classes of their own behind the names of `mobula`: then `isinstance` and pickled
classes would have to be lied to, and what was imported before would be the wrong one.

Who asks on the main thread makes the calls that come meanwhile, so nothing waits for ever for this very
process. Other threads, `await` and futures just wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import count
from typing import Any

from mobula import _child, _core
from mobula._messages import Answer, Question, is_plain, pack, unpack, unpack_exception
from mobula._threads import Threads
from mobula.exceptions import ClusterClosedError

__all__ = [
    "ask",
    "call",
    "call_ended",
    "fetch",
    "future",
    "get",
    "get_actor",
    "give_back",
    "is_spilled",
    "kill",
    "put",
    "start_actor",
    "submit",
    "wait",
]

_numbers = count()
_threads = Threads("mobula-waiting")


def ask(operation: str, *arguments: Any, **keywords: Any) -> Any:
    """Have the parent do something; answers the result, or raises what was raised there."""
    if not _core.is_child():
        raise ClusterClosedError("this is a fork of a worker process, and cannot ask its parent")
    packed, _ = pack((arguments, keywords))
    question = Question(
        number=next(_numbers),
        operation=operation,
        caller=_core.current_caller(),
        returned=_core.take_returned(),
        is_plain=is_plain((arguments, keywords)),
        arguments=packed,
    )
    # What was written before is to be seen before what is asked for.
    _child.flush()
    try:
        payload = _core.ask(question.to_bytes())
    except BaseException:
        # An interrupt, as a rule. What goes on for it in the parent need not.
        _aside(ask, "abandon", question.number)
        raise
    answer = Answer.from_bytes(payload)
    try:
        result = unpack(answer.content) if answer.is_result else None
        raised = None if answer.is_result else unpack_exception(answer.content)
    finally:
        # Now those handles are here that hold what was lent. What came to nothing goes back.
        _core.count_lent(answer.lent)
    if raised is None:
        return result
    try:
        raise raised
    finally:
        del raised  # Its traceback holds this frame.


def _aside(function: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """Call a function on another thread."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()

    def call() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as raised:
            future.set_exception(raised)

    _threads.do(call)
    return future


def call_ended() -> None:
    """Have the parent hold what came with a call and outlives it, before the call is said to have ended.

    Until then the parent holds all that it has put into the call.
    """
    if tokens := _core.take_unheld():
        # No other calls are made meanwhile: they would come in between again and again.
        _aside(ask, "hold", tokens).result()


def give_back() -> None:
    """Tell the parent what is not needed any more, as every question does."""
    ask("give_back")


def get(refs: Sequence[Any], timeout: float | None) -> list[Any]:
    """Wait for the values of refs of the parent."""
    values: list[Any] = ask("get", list(refs), timeout)
    return values


def wait(refs: Sequence[Any], num_returns: int, timeout: float | None) -> list[bool]:
    """Wait for some of several values, of which some may be here; says which ones are there."""
    is_here = [_core.is_here(ref) for ref in refs]
    away = [ref for ref, here in zip(refs, is_here, strict=True) if not here]
    there = iter(ask("wait", away, max(num_returns - sum(is_here), 0), timeout))
    return [here or next(there) for here in is_here]


def future(ref: Any) -> Future[Any]:
    """Make a future of the value of a ref of the parent, for which a thread waits."""
    return _aside(_get_one, ref)


def _get_one(ref: Any) -> Any:
    return ask("get", [ref], None)[0]


def put(value: Any) -> Any:
    """Put a value into the store of the parent."""
    return ask("put", value)


def call(
    actor: Any, method: str, returns: int, arguments: tuple[Any, ...], named: dict[str, Any] | None
) -> Any:
    """Have a method of an actor called; answers what the call in the parent has."""
    return ask("call", actor, method, returns, arguments, named)


def start_actor(
    cls: type, arguments: tuple[Any, ...], named: dict[str, Any] | None, options: dict[str, Any]
) -> Any:
    """Start an actor, in the parent."""
    return ask("start_actor", cls, arguments, named, **options)


def get_actor(name: str) -> Any:
    """Find the actor with a name."""
    return ask("get_actor", name)


def kill(actor: Any) -> None:
    """End an actor."""
    ask("kill", actor)


def submit(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    named: dict[str, Any] | None,
    options: dict[str, Any],
) -> Any:
    """Have a remote function called, by a worker of the parent's."""
    return ask("submit", function, arguments, named, **options)


def fetch(handle: Any) -> Any:
    """Wait for a persisted value."""
    return ask("fetch", handle)


def is_spilled(handle: Any) -> bool:
    """Tell whether a persisted value is on disk."""
    return bool(ask("is_spilled", handle))
