"""What a run of the benchmarks was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """The options of the command line, as the sections need them."""

    rounds: int
    quick: bool = False
    """Small sizes, to see that everything works; the figures mean nothing."""
    words: tuple[str, ...] = ()
    """What was selected: sections, or `section/shape`; empty selects everything."""
    wheel: Path | None = None

    @property
    def divisor(self) -> int:
        """What the sizes of real work are divided by."""
        return 50 if self.quick else 1

    def wants(self, section: str, shape: str) -> bool:
        """Whether this row was selected."""
        return not self.words or section in self.words or f"{section}/{shape}" in self.words

    def fewer_rounds(self, most: int) -> int:
        """For what takes long, or varies little."""
        return min(self.rounds, most)
