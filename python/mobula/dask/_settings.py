"""Dask's settings on their way into a child process, where they are to hold as in its parent.

So a task that computes something gets the scheduler there that it would get here, by name or by default.
"""

from __future__ import annotations

from typing import Any

import cloudpickle
from dask import config

__all__ = ["adopt", "packed"]

#: What was packed last, and the bytes.
_last: tuple[dict[str, Any], bytes] | None = None


def packed() -> bytes:
    """Pack the settings, without those that cannot leave this process: a pool, for instance."""
    global _last
    settings = dict(config.config)
    if _last is None or _last[0] != settings:
        _last = config.merge(settings), _pack(settings)
    return _last[1]


def _pack(settings: dict[str, Any]) -> bytes:
    try:
        return bytes(cloudpickle.dumps(settings))
    except Exception:
        portable = {name: value for name, value in settings.items() if _can_travel(value)}
        return bytes(cloudpickle.dumps(portable))


def _can_travel(value: Any) -> bool:
    try:
        cloudpickle.dumps(value)
    except Exception:
        return False
    return True


def adopt(packed: bytes) -> None:
    """In the child: let the settings hold that were packed."""
    settings = cloudpickle.loads(packed)
    with config.config_lock:
        config.config.clear()
        config.update(config.config, settings)
        for defaults in config.defaults:
            # Of packages that are imported here and not there.
            config.update(config.config, defaults, priority="old")
