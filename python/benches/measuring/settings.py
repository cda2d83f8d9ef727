"""What a run of the benchmarks was asked for."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    """The options of the command line, as the sections need them."""

    rounds: int
    quick: bool = False
    """Small sizes, to see that everything works; the figures mean nothing."""
    words: tuple[str, ...] = ()
    """What was selected: sections, or `section/shape`; empty selects everything."""
    without: tuple[str, ...] = ()
    """Subjects to leave out, in a program that knows this option."""
    own: Namespace = field(default_factory=Namespace)
    """The options that this program alone has."""

    @property
    def complete(self) -> bool:
        """Whether the figures are for the page: all that there is, in full size."""
        return not (self.words or self.quick or self.without)

    @property
    def divisor(self) -> int:
        """What the sizes of real work are divided by."""
        return 50 if self.quick else 1

    @property
    def warm_up(self) -> bool:
        """Whether there is a first round that does not count."""
        return not self.quick

    def wants(self, section: str, shape: str) -> bool:
        """Whether this row was selected."""
        return not self.words or section in self.words or f"{section}/{shape}" in self.words

    def fewer_rounds(self, most: int) -> int:
        """For what takes long, or varies little."""
        return min(self.rounds, most)
