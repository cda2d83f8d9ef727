"""The beginning and the end of it all, and what has the parameters that it has in Ray."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from mobula import _core
from mobula import _lifecycle as _lifecycle

__all__ = ["IgnoredWarning", "init", "kill", "shutdown", "wait", "warn_of_ignored"]


class IgnoredWarning(UserWarning):
    """A parameter or an option that means something to Ray means nothing here."""


# Each means something on a cluster of many machines, or to a program that is observed by others.
_IGNORED_BY_INIT = frozenset(
    {
        "address",
        "configure_logging",
        "dashboard_host",
        "dashboard_port",
        "enable_resource_isolation",
        "include_dashboard",
        "job_config",
        "labels",
        "local_mode",
        "log_to_driver",
        "logging_config",
        "logging_format",
        "logging_level",
        "namespace",
        "num_gpus",
        "object_store_memory",
        "resources",
        "runtime_env",
    }
)


def warn_of_ignored(names: Iterable[str], where: str, stacklevel: int) -> None:
    """Say which parameters have no effect."""
    listed = ", ".join(sorted(names))
    if listed:
        warnings.warn(
            f"{listed}: without effect in {where}, which uses the threads of this process",
            IgnoredWarning,
            stacklevel=stacklevel + 1,
        )


def init(
    num_cpus: int | str | None = None,
    *,
    memory_limit: int | float | str | None = None,
    spill_directory: str | os.PathLike[str] | None = None,
    max_spill: int | str | None = None,
    ignore_reinit_error: bool = False,
    **ignored: Any,
) -> None:
    """Set up the workers and the store. It is optional: without it, the first use does.

    Parameters
    ----------
    num_cpus
        How many worker threads there are; by default one for each core that this process may use. An
        address, which is Ray's first parameter (``"auto"``), has no effect.
    memory_limit
        What the values in memory may take: bytes, a share of the memory (``0.5``), or text
        (``"2 GiB"``, ``"50%"``, ``"none"``).
    spill_directory
        Where values go that are too much for the memory. It is made if it is not there.
    max_spill
        How many bytes may go there, as a number or as text (``"10 GiB"``).
    ignore_reinit_error
        Do nothing if the workers are there already.
    **ignored
        What else `ray.init` takes: it has no effect here, and there is a warning that says so.

    Raises
    ------
    RuntimeError
        If the workers are there already.
    OSError
        If values cannot go to the directory.

    Examples
    --------
    >>> import mobula
    >>> mobula.shutdown()
    >>> mobula.init(num_cpus=2, memory_limit="1 GiB")
    >>> mobula.is_initialized()
    True
    >>> mobula.init(ignore_reinit_error=True)
    >>> mobula.shutdown()
    """
    unknown = [name for name in ignored if name not in _IGNORED_BY_INIT and name[0] != "_"]
    if unknown:
        raise TypeError(f"init() has no parameter {unknown[0]!r}")
    names = set(ignored)
    if isinstance(num_cpus, str):
        if num_cpus not in ("auto", "local") and ":" not in num_cpus:
            raise TypeError(f"num_cpus must be a whole number, 1 or more, not {num_cpus!r}")
        names.add("address")
        num_cpus = None
    warn_of_ignored(names, "init()", stacklevel=2)
    if ignore_reinit_error and _core.is_initialized():
        return
    directory = None if spill_directory is None else _usable(spill_directory)
    _core.init(num_cpus, memory_limit, directory, max_spill)


def _usable(directory: str | os.PathLike[str]) -> str:
    """The path of a directory that is there and can be written to."""
    try:
        path = os.fsdecode(directory)
    except TypeError:
        raise TypeError(f"spill_directory must be a path, not {directory!r}") from None
    try:
        os.makedirs(path, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        message = f"the spill_directory cannot be used: {error.strerror}"
        raise OSError(error.errno, message, path) from error
    return path


def shutdown() -> None:
    """End all actors and all workers. What is running comes to its end; what was not begun is not done.

    The next use starts everything again.

    Examples
    --------
    >>> import mobula
    >>> mobula.shutdown()
    >>> mobula.is_initialized()
    False
    """
    _core.end_actors()
    _core.shutdown()


def wait(
    object_refs: Sequence[_core.ObjectRef[Any]],
    *,
    num_returns: int = 1,
    timeout: float | None = None,
    fetch_local: bool = True,
) -> tuple[list[_core.ObjectRef[Any]], list[_core.ObjectRef[Any]]]:
    """Wait until some of several values were made.

    Parameters
    ----------
    object_refs
        Refs that are different from each other.
    num_returns
        How many of the values must be there: as many as there are refs at most.
    timeout
        For how many seconds to wait at most; by default for ever.
    fetch_local
        Without effect: all values are in this process.

    Returns
    -------
    The refs whose value was made, or cannot be made, `num_returns` of them at most; and the others. Both
    are in the order in which they were given.

    Examples
    --------
    >>> import mobula
    >>> one, two = mobula.put("one"), mobula.put("two")
    >>> mobula.wait([one, two]) == ([one], [two])
    True
    """
    if not isinstance(object_refs, Sequence):
        raise TypeError(f"wait() takes a list of refs, not {type(object_refs)}")
    return _core.wait(list(object_refs), num_returns, timeout)


def kill(actor: _core.ActorHandle, *, no_restart: bool = True) -> None:
    """End an actor now.

    The method that it is in comes to its end, but nobody hears of it: who waits for the actor, or calls it
    later, gets an `ActorDiedError`.

    Parameters
    ----------
    actor
        The handle of an actor.
    no_restart
        Without effect: an actor that has ended never comes back.

    Examples
    --------
    >>> import mobula
    >>> @mobula.remote
    ... class Echo:
    ...     def say(self, word):
    ...         return word
    >>> echo = Echo.remote()
    >>> mobula.kill(echo)
    >>> mobula.get(echo.say.remote("hello"))
    Traceback (most recent call last):
        ...
    mobula.exceptions.ActorDiedError: the actor Echo was killed
    """
    if not isinstance(actor, _core.ActorHandle):
        raise TypeError(f"kill() takes the handle of an actor, not {type(actor)}")
    _core.kill(actor)
