"""A figure that is to be reached, as data, and the verdict on it. Each program has its own list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from measuring.rounds import Sample


@dataclass(frozen=True)
class Target:
    """A bound on the figure of a row, which is `section/shape/subject`.

    Without `relative_to` the bound is in the row's own unit. With it, it is a multiple of the
    least figure of these subjects in the same round; `plus` is added to that, in the row's unit.
    """

    section: str
    shape: str
    at_most: float
    relative_to: tuple[str, ...] = ()
    plus: float = 0.0
    subject: str = "mobula"
    aim: bool = False
    """Hoped for rather than promised: a miss is said, but is none."""

    @property
    def row(self) -> str:
        """The name of the row that it is about."""
        return f"{self.section}/{self.shape}"

    @property
    def text(self) -> str:
        """The bound in words."""
        if not self.relative_to:
            return f"at most {self.at_most:g}"
        names = " and ".join(f"`{name}`" for name in self.relative_to)
        least = f"the least of {names}" if len(self.relative_to) > 1 else names
        times = "" if self.at_most == 1 else f"{self.at_most:.3g} x "
        plus = f" plus {self.plus:g}" if self.plus else ""
        return f"at most {times}{least}{plus}"


@dataclass(frozen=True)
class Verdict:
    """What became of a target; `figure` is compared with `bound`, a ratio if the target is one."""

    target: Target
    figure: float | None
    bound: float

    @property
    def reached(self) -> bool:
        """Whether the figure is there and within its bound."""
        return self.figure is not None and self.figure <= self.bound

    @property
    def word(self) -> str:
        """The verdict, as it is shown."""
        if self.figure is None:
            return "not measured"
        if self.reached:
            return "reached"
        return "aim missed" if self.target.aim else "MISSED"


def judge(target: Target, subjects: Mapping[str, Sample]) -> Verdict:
    """Compares the figures of one row with its target.

    A ratio is taken within each round and its median counts, so that a slow minute of the
    machine, which both sides saw, does not.
    """
    needed = (target.subject, *target.relative_to)
    if any(name not in subjects for name in needed):
        return Verdict(target, None, target.at_most)
    own = subjects[target.subject]
    if not target.relative_to:
        return Verdict(target, own.median, target.at_most)
    if target.plus:
        return Verdict(
            target,
            own.less(_least(target, subjects).scaled(target.at_most)).median,
            target.plus,
        )
    return Verdict(
        target, own.ratio([subjects[name] for name in target.relative_to]), target.at_most
    )


def _least(target: Target, subjects: Mapping[str, Sample]) -> Sample:
    rounds = zip(*(subjects[name].values for name in target.relative_to), strict=True)
    return Sample(tuple(min(figures) for figures in rounds))
