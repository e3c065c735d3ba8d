"""Everything that is wrong with the input, reported at once."""

from collections.abc import Iterable, Sequence
from typing import Final

SHOWN: Final = 3
"""Of what a line is about."""
LONGEST: Final = 60
"""Characters of a value that is shown."""


class FaultsError(ValueError):
    """Wrong input.

    Attributes:
        lines: Each says a fault: the rule, what is there, and what there is to choose from.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        """Takes the lines."""
        self.lines = tuple(dict.fromkeys(lines))
        super().__init__("; ".join(self.lines))

    @classmethod
    def check(cls, faults: Sequence[str]) -> None:
        """Raises where there are faults."""
        if faults:
            raise cls(faults)


def some(values: Sequence[object]) -> str:
    """The first few values, and how many more there are."""
    listed = ", ".join(map(short, values[:SHOWN]))
    more = len(values) - SHOWN
    return f"{listed} and {more:,} more" if more > 0 else listed


def short(value: object) -> str:
    """A value in quotation marks, cut where it is long."""
    text = str(value)
    return repr(text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}...")
