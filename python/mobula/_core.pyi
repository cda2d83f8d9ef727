"""What the extension module holds. Everything here is used through the Python modules."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

__all__ = [
    "Hooks",
    "Persisted",
    "Result",
    "Vocabulary",
    "after_fork",
    "compute",
    "init",
    "is_in_task",
    "is_initialized",
    "persist",
    "set_sizeof",
    "shutdown",
]

# clusters.rs

def init(
    workers: int | None = None,
    memory_limit: int | float | str | None = None,
    spill_directory: str | None = None,
    max_spill: int | None = None,
) -> None:
    """Set up the workers and the store; without it, the first use does."""

def is_initialized() -> bool:
    """True if there are workers."""

def shutdown() -> None:
    """Cancel what runs, wait for the tasks that are running, and end all workers.

    A signal ends the waiting, and the workers end when they can.
    """

def after_fork() -> None:
    """In a child process, forget the workers, which it does not have."""

# hooks/answer.rs

@final
class Result:
    """What a `presubmit` hook answers where ``None`` is a value.

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

def persist(
    vocabulary: Vocabulary,
    graph: dict[Any, Any],
    wanted: Any,
    *,
    workers: int | None = None,
    cache: Mapping[Any, Any] | None = None,
    pool: Callable[..., Any] | None = None,
    retries: dict[Any, int] | None = None,
) -> list[Persisted]:
    """Start to run what `wanted`, a flat list of keys, needs of a graph; a handle for each."""

# run.rs

def compute(
    vocabulary: Vocabulary,
    graph: dict[Any, Any],
    wanted: Any,
    *,
    workers: int | None = None,
    inline: bool = False,
    cache: Mapping[Any, Any] | None = None,
    pool: Callable[..., Any] | None = None,
    retries: dict[Any, int] | None = None,
    keeps_calls: bool = False,
    raise_exception: Callable[..., Any] | None = None,
    hooks: Hooks | None = None,
) -> Any:
    """Run what `wanted` needs of a graph, and answer its values in the same shape."""

# size.rs

def set_sizeof(function: Callable[[Any], int]) -> None:
    """Set the function that is asked for the size of an object in bytes."""

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
