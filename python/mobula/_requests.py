"""What the tasks and hooks in child processes ask, answered in their parent.

A question comes in through `handle`, on a thread that waits for nobody. It is answered on a thread of its
own, as the answer may wait for whatever else goes on, the child's other questions included.

Refs, actors and persisted values never leave the parent. A child gets something that stands for them, and
the parent keeps them for it: each handle in an answer is lent once, and what came with a call and outlives
it is lent when the child asks for it. The child counts with us and gives back all at once; what a child
has when it dies is let go of.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from itertools import count
from typing import Any

from mobula import _core
from mobula._messages import Answer, Question, is_plain, pack, pack_exception, unpack
from mobula._threads import Threads
from mobula.exceptions import MobulaError

__all__ = ["child_ended", "child_started", "end", "handle", "number_of_lent"]


class _Child:
    """What is known of a child process."""

    _serials = count()

    def __init__(self) -> None:
        #: Tells its callers from those of other children.
        self.serial = next(self._serials) & 0x7FFFFFFF
        #: How `mobula.dask` runs a graph of its: the keywords of `get`, unless it says otherwise.
        self.settings: dict[str, Any] = {}
        #: By number: the questions that are being answered.
        self._requests: dict[int, _core.Request] = {}
        #: By number: the handle, and how often it was lent.
        self._lent: dict[int, Any] = {}
        self._times: Counter[int] = Counter()
        self._has_ended = False

    def begin(self, question: Question) -> _core.Request:
        """Note a question that is going to be answered."""
        request = _core.Request(self.serial, question.caller & 0xFFFFFFFF)
        with _lock:
            self._requests[question.number] = request
            if self._has_ended:
                request.abandon()
        return request

    def abandon(self, number: int) -> None:
        """Hear that the answer to a question is not waited for any more."""
        with _lock:
            request = self._requests.get(number)
        if request is not None:
            request.abandon()

    def lend(self, number: int, handles: Iterable[tuple[int, Any]]) -> list[int]:
        """Keep what is in the answer to a question; tells the numbers, each as often as it is in there."""
        numbers = []
        with _lock:
            request = self._requests.pop(number, None)
            # An answer may be there after the child has died, or does not want it any more.
            if request is not None and not request.is_abandoned:
                for lent, handle in handles:
                    self._lent[lent] = handle
                    self._times[lent] += 1
                    numbers.append(lent)
        return numbers

    def take_back(self, returned: Iterable[tuple[int, int]]) -> None:
        """Let go of what the child needs no more."""
        gone = []  # Their destructors may do anything, so they come when nothing is locked.
        with _lock:
            for number, times in returned:
                self._times[number] -= times
                if self._times[number] <= 0:
                    del self._times[number]
                    gone.append(self._lent.pop(number, None))
        del gone

    def end(self) -> None:
        """Let go of everything, and wait for nothing more."""
        with _lock:
            self._has_ended = True
            self._times.clear()
            lent, self._lent = self._lent, {}
            requests = list(self._requests.values())
        for request in requests:
            request.abandon()
        lent.clear()

    def settings_of_run(self) -> dict[str, Any]:
        """How a graph of the child's runs, unless it says otherwise."""
        # A process that waits so often, wait within wait, soon gets no more calls. Threads have no limit.
        return {"must": "threads"} if len(self._requests) >= _DEEP else self.settings

    def __len__(self) -> int:
        """How many handles are lent."""
        return len(self._lent)


#: Fewer than there may be.
_DEEP = 12


_children: dict[Hashable, _Child] = {}
#: Held while children or what they were lent changes. Nothing of a user's runs meanwhile.
_lock = threading.Lock()
_threads = Threads("mobula-requests")


def _child(process: Hashable) -> _Child:
    with _lock:
        child = _children.get(process)
        if child is None:
            child = _children[process] = _Child()
        return child


def child_started(process: Hashable, **settings: Any) -> None:
    """Hear of a new child, by what no other child of this process has, and of the keywords of its runs.

    Without this, a child is known from its first question on.
    """
    _child(process).settings = settings


def child_ended(process: Hashable) -> None:
    """Hear that a child has died: all that it was lent is let go of, and what it has asked for ends."""
    with _lock:
        child = _children.pop(process, None)
    if child is not None:
        child.end()


def number_of_lent() -> int:
    """How many handles are kept for children."""
    with _lock:
        return sum(map(len, _children.values()))


def handle(payload: bytes, answer: Callable[[bytes], None], process: Hashable) -> None:
    """Have a question answered: `answer` is called once, from any thread, and maybe before this returns.

    It neither waits nor raises.
    """
    question = Question.from_bytes(payload)
    child = _child(process)
    child.take_back(question.returned)
    request = child.begin(question)
    if question.is_plain and question.operation in _AT_ONCE:
        return _answer(child, question, request, answer)
    if question.is_plain and question.operation == "get" and _has_answered(child, question, answer):
        return None
    try:
        _threads.do(lambda: _answer(child, question, request, answer))
    except RuntimeError as no_thread:
        answer(_packed(child, question, False, pack_exception(no_thread)))
    return None


def _has_answered(child: _Child, question: Question, answer: Callable[[bytes], None]) -> bool:
    """Answer with values that are there and plain, or with a plain exception, which saves a thread."""
    try:
        (refs, _), _ = unpack(question.arguments)
        values = _core.get_now(refs)
    except BaseException as raised:
        if type(raised).__module__ != "builtins" or not is_plain(raised.args):
            return False
        packed = _packed(child, question, False, pack_exception(raised))
    else:
        if values is None or not is_plain(values):
            return False
        packed = _packed(child, question, True, pack(values))
    answer(packed)
    return True


def _answer(
    child: _Child,
    question: Question,
    request: _core.Request,
    answer: Callable[[bytes], None],
) -> None:
    try:
        operation = _OPERATIONS[question.operation]
        arguments, keywords = unpack(question.arguments)
        if question.operation in _OF_CHILD:
            arguments = (child, *arguments)
        result = request.call(operation, *arguments, **keywords)
        packed = _packed(child, question, True, pack(result))
    except BaseException as raised:
        packed = _packed(child, question, False, pack_exception(raised))
    answer(packed)


def _packed(
    child: _Child, question: Question, is_result: bool, packed: tuple[bytes, list[tuple[int, Any]]]
) -> bytes:
    content, handles = packed
    if len(content) > _LONGEST:
        refusal = MobulaError(
            f"what {question.operation} has answered takes {len(content) >> 20} MiB, and "
            f"{_LONGEST >> 20} MiB can be sent to the task that asked; let it ask for parts, or let the "
            "large value be the input of a task"
        )
        is_result, (content, handles) = False, pack_exception(refusal)
    return Answer(is_result, child.lend(question.number, handles), content).to_bytes()


#: The bytes of an answer's content that can be sent, and a little more.
_LONGEST = (1 << 29) - (1 << 20)


def end() -> None:
    """End the threads, which have nothing to wait for any more; for `shutdown`."""
    _threads.end(timeout=1)


def _hold(tokens: list[Any]) -> list[Any]:
    """Find what came with a call; to answer it is to lend it. What is gone, the child will hear of."""
    return [_core.find_handle(token) for token in tokens]


def _give_back() -> None:
    """Nothing more: what is given back, any question says."""


def _abandon(child: _Child, number: int) -> None:
    child.abandon(number)


def _wait(refs: list[Any], number: int, timeout: float | None) -> list[bool]:
    if number > 0:
        _core.wait(refs, number, timeout)
    there = set(_core.wait(refs, len(refs), 0)[0])
    return [ref in there for ref in refs]


def _call(
    actor: Any, method: str, returns: int, arguments: tuple[Any, ...], named: dict[str, Any] | None
) -> Any:
    called = getattr(actor, method).options(num_returns=returns)
    return called.remote(*arguments, **(named or {}))


def _compute(child: _Child, *order: Any, **settings: Any) -> Any:
    from mobula.dask import _nested

    return _nested.compute_for(child.settings_of_run(), *order, **settings)


def _persist(child: _Child, *order: Any, **settings: Any) -> Any:
    from mobula.dask import _nested

    return _nested.persist_for(child.settings_of_run(), *order, **settings)


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "abandon": _abandon,
    "call": _call,
    "compute": _compute,
    "fetch": _core.Persisted.fetch,
    "get": _core.get,
    "get_actor": _core.get_actor,
    "give_back": _give_back,
    "hold": _hold,
    "is_spilled": _core.Persisted.is_spilled,
    "kill": _core.kill,
    "persist": _persist,
    "put": _core.put,
    "start_actor": _core.start_actor,
    "submit": _core.submit,
    "wait": _wait,
}

#: Those that are told which child asks.
_OF_CHILD = frozenset({"abandon", "compute", "persist"})

#: Those that do not wait: with plain arguments they run no code of a user's. For `hold`, the child's main
#: thread waits and makes no other calls.
_AT_ONCE = frozenset({"abandon", "call", "get_actor", "give_back", "hold"})


def _forget() -> None:
    """After a fork: forget the children and the threads, which are the parent's."""
    global _children, _lock, _threads
    _children, _lock, _threads = {}, threading.Lock(), Threads("mobula-requests")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
