"""Which subjects can be measured here, and having them run while something is measured."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from measuring.processes.meeting import meet
from measuring.processes.pools import SUBJECTS, Pool, Subject
from measuring.settings import Settings

BENCHES = Path(__file__).parents[2]


def present(settings: Settings, *names: str) -> list[str]:
    """The subjects of these that are wanted and can be measured here; the others are named."""
    reasons = {name: _reason_against(name, settings) for name in names}
    for name, reason in reasons.items():
        if reason is not None and name not in _told:
            _told.add(name)
            print(f"{name} is left out: {reason}", file=sys.stderr)
    return [name for name, reason in reasons.items() if reason is None]


_told: set[str] = set()
"""What was said to be left out, so that it is said once."""


def _reason_against(name: str, settings: Settings) -> str | None:
    return "it is not wanted" if name in settings.without else SUBJECTS[name].missing()


@contextmanager
def running(names: list[str], workers: int) -> Iterator[dict[str, Subject]]:
    """Subjects that are started and warm."""
    find_modules()
    with ExitStack() as stack:
        subjects = {}
        for name in names:
            subject = subjects[name] = SUBJECTS[name]
            subject.start(workers)
            stack.callback(subject.close)
            if isinstance(subject, Pool):
                meet(subject, workers)
        yield subjects


def find_modules() -> None:
    """Lets worker processes of all kinds find the modules that the tasks are in."""
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(BENCHES) not in known:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(BENCHES), *known]))
