"""What a figure shows, whoever draws it: panels with axes and marks, its finding, its alt text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.analysis.section import Section

Number = float | int | None
Dash = Literal["solid", "dash", "dot"]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of a panel.

    Attributes:
        title: With the unit.
        log: Base 10.
        suffix: After each tick, such as `%`.
        ticks: Position to label; None for the drawer's own.
        limits: Lowest and highest value shown; None for what the marks need.
        reverse: Largest at the left or bottom.
    """

    title: str = ""
    log: bool = False
    suffix: str = ""
    ticks: Mapping[float, str] | None = None
    limits: tuple[float, float] | None = None
    reverse: bool = False


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line through points, broken where y is None.

    Attributes:
        x: Of each point.
        y: Of each point.
        label: In the legend; empty for none.
        colour: The name of a colour, see `style.colours`.
        dash: How it is drawn.
        width: In pixels.
        opacity: 0 to 1.
        step: Horizontal until the next point.
        symbol: At each point; empty for none.
        hover: Text shown at each point under a pointer.
    """

    x: Sequence[Number]
    y: Sequence[Number]
    colour: str
    label: str = ""
    dash: Dash = "solid"
    width: float = 2.0
    opacity: float = 1.0
    step: bool = False
    symbol: str = ""
    hover: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Band:
    """The area between two lines."""

    x: Sequence[Number]
    low: Sequence[Number]
    high: Sequence[Number]
    colour: str
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Points:
    """Points, with an interval along x or y where there is one.

    Attributes:
        x: Of each point.
        y: Of each point.
        colour: The name of a colour.
        symbol: As Plotly has them; `-open` for hollow ones.
        label: In the legend; empty for none.
        low: Lower end of each interval.
        high: Upper end of each interval.
        along: The axis of the intervals.
        size: In pixels.
        hover: Text shown at each point under a pointer.
    """

    x: Sequence[Number]
    y: Sequence[Number]
    colour: str
    symbol: str = "circle"
    label: str = ""
    low: Sequence[Number] = ()
    high: Sequence[Number] = ()
    along: Literal["x", "y"] = "x"
    size: float = 9.0
    hover: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Horizontal bars from `start`, `length` long, centred at `y`.

    Attributes:
        y: Centre of each bar.
        start: Where each begins.
        length: How long each is.
        colour: The name of a colour.
        label: In the legend; empty for none.
        hollow: Drawn as an outline.
        thickness: On the y axis.
        hover: Text shown at each bar under a pointer.
    """

    y: Sequence[float]
    start: Sequence[float]
    length: Sequence[float]
    colour: str
    label: str = ""
    hollow: bool = False
    thickness: float = 0.7
    hover: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A matrix of shares from 0 to 1, its first row at the top.

    Attributes:
        shares: What the colour says, [rows, columns].
        texts: Written into each cell.
        colour: The name of the colour of 1; 0 is the background.
        hover: Text shown at each cell under a pointer.
    """

    shares: Sequence[Sequence[float]]
    texts: Sequence[Sequence[str]]
    colour: str
    hover: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A thin line across a panel.

    Attributes:
        at: Where on the axis.
        axis: Which it crosses.
        label: Beside it; empty for none.
    """

    at: float
    axis: Literal["x", "y"] = "x"
    label: str = ""


MOST_WHOLE = 10


def whole_numbers(most: int) -> Mapping[float, str] | None:
    """Ticks at each number from 0, where there are so few that a drawer would put some between."""
    return {n: str(n) for n in range(most + 1)} if most <= MOST_WHOLE else None


Mark = Line | Band | Points | Bars | Cells | Rule


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: Above it; empty for none.
        marks: Drawn in this order.
        x: The horizontal axis.
        y: The vertical axis.
        height: In pixels.
    """

    title: str = ""
    marks: Sequence[Mark]
    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=Axis)
    height: int = 300


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A figure of the report.

    Attributes:
        key: Its name in file names and addresses.
        title: What it shows.
        finding: One line that says what to see in it, computed from the same numbers.
        alt: The figure in words, with its main numbers.
        panels: Side by side where there is room.
        numbers: What is drawn, as a table.
        wide: Each panel takes the whole width.
        notes: How to read it, in further lines.
    """

    key: str
    title: str
    finding: str
    alt: str
    panels: Sequence[Panel]
    numbers: Section | None = None
    wide: bool = False
    notes: Sequence[str] = ()
