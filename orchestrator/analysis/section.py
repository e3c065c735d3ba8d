"""One section of a report: a heading, a table and sentences, and how its cells are written."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import pandas as pd

from orchestrator.analysis.frames import records
from orchestrator.results.foreign_text import safe_cell

Row = Mapping[str, Any]
"""What a section shows in a line, column to value; rows of stored tables have their own types."""
R = TypeVar("R", bound=Mapping[str, Any])

MISSING = "—"
TELLING = 100
"""Seconds or minutes up to which a time is not given in the next longer unit."""
FORMATS = {
    "loss": (1, 3, ""),
    "accuracy": (100, 2, "%"),
    "precision": (1, 3, ""),
    "recall": (1, 3, ""),
}
"""Metric to what a value is multiplied by to be shown, its decimals, and its unit."""


Place = Literal["terminal", "document", "page"]


@dataclass(frozen=True)
class Format:
    """How a column that is shown is written from those of a table.

    Attributes:
        columns: By the first one it is sorted, and where that is missing the cell is a dash.
        write: Makes a text of their values.
        numeric: It is read as a number, so it stands on the right.
    """

    columns: tuple[str, ...]
    write: Callable[..., str] = str
    numeric: bool = True

    def cell(self, row: Row) -> str:
        """The text of one row."""
        first = row[self.columns[0]]
        return MISSING if _is_missing(first) else self.write(*(row[name] for name in self.columns))


@dataclass(frozen=True, kw_only=True)
class Section:
    """A table of numbers under a heading, and how it is shown.

    Attributes:
        key: Its name for programs, unlike all others in a report: its topic, a slash, its own.
        title: Its heading.
        table: What it has to say, unrounded: accuracies as fractions, times in seconds.
        formats: Heading of each column that is shown, and how its cells are written.
        notes: Sentences below it; a terminal has the first.
        warnings: Sentences that must not be missed.
        place: Where it stands: everywhere, in `comparison.md` and the page, or in the page alone.
        narrow: The columns that a terminal has; all of them where none is named.
        most: Rows that a terminal has.
    """

    key: str
    title: str
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    formats: Mapping[str, Format] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    place: Place = "page"
    narrow: Mapping[str, Format] = field(default_factory=dict)
    most: int | None = None

    @property
    def topic(self) -> str:
        """What it belongs to."""
        return self.key.partition("/")[0]

    @property
    def says_something(self) -> bool:
        """Whether there is anything to show."""
        return bool(len(self.table) or self.notes or self.warnings)

    def cells(self, formats: Mapping[str, Format] | None = None) -> list[tuple[str, ...]]:
        """What the table shows, row by row, in its own formats where none are given."""
        formats = formats or self.formats
        return [tuple(each.cell(row) for each in formats.values()) for row in records(self.table)]


def table_csv(table: pd.DataFrame) -> str:
    """A table, unrounded, as CSV that no spreadsheet takes for a formula."""
    cells = table.astype(object).to_numpy().tolist()
    rows = [[safe_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in cells]
    safe = pd.DataFrame(rows, columns=[*map(safe_cell, table.columns)], dtype=object)
    return str(safe.to_csv(index=False, lineterminator="\n"))


def worded(
    *, columns: Sequence[str] = (), rows: Iterable[Sequence[str]] = (), **about: Any
) -> Section:
    """A section, with more `about` it, whose cells are words already."""
    table = pd.DataFrame(list(rows), columns=list(columns), dtype=object)
    formats = {name: Format(columns=(name,), numeric=False) for name in columns}
    return Section(table=table, formats=formats, **about)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def grouped(rows: Iterable[R], *names: str) -> Iterable[tuple[tuple[Any, ...], list[R]]]:
    """Rows with equal values in the named columns, in order of appearance."""
    groups: dict[tuple[Any, ...], list[R]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups.items()


def at_largest(rows: Sequence[R]) -> list[R]:
    """The rows of the largest train fraction."""
    largest = max((row["train_fraction"] for row in rows), default=None)
    return [row for row in rows if row["train_fraction"] == largest]


def present(values: Iterable[float | None]) -> list[float]:
    """The values that are numbers."""
    return [value for value in values if value is not None and math.isfinite(value)]


def count(value: int | None) -> str:
    """A whole number, with commas between thousands."""
    return MISSING if value is None else f"{value:,}"


def percent(value: float | None, digits: int = 2) -> str:
    """A fraction from 0 to 1 in percent."""
    known = present([value])
    return f"{100 * known[0]:.{digits}f}%" if known else MISSING


def duration(seconds: float) -> str:
    """A length of time with no more digits than matter."""
    if seconds < TELLING:
        return f"{seconds:.0f} s"
    if seconds < TELLING * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def points(difference: float | None) -> str:
    """A difference of two fractions in percentage points, with its sign."""
    known = present([difference])
    return f"{100 * known[0]:+z.2f}" if known else MISSING
