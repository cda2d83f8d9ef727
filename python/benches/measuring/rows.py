"""What the sections answer: rows of figures, one for each subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from measuring.rounds import Sample


@dataclass(frozen=True)
class Row:
    """What was measured on one shape of one section."""

    section: str
    shape: str
    unit: str
    subjects: Mapping[str, Sample]
    facts: Mapping[str, float] = field(default_factory=dict)
    """Figures beside the main ones, such as how many tasks there were."""

    @property
    def name(self) -> str:
        """Such as `tasks/chain`, as targets and the command line name it."""
        return f"{self.section}/{self.shape}"
