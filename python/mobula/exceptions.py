"""What can go wrong beside the errors of tasks, which come as they were raised."""

from __future__ import annotations

__all__ = [
    "ActorDiedError",
    "ClusterClosedError",
    "GetTimeoutError",
    "MobulaError",
    "NotPicklableError",
    "RunCancelledError",
    "TaskTimeoutError",
    "ValueLostError",
    "WorkerLostError",
    "WouldDeadlockError",
]


class MobulaError(Exception):
    """The base class of all errors that are Mobula's own."""


class NotPicklableError(MobulaError, TypeError):
    """A function, an argument or a result cannot go from one process to another."""


class RunCancelledError(MobulaError):
    """The run was cancelled: by an interrupt, by `shutdown`, or because nobody wants it."""


class ClusterClosedError(MobulaError):
    """The workers have been shut down."""


class TaskTimeoutError(MobulaError, TimeoutError):
    """A task took longer than it may."""


class GetTimeoutError(MobulaError, TimeoutError):
    """A value was not there in time; it is still being made."""


class ValueLostError(MobulaError):
    """A value that was moved to disk cannot be read back, and cannot be made again."""


class WorkerLostError(MobulaError):
    """The worker of a task died, too often to try again."""


class ActorDiedError(MobulaError):
    """The actor was killed, or the workers have been shut down."""


class WouldDeadlockError(MobulaError):
    """A method of an actor wants to wait for something that waits for the actor itself."""
