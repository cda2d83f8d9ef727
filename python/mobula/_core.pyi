"""What the extension module holds. Everything here is used through the Python modules."""

import concurrent.futures
from collections.abc import Callable, Generator, Mapping, Sequence
from os import PathLike
from types import GenericAlias
from typing import Any, Generic, TypeVar, final, overload

__all__ = [
    "ActorHandle",
    "ActorMethod",
    "Hooks",
    "ObjectRef",
    "Persisted",
    "Progress",
    "Recorder",
    "Recording",
    "Request",
    "Result",
    "Vocabulary",
    "WorkingCall",
    "after_fork",
    "ask",
    "become_child",
    "before_fork",
    "command",
    "compute",
    "count_lent",
    "current_caller",
    "dashboard_url",
    "draw",
    "end_actors",
    "end_aside",
    "explain",
    "find_handle",
    "gather",
    "get",
    "get_actor",
    "get_now",
    "init",
    "is_child",
    "is_here",
    "is_in_task",
    "is_initialized",
    "is_killed",
    "kill",
    "look_at_calls",
    "persist",
    "put",
    "read_journal",
    "ref_here",
    "revive_actor_handle",
    "revive_actor_method",
    "revive_object_ref",
    "revive_persisted",
    "serve",
    "set_sizeof",
    "shutdown",
    "snapshots",
    "start_actor",
    "submit",
    "take_returned",
    "take_unheld",
    "wait",
]

_T = TypeVar("_T")

#: What stands for a handle in a pickle: the process, by number and by chance, and the handle's number.
_Token = tuple[int, int, int]

# actor_handle.rs

@final
class ActorHandle:
    """A handle to an actor. Its attributes are the methods of the actor's class.

    It can be handed to tasks, callbacks and other actors, and pickled in this process as long as somebody
    holds it. The actor ends when nobody does, unless it has a name.
    """

    def __getattribute__(self, name: str, /) -> ActorMethod: ...
    def __copy__(self) -> ActorHandle: ...
    def __deepcopy__(self, memo: Any) -> ActorHandle: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class ActorMethod:
    """A method of an actor."""

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Have the method called, behind the caller's earlier calls of the actor.

        Answers a ref to its result, a list of refs, or None. Among the arguments, refs stand for their
        values: the call waits for them.
        """

    def options(self, *, num_returns: int | None = None) -> ActorMethod:
        """The same method, with another number of results."""

    def __call__(self, *_args: Any, **_kwargs: Any) -> None: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

def start_actor(
    class_: type,
    arguments: tuple[Any, ...],
    named: dict[str, Any] | None,
    /,
    *,
    class_name: str,
    name: str | None,
    get_if_exists: bool,
    is_asynchronous: bool,
) -> ActorHandle:
    """Start an actor of a class."""

def get_actor(name: str) -> ActorHandle:
    """A handle to the actor with a name; a ``ValueError`` if there is none.

    Examples
    --------
    >>> import mobula
    >>> mobula.get_actor("nobody")
    Traceback (most recent call last):
        ...
    ValueError: there is no actor with the name "nobody": none was made, or it has ended
    """

def kill(actor: ActorHandle) -> None:
    """End an actor now."""

def revive_actor_handle(
    token: _Token, class_: str, methods: list[str], identity: int, /
) -> ActorHandle:
    """The handle that was pickled in this process; in a child of that, one that stands for it."""

def revive_actor_method(handle: ActorHandle, name: str, returns: int) -> ActorMethod:
    """The method that was pickled."""

# actor_thread.rs

def is_killed() -> bool:
    """True if the actor of this thread was killed. For its event loop."""

def look_at_calls() -> bool:
    """Let the actor of this thread carry out the calls that came; true if it has ended.

    For its event loop.
    """

# actors.rs

def end_actors() -> None:
    """End all actors, and wait for the methods that are running. A signal ends the waiting."""

# aside.rs

def end_aside() -> None:
    """End the threads that do things aside, at the end of the process and after the workers."""

# asks.rs

def become_child() -> None:
    """Say that this process makes calls for its parent, from now on."""

def ask(payload: bytes) -> bytes:
    """Ask the parent of this process something, and wait for the answer.

    The main thread makes the calls meanwhile that come.
    """

def is_child() -> bool:
    """True in a process that makes calls for its parent."""

# child/mod.rs, child/asking.rs

def serve() -> str | None:
    """Make the calls that come through standard input, a socket, until the parent wants no more.

    Answers why this process could not begin, if it could not.
    """

@final
class WorkingCall:
    """Says, in a worker process, in which call the main thread is."""

    def __call__(self) -> int | None:
        """The number of the call; None between calls."""

# caller.rs

def current_caller() -> int:
    """The number of who calls actors from this thread just now."""

# clusters.rs

def init(
    workers: int | None = None,
    memory_limit: int | float | str | None = None,
    spill_directory: str | None = None,
    max_spill: int | str | None = None,
    *,
    kind: str | None = None,
    preimport: list[str] | None = None,
    shared_directory: str | None = None,
    readonly: bool = False,
    log_to_driver: bool = True,
    journal: str | None = None,
    dashboard: bool | int | None = None,
    workers_name: str = "num_cpus",
) -> None:
    """Set up the workers and the store; without it, the first use does."""

def explain(key: Any) -> str:
    """Tell what a key's task is doing, and where tasks like it are called."""

def dashboard_url() -> str | None:
    """Where the dashboard is to be seen, if there is one."""

def is_initialized() -> bool:
    """True if there are workers."""

def shutdown() -> None:
    """Cancel what runs, wait for the tasks that are running, and end all workers.

    A signal ends the waiting, and the workers end when they can.
    """

def before_fork() -> None:
    """Keep for a child what `init` was told."""

def after_fork() -> None:
    """In a child process, begin without workers."""

# hooks/answer.rs

@final
class Result:
    """What a `presubmit` hook answers where the value is ``None``, or an object ref itself.

    Examples
    --------
    >>> from mobula.dask import Callback, Result, get
    >>> with Callback(presubmit=lambda task, key, deps: Result(None)):
    ...     print(get({"x": (sum, [1, 2])}, "x"))
    None
    """

    def __new__(cls, value: Any) -> Result: ...
    @property
    def value(self) -> Any:
        """The value of the task."""

# hooks/calls.rs

@final
class Hooks:
    """The hooks that are called in a run.

    Each callback has its hooks as attributes, and a `name`. The watch hears of all tasks on the thread
    that called `compute`: `begin(order)`, `before(key)` and `after(key, result, thread)`. With `waits`,
    no task starts before `before` was called.
    """

    def __new__(
        cls, callbacks: Sequence[Any], *, watch: Any = None, waits: bool = False
    ) -> Hooks: ...

# interpreter.rs

def is_in_task() -> bool:
    """True on a thread that works for a run: in a task, or in a hook of one."""

# lent.rs

def count_lent(numbers: Sequence[int]) -> None:
    """Count handles that the parent of this process has lent, each as often as it is named."""

def take_returned() -> list[tuple[int, int]]:
    """By number: how often handles of the parent's are given back. Each is answered once."""

def take_unheld() -> list[_Token]:
    """The handles that the parent of this process is to be asked to hold. Each is answered once."""

# object_ref.rs

@final
class ObjectRef(Generic[_T]):
    """A handle to a value that is there or will be: in the store, of a run, or of an actor's call.

    The value stays as long as there is a handle. It can be awaited in any event loop, and pickled in this
    process as long as somebody holds it. Refs are equal if they are to the same value.

    Examples
    --------
    >>> import asyncio, mobula
    >>> ref = mobula.put("manta")
    >>> async def fetch():
    ...     return await ref
    >>> asyncio.run(fetch())
    'manta'
    """

    @property
    def key(self) -> str:
        """The key of the task that makes the value, or the name of the call, as text."""

    def future(self) -> concurrent.futures.Future[_T]:
        """A future of the value, which cannot be cancelled."""

    def __await__(self) -> Generator[Any, None, _T]: ...
    def __copy__(self) -> ObjectRef[_T]: ...
    def __deepcopy__(self, memo: Any) -> ObjectRef[_T]: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __class_getitem__(cls, value: Any) -> GenericAlias: ...

def revive_object_ref(token: _Token, name: str, identity: int) -> ObjectRef[Any]:
    """The ref that was pickled in this process; in a child of that, one that stands for it."""

def ref_here(name: str, object: _T) -> ObjectRef[_T]:
    """A ref to a value that is in this process, also in a child: what hooks are given there."""

def is_here(object_ref: ObjectRef[Any]) -> bool:
    """True if what a ref refers to is in this process, and not in its parent."""

# persist.rs

@final
class Persisted:
    """A value in the store, or one that is still being made."""

    def fetch(self) -> Any:
        """The value; waits for it."""

    def is_spilled(self) -> bool:
        """True if the value is on disk just now."""

    def __dask_tokenize__(self) -> tuple[str, int, int]: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

def revive_persisted(token: _Token, number: int, key: str) -> Persisted:
    """The handle that was pickled in this process; in a child of that, one that stands for it."""

def persist(
    vocabulary: Vocabulary,
    graph: dict[Any, Any],
    wanted: Any,
    *,
    workers: int | None = None,
    kind: str | None = None,
    cache: Mapping[Any, Any] | None = None,
    pool: Callable[..., Any] | None = None,
    retries: dict[Any, int] | None = None,
    time_limits: dict[Any, float] | None = None,
    time_limit: float | None = None,
) -> list[Persisted]:
    """Start to run what `wanted`, a flat list of keys, needs of a graph; a handle for each."""

# remote.rs

def submit(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    named: dict[str, Any] | None,
    *,
    name: str,
    num_returns: int,
    max_retries: int,
    retried: tuple[type[BaseException], ...] | None,
) -> list[ObjectRef[Any]]:
    """Have a function called by a worker as soon as its arguments are there."""

# request.rs

@final
class Request:
    """Something that a child process has asked for, and that is done for it on a thread of this one.

    It is made from the numbers of the child and of the caller in it, who calls actors in order.
    """

    def __new__(cls, child: int, caller: int) -> Request: ...
    def call(self, function: Callable[..., _T], *arguments: Any, **keywords: Any) -> _T:
        """Call a function for the caller."""

    def abandon(self) -> None:
        """End the waiting inside of the call, for refs and runs: nobody hears its answer."""

    @property
    def is_abandoned(self) -> bool:
        """True if nobody hears the answer."""

# run.rs

def compute(
    vocabulary: Vocabulary,
    graph: dict[Any, Any],
    wanted: Any,
    *,
    workers: int | None = None,
    kind: str | None = None,
    inline: bool = False,
    cache: Mapping[Any, Any] | None = None,
    pool: Callable[..., Any] | None = None,
    retries: dict[Any, int] | None = None,
    time_limits: dict[Any, float] | None = None,
    time_limit: float | None = None,
    keeps_calls: bool = False,
    raise_exception: Callable[..., Any] | None = None,
    hooks: Hooks | None = None,
) -> Any:
    """Run what `wanted` needs of a graph, and answer its values in the same shape."""

# size.rs

def set_sizeof(function: Callable[[Any], int]) -> None:
    """Set the function that is asked for the size of an object in bytes."""

# tokens.rs

def find_handle(token: _Token) -> Any:
    """The handle of this process that was pickled, if it is still there, else None."""

def gather(function: Callable[..., _T], *arguments: Any) -> tuple[_T, list[tuple[int, Any]]]:
    """Call a function that pickles for the parent or a child of this process.

    With what it returns come the handles that went into the pickle, each with its number. Somebody must hold
    them until they have arrived.
    """

# vocabulary.rs

@final
class Vocabulary:
    """The classes that graphs are made of."""

    def __new__(
        cls,
        *,
        task: type,
        reference: type,
        alias: type,
        data: type,
        node: type,
        list: type | None,
        tuple: type | None,
        set: type | None,
        dict: type | None,
        convert: Callable[..., Any],
        fetch: Callable[..., Any],
        missing: Callable[..., Exception],
    ) -> Vocabulary: ...

# waiting.rs

@overload
def get(refs: ObjectRef[_T], timeout: float | None = None) -> _T: ...
@overload
def get(
    refs: list[ObjectRef[_T]] | tuple[ObjectRef[_T], ...], timeout: float | None = None
) -> list[_T]:
    """The value of a ref, or a list of the values of several; waits for them.

    The exception of a task or a method is raised with the traceback that it had there, each time a copy
    of it. In a task or a hook the worker goes on with other work meanwhile.

    Parameters
    ----------
    refs
        A ref, or a list of refs.
    timeout
        For how many seconds to wait at most; a ``GetTimeoutError`` after that. In a task it may take
        longer, until the worker is done with what it does meanwhile.

    Raises
    ------
    WouldDeadlockError
        In a method of an actor, if the value waits for the actor itself.

    Examples
    --------
    >>> import mobula
    >>> mobula.get([mobula.put(1), mobula.put(2)], timeout=1)
    [1, 2]
    """

def get_now(refs: list[ObjectRef[Any]]) -> list[Any] | None:
    """The values of refs of this process if all of them are in memory, else None; it waits for nobody."""

def put(object: _T) -> ObjectRef[_T]:
    """Put an object into the store.

    Examples
    --------
    >>> import mobula
    >>> mobula.get(mobula.put([1, 2]))
    [1, 2]
    """

def wait(
    refs: list[ObjectRef[Any]], num_returns: int | None = None, timeout: float | None = None
) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
    """Split refs in those whose value was made and the others."""

# command.rs

def command(arguments: list[str]) -> int:
    """Run the command ``mobula`` with these arguments, and answer its exit code."""

# drawing.rs

def draw(
    vocabulary: Vocabulary, graph: dict[Any, Any], wanted: Any, color: str, grouped_above: int
) -> str:
    """Draw what is wanted of a graph, as SVG."""

# recording.rs

@final
class Recording:
    """What was recorded of the clusters of this process, or read from a journal."""

    def report(self, path: str | PathLike[str]) -> None:
        """Write the report, one HTML file that opens offline."""

    def trace(self, path: str | PathLike[str]) -> None:
        """Write a trace for Perfetto and ``chrome://tracing``."""

    def visualize(
        self,
        run: int | None = None,
        *,
        color: str = "time",
        filename: str | PathLike[str] | None = None,
        grouped_above: int = 2000,
    ) -> Any:
        """Draw the graph of a run, the last one if not said: a `mobula.Picture`.

        A negative number counts from the last run. What colours mean is ``"time"``, ``"memory"``, ``"order"``
        or ``"prefix"``.
        """

    @property
    def runs(self) -> list[dict[str, Any]]:
        """The runs, each a dictionary: number, how it ended, how many tasks ended how, how long it took."""

    @property
    def tasks(self) -> list[tuple[int, str, int, float, float, int, bool]]:
        """What workers did: run, key, worker, begin, end (seconds), bytes of the value, whether it failed."""

def read_journal(path: str | PathLike[str]) -> Recording:
    """Read a journal."""

# watching.rs

@final
class Progress:
    """The progress of all clusters: drawn in the terminal, or kept to be asked for."""

    def __new__(cls, is_drawn: bool) -> Progress: ...
    def html(self, *, now: bool = False) -> str:
        """The runs since then as a piece of HTML."""

    def finish(self) -> None:
        """End it, with a line that stays for each run."""

@final
class Recorder:
    """A recording of all clusters that goes on."""

    def __new__(cls) -> Recorder: ...
    def finish(self) -> Recording:
        """End the recording; the second time there is nothing in it."""

def snapshots() -> list[str]:
    """How things stand in each cluster that is there, as JSON."""
