"""What a figure shows, whoever draws it: panels with axes and marks, its finding, its alt text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from orchestrator.analysis.section import Section

Dash = Literal["solid", "dash", "dot"]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of a panel.

    Attributes:
        title: With the unit.
        log: Base 10; one that is has ticks.
        suffix: After each tick, such as `%`.
        ticks: Position to label; None for the drawer's own.
        limits: Lowest and highest value shown; None for what the marks need.
    """

    title: str = ""
    log: bool = False
    suffix: str = ""
    ticks: Mapping[float, str] | None = None
    limits: tuple[float, float] | None = None

    @classmethod
    def of_rows(cls, labels: Sequence[str], edge: float = 0.6) -> "Axis":
        """An axis of rows at 0, -1, -2 and so on, and how much room the outer ones have."""
        ticks: dict[float, str] = {-row: label for row, label in enumerate(labels)}
        return cls(ticks=ticks, limits=(edge - len(labels), edge))


MOST_WHOLE = 10
FEW = 5


def whole_numbers(most: int) -> Mapping[float, str] | None:
    """Ticks at each number from 0, where there are so few that a drawer would put some between."""
    return {n: str(n) for n in range(most + 1)} if most <= MOST_WHOLE else None


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Something that is drawn.

    Attributes:
        colour: The name of a colour, see `style.colours`.
        label: In the legend; empty for none.
        hover: Text shown at each point under a pointer.
    """

    colour: str
    label: str = ""
    hover: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Line(Mark):
    """A line through points, broken where y is None; its width in pixels, its opacity 0 to 1.

    Attributes:
        step: Horizontal until the next point.
        symbol: At each point, see `style.SYMBOLS`; empty for none.
    """

    x: Sequence[float | None]
    y: Sequence[float | None]
    dash: Dash = "solid"
    width: float = 2.0
    opacity: float = 1.0
    step: bool = False
    symbol: str = ""


@dataclass(frozen=True, kw_only=True)
class Band(Mark):
    """The area between two lines."""

    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Points(Mark):
    """Points, with an interval from `low` to `high` along one axis where there is one.

    Attributes:
        symbol: Of each, see `style.SYMBOLS`.
        hollow: Drawn as an outline.
    """

    x: Sequence[float | None]
    y: Sequence[float | None]
    symbol: str = "circle"
    hollow: bool = False
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    along: Literal["x", "y"] = "x"

    @property
    def lengths(self) -> tuple[list[float], list[float]]:
        """How long each interval is below and above its point."""
        centre = np.array(self.x if self.along == "x" else self.y, dtype=float)
        return (centre - self.low).tolist(), (self.high - centre).tolist()


@dataclass(frozen=True, kw_only=True)
class Bars(Mark):
    """Horizontal bars from `start`, `length` long, centred at `y`; hollow ones are outlines."""

    y: Sequence[float]
    start: Sequence[float]
    length: Sequence[float]
    hollow: bool


@dataclass(frozen=True, kw_only=True)
class HeatMap(Mark):
    """A matrix of shares from 0, the background, to 1, [rows, columns], its first row at the top.

    Attributes:
        texts: Written into each cell.
        cells: Text shown at each cell under a pointer.
    """

    shares: Sequence[Sequence[float]]
    texts: Sequence[Sequence[str]]
    cells: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Rule(Mark):
    """A thin upright line across a panel."""

    colour: str = "muted"
    at: float


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes, with its marks in the order in which they are drawn; height in pixels."""

    title: str = ""
    marks: Sequence[Mark]
    x: Axis
    y: Axis
    height: int = 300


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A figure of the report.

    Attributes:
        key: Its name in file names and addresses.
        finding: One line that says what to see in it, computed from the same numbers.
        panels: Side by side where there is room.
        numbers: What is drawn, as a table.
        wide: Each panel takes the whole width.
        notes: How to read it, in further lines.
    """

    key: str
    title: str
    finding: str
    panels: Sequence[Panel]
    numbers: Section | None = None
    wide: bool = False
    notes: Sequence[str] = ()

    @property
    def alt(self) -> str:
        """The figure in words: of each mark its first and last points, all where they are few."""
        parts = [self.title]
        for panel in self.panels:
            texts = (text for mark in panel.marks for text in _ends([*filter(None, mark.hover)]))
            said = "; ".join(text.replace("\n", ", ") for text in texts)
            parts.append(f"{panel.title}: {said}" if panel.title else said)
        return f"{'. '.join(parts)}."


def _ends(texts: Sequence[str]) -> Sequence[str]:
    return texts if len(texts) <= FEW else [texts[0], texts[-1]]
