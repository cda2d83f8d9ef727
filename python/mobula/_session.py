"""The beginning and the end of it all, and what has the parameters that it has in Ray."""

from __future__ import annotations

import errno
import importlib.util
import os
import sys
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from mobula import _core, _requests
from mobula import _lifecycle as _lifecycle

__all__ = ["IgnoredWarning", "explain", "init", "kill", "shutdown", "wait", "warn_of_ignored"]


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
    workers: str | None = None,
    num_workers: int | None = None,
    preimport: Sequence[str] = (),
    readonly: bool = False,
    shared_directory: str | os.PathLike[str] | None = None,
    log_to_driver: bool = True,
    memory_limit: int | float | str | None = None,
    spill_directory: str | os.PathLike[str] | None = None,
    max_spill: int | str | None = None,
    dashboard: bool | int = False,
    journal: str | os.PathLike[str] | None = None,
    ignore_reinit_error: bool = False,
    **ignored: Any,
) -> None:
    """Set up the workers and the store. It is optional: without it, the first use does.

    Parameters
    ----------
    num_cpus
        How many workers there are; by default one for each core that this process may use. An address,
        which is Ray's first parameter (``"auto"``), has no effect.
    workers
        Where tasks run unless a call says it: in ``"threads"`` of this process, as by default, or in
        ``"processes"``, one for each worker, each a Python of its own. Those are started now. With
        ``"auto"``, tasks that hold the interpreter's lock for long go to processes, the others do not.
        Processes need Unix.
    num_workers
        Another name for `num_cpus`, as Dask has it.
    preimport
        Modules that each worker process imports when it starts, so that no task has to wait for that.
    readonly
        Whether the arrays that a task in a worker process gets can only be read. By default it may write
        into them; that changes its own copy and nobody else's, and costs a page for each page written to.
        It does not hold for arrays of less than 4 KiB, nor for a value that has stayed in the process that
        made it.
    shared_directory
        Where large values lie that worker processes share, such as ``"/dev/shm"``: as files without names.
        It must be there.
        By default they lie in anonymous memory. Where there is no room, they lie in the directory for
        temporary files.
    log_to_driver
        Whether what tasks print in worker processes is shown by this one, each line with the task's key.
    memory_limit
        What the values in memory may take: bytes, a share of the memory (``0.5``), or text
        (``"2 GiB"``, ``"50%"``, ``"none"``).
    spill_directory
        Where values go that are too much for the memory. It is made if it is not there.
    max_spill
        How many bytes may go there, as a number or as text (``"10 GiB"``).
    dashboard
        Whether to show what happens on a page (:func:`dashboard_url` says where), which only this machine
        can reach. A number is the port to use; by default it is 8787, or the next one that is free. It shows
        the runs of the usual number of workers, not of those with a number of their own.
    journal
        A file into which all that happens is written, as lines of JSON, until :func:`shutdown`;
        ``mobula report`` makes a report of it, also if the program has crashed. It is written anew. Runs with
        a number of workers of their own have journals of their own beside it, with ``-2`` in the name.
    ignore_reinit_error
        Do nothing if the workers are there already.
    **ignored
        What else `ray.init` takes: it has no effect here, and there is a warning that says so.

    Raises
    ------
    RuntimeError
        If the workers are there already.
    OSError
        If values cannot go to a directory, the journal cannot be written, or no port is free.

    Examples
    --------
    >>> import mobula
    >>> mobula.shutdown()
    >>> mobula.init(num_cpus=2, memory_limit="1 GiB")
    >>> mobula.is_initialized()
    True
    >>> mobula.init(ignore_reinit_error=True)
    >>> mobula.shutdown()

    Worker processes run Python code on all cores, also if it never gives up the GIL:

    >>> mobula.init(workers="processes", num_workers=2)
    >>> import dask, mobula.dask, os
    >>> dask.delayed(os.getpid)().compute(scheduler="mobula") == os.getpid()
    False
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
    if num_workers is not None:
        if num_cpus is not None and num_cpus != num_workers:
            raise TypeError("num_cpus and num_workers are one thing: give one of them")
        num_cpus = num_workers
    preimport = _modules(preimport)
    for name, flag in (("readonly", readonly), ("log_to_driver", log_to_driver)):
        if not isinstance(flag, bool):
            raise TypeError(f"{name} must be True or False, not {flag!r}")
    warn_of_ignored(names, "init()", stacklevel=2)
    if ignore_reinit_error and _core.is_initialized():
        return
    directory = None if spill_directory is None else _usable(spill_directory)
    shared = None if shared_directory is None else _existing(shared_directory)
    _core.init(
        num_cpus,
        memory_limit,
        directory,
        max_spill,
        kind=workers,
        preimport=preimport,
        shared_directory=shared,
        readonly=readonly,
        log_to_driver=log_to_driver,
        # Where it is said from, also for the files of later clusters.
        journal=None if journal is None else os.path.abspath(_path(journal, "journal")),
        dashboard=dashboard,
        workers_name="num_cpus" if num_workers is None else "num_workers",
    )
    url = _core.dashboard_url()
    if url is not None and sys.stderr is not None:
        is_elsewhere = not isinstance(dashboard, bool) and dashboard and f":{dashboard}/" not in url
        why = f", as port {dashboard} is taken" if is_elsewhere else ""
        print(f"mobula: the dashboard is at {url}{why}", file=sys.stderr)


def _modules(preimport: Sequence[str]) -> list[str]:
    """The names of modules."""
    is_list = isinstance(preimport, Iterable) and not isinstance(preimport, (str, bytes))
    modules = list(preimport) if is_list else []
    if not is_list or not all(isinstance(module, str) for module in modules):
        raise TypeError(f"preimport must be a list of modules, by name, not {preimport!r}")
    for module in modules:
        if not _is_there(module):
            raise ValueError(f"preimport={module!r}: there is no module of this name to import")
    return modules


def _is_there(module: str) -> bool:
    """Tell whether a module can be found, as far as that is possible without an import of any."""
    package, _, _ = module.partition(".")
    try:
        return package in sys.modules or importlib.util.find_spec(package) is not None
    except ValueError:  # There is no name.
        return False


def _path(directory: str | os.PathLike[str], name: str) -> str:
    try:
        return os.fsdecode(directory)
    except TypeError:
        raise TypeError(f"{name} must be a path, not {directory!r}") from None


def _existing(directory: str | os.PathLike[str]) -> str:
    """The path of a directory for shared values; it is somebody else's, so it is not made."""
    path = _path(directory, "shared_directory")
    if not os.path.isdir(path):
        number = errno.ENOTDIR if os.path.exists(path) else errno.ENOENT
        message = (
            f"the shared_directory cannot be used: {os.strerror(number)}; make it before, or leave"
            " shared_directory out to have large values in anonymous memory"
        )
        raise OSError(number, message, path)
    return _writable(path, "shared_directory")


def _usable(directory: str | os.PathLike[str]) -> str:
    """The path of a directory for values that are too much, which is made if it is not there."""
    path = _path(directory, "spill_directory")
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        message = f"the spill_directory cannot be used: {error.strerror}"
        raise OSError(error.errno, message, path) from error
    return _writable(path, "spill_directory")


def _writable(path: str, name: str) -> str:
    try:
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        message = f"the {name} cannot be used: {error.strerror}"
        raise OSError(error.errno, message, path) from error
    return path


def explain(key: Any) -> str:
    """Tell what the task of a key is doing right now, and where tasks with keys like it are called.

    With ``workers="auto"`` it says, for all keys that begin alike, whether their tasks are called in threads
    or in processes, and what was measured. All workers are asked that there are, also those of runs with a
    number of their own; none are started.

    Examples
    --------
    >>> import mobula
    >>> mobula.explain("load-1")
    "'load-1': no run that goes on has such a task"
    """
    return _core.explain(key)


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
    if _core.is_child():
        raise RuntimeError(
            "the workers are those of the parent of this process, which can end them"
        )
    _core.end_actors()
    _core.shutdown()
    _requests.end()


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
