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

    A `log` one, of base 10, has ticks (position to label). Ticks and limits, the lowest and highest
    value shown, are None where the drawer decides; the suffix stands after each tick.
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
    """Something drawn in a colour of `style.colours`, with its name in the legend, if any."""

    colour: str
    label: str = ""
    hover: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Line(Mark):
    """A line through points, broken where y is None; a `step` is level until the next point."""

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
    """Points, with an interval from `low` to `high` along one axis where there is one."""

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
    """Shares from 0, the background, to 1, with `texts` in them and `cells` under a pointer."""

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

    Its key names files and addresses; its finding says in a line what to see in it, from the same
    numbers. Panels are side by side where there is room, `wide` ones take the whole width.
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
