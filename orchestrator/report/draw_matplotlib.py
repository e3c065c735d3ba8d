"""Charts for a paper: each as SVG and PNG by Matplotlib, in light colours, the same bytes twice."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from orchestrator.cli import without_control
from orchestrator.report import style
from orchestrator.report.chart import Axis, Band, Bars, Chart, HeatMap, Line, Panel, Points, Rule
from orchestrator.report.draw_plotly import shorten
from orchestrator.results import files

PANEL_INCHES: Final = 3.3
WIDE_INCHES: Final = 6.8
PIXELS_PER_INCH: Final = 90
"""Of the heights that panels ask for."""
DPI: Final = 300
MOST_ACROSS: Final = 3
SETTINGS: Final = {
    "font.size": 8,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "text.parse_math": False,
    "svg.hashsalt": "transfer-study",
    "svg.fonttype": "none",
}
COLOURS: Final = style.colours(dark=False)
MARKERS: Final = {"": "", **dict(zip(style.SYMBOLS, "osD^P*", strict=True))}
DASHES: Final = {"solid": "-", "dash": "--", "dot": ":"}


def write_figures(charts: Sequence[Chart], folder: Path) -> list[Path]:
    """Writes each chart as `<key>.svg` and `<key>.png`, in place of what is there.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for chart in charts:
        with mpl.rc_context(cast("Any", SETTINGS)), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            figure = draw(chart)
            for kind, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
                path = folder / f"{chart.key}.{kind}"
                with files.whole(path) as temporary:
                    figure.savefig(temporary, format=kind, dpi=DPI, metadata=metadata)
                    if kind == "svg":  # XML has no control characters
                        svg = temporary.read_text(encoding="utf-8")
                        temporary.write_text(without_control(svg), encoding="utf-8")
                written.append(path)
    return written


def draw(chart: Chart) -> Figure:
    """A chart as a figure that has no window."""
    across = 1 if chart.wide else min(MOST_ACROSS, len(chart.panels))
    rows = [chart.panels[i : i + across] for i in range(0, len(chart.panels), across)]
    heights = [max(panel.height for panel in row) / PIXELS_PER_INCH for row in rows]
    width = WIDE_INCHES if chart.wide else PANEL_INCHES * across
    figure = Figure(figsize=(width, sum(heights) + 0.3), layout="constrained")
    axes = figure.subplots(len(rows), across, squeeze=False, height_ratios=heights)
    entries: dict[str, Any] = {}
    for place, panel in zip_longest(axes.flat, chart.panels):
        if panel is None:
            place.set_axis_off()
        else:
            _panel(place, panel, entries)
    if entries:
        entry_inches = 0.5 + 0.075 * max(map(len, entries))
        figure.legend(
            list(entries.values()),
            list(entries),
            loc="outside lower center",
            ncols=max(1, min(len(entries), int(width / entry_inches))),
        )
    return figure


def _panel(axes: Axes, panel: Panel, entries: dict[str, Any]) -> None:
    axes.grid(color=COLOURS["rule"])
    if panel.title:
        axes.set_title(panel.title)
    for mark in panel.marks:
        drawn = _DRAWN[type(mark)](axes, mark)
        if mark.label:
            entries.setdefault(mark.label, drawn)
    _axis(axes, "x", panel.x)
    _axis(axes, "y", panel.y)


def _axis(axes: Axes, which: str, axis: Axis) -> None:
    own = axes.xaxis if which == "x" else axes.yaxis
    own.set_label_text(axis.title)
    if axis.log:
        axes.set(**{f"{which}scale": "log"})
        own.set_minor_locator(mpl.ticker.NullLocator())
    if axis.ticks is not None:
        own.set_ticks(list(axis.ticks), [shorten(text) for text in axis.ticks.values()])
    elif axis.suffix:
        own.set_major_formatter(f"{{x:g}}{axis.suffix}")
    if axis.limits is not None:
        axes.set(**{f"{which}lim": axis.limits})


def _line(axes: Axes, line: Line) -> Any:
    (drawn,) = axes.plot(
        np.array(line.x, dtype=float),
        np.array(line.y, dtype=float),
        color=COLOURS[line.colour],
        linestyle=DASHES[line.dash],
        linewidth=0.7 * line.width,
        alpha=line.opacity,
        drawstyle="steps-post" if line.step else "default",
        marker=MARKERS[line.symbol],
        markersize=3.5,
    )
    return drawn


def _points(axes: Axes, points: Points) -> Any:
    colour = COLOURS[points.colour]
    intervals: dict[str, Any] = {f"{points.along}err": points.lengths} if points.low else {}
    return axes.errorbar(
        np.array(points.x, dtype=float),
        np.array(points.y, dtype=float),
        **intervals,
        fmt=MARKERS[points.symbol],
        color=colour,
        markerfacecolor=COLOURS["background"] if points.hollow else colour,
        markersize=4.95,
        elinewidth=1.2,
    )


def _bars(axes: Axes, bars: Bars) -> Any:
    colour = COLOURS[bars.colour]
    look: dict[str, Any] = {"facecolor": "none" if bars.hollow else colour, "edgecolor": colour}
    axes.barh(bars.y, bars.length, left=bars.start, height=0.7, linewidth=0.6, **look)
    return Patch(**look)


def _band(axes: Axes, band: Band) -> Any:
    colour = COLOURS[band.colour]
    return axes.fill_between(band.x, band.low, band.high, color=colour, alpha=0.2, linewidth=0)


def _heat_map(axes: Axes, heat_map: HeatMap) -> None:
    ramp = LinearSegmentedColormap.from_list(
        "share", [COLOURS["background"], COLOURS[heat_map.colour]]
    )
    axes.grid(visible=False)
    axes.imshow(heat_map.shares, cmap=ramp, vmin=0, vmax=1, aspect="auto")
    axes.tick_params("x", labelrotation=60)
    for (i, j), share in np.ndenumerate(heat_map.shares):
        dark = share > 0.5  # noqa: PLR2004 (half way to the full colour)
        colour = COLOURS["background" if dark else "ink"]
        axes.text(j, i, heat_map.texts[i][j], ha="center", va="center", fontsize=6, color=colour)


_DRAWN: Final[Mapping[type, Callable[[Axes, Any], Any]]] = {
    Line: _line,
    Band: _band,
    Points: _points,
    Bars: _bars,
    HeatMap: _heat_map,
    Rule: lambda axes, own: axes.axvline(own.at, color=COLOURS[own.colour], lw=0.8, ls=":"),
}
