"""Taking turns: each subject is measured once a round, so that noise hits all of them alike."""

from __future__ import annotations

import gc
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """The figures of one subject, one of each round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure that is shown."""
        return statistics.median(self.values)

    def scaled(self, factor: float) -> Sample:
        """The same in another unit."""
        return Sample(tuple(value * factor for value in self.values))

    def less(self, other: Sample) -> Sample:
        """The differences, round by round."""
        return Sample(tuple(a - b for a, b in zip(self.values, other.values, strict=True)))

    def ratio(self, others: list[Sample]) -> float:
        """The median of this figure over the least of the others' in the same round."""
        least = (min(figures) for figures in zip(*(other.values for other in others), strict=True))
        ratios = [own / other for own, other in zip(self.values, least, strict=True)]
        return float(statistics.median(ratios))


def take_turns(
    subjects: Mapping[str, Callable[[], float]], rounds: int, warm_up: bool = True
) -> dict[str, Sample]:
    """Each subject's own figure, once a round. Who begins changes from round to round.

    A first round does not count: it starts threads and fills caches. What is measured in fresh
    processes can do without it.
    """
    names = list(subjects)
    values: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(-1 if warm_up else 0, rounds):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            figure = subjects[name]()
            if turn >= 0:
                values[name].append(figure)
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {name: Sample(tuple(figures)) for name, figures in values.items()}


def seconds(job: Callable[[], T]) -> tuple[float, T]:
    """How long a job takes. What other jobs have left is collected before, not during it."""
    gc.collect()
    start = perf_counter()
    answer = job()
    return perf_counter() - start, answer
