"""Charts for a paper: each as SVG and PNG by Matplotlib, in light colours, the same bytes twice."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from orchestrator.cli import without_control
from orchestrator.report import style
from orchestrator.report.chart import Axis, Band, Bars, Cells, Chart, Line, Panel, Points, Rule
from orchestrator.report.draw_plotly import shorten

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
MARKERS: Final = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "cross": "P",
    "star": "*",
}
DASHES: Final = {"solid": "-", "dash": "--", "dot": ":"}

Legend = dict[str, Any]


def write_figures(charts: Sequence[Chart], folder: Path) -> list[Path]:
    """Writes each chart as `<key>.svg` and `<key>.png`.

    Args:
        charts: Those of the page.
        folder: Made where it is missing; files that are there are replaced.

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
                temporary = folder / f".{chart.key}.{kind}"
                figure.savefig(temporary, format=kind, dpi=DPI, metadata=metadata)
                if kind == "svg":  # XML has no control characters
                    svg = temporary.read_text(encoding="utf-8")
                    temporary.write_text(without_control(svg), encoding="utf-8")
                temporary.replace(path)
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
    entries: Legend = {}
    for i, row in enumerate(rows):
        for j in range(across):
            if j < len(row):
                _panel(axes[i][j], row[j], entries)
            else:
                axes[i][j].set_axis_off()
    if entries:
        figure.legend(
            list(entries.values()),
            list(entries),
            loc="outside lower center",
            ncols=max(1, min(len(entries), int(width / _entry_inches(entries)))),
        )
    return figure


def _entry_inches(entries: Legend) -> float:
    """What one entry of the legend takes, from its longest label."""
    return 0.5 + 0.075 * max(map(len, entries))


def _panel(axes: Axes, panel: Panel, entries: Legend) -> None:
    colours = style.colours(dark=False)
    axes.grid(color=colours["rule"])
    if panel.title:
        axes.set_title(panel.title)
    for mark in panel.marks:
        drawn: Any = None
        if isinstance(mark, Line):
            drawn = _line(axes, mark, colours)
        elif isinstance(mark, Points):
            drawn = _points(axes, mark, colours)
        elif isinstance(mark, Bars):
            drawn = _bars(axes, mark, colours)
        elif isinstance(mark, Band):
            drawn = _band(axes, mark, colours)
        elif isinstance(mark, Cells):
            _cells(axes, mark, colours)
        else:
            _rule(axes, mark, colours)
        label = getattr(mark, "label", "")
        if drawn is not None and label:
            entries.setdefault(label, drawn)
    _axis(axes, "x", panel.x)
    _axis(axes, "y", panel.y)


def _axis(axes: Axes, which: str, axis: Axis) -> None:
    own = axes.xaxis if which == "x" else axes.yaxis
    own.set_label_text(axis.title)
    if axis.log:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        own.set_minor_locator(mpl.ticker.NullLocator())
    if axis.ticks is not None:
        own.set_ticks(list(axis.ticks), [shorten(text) for text in axis.ticks.values()])
    elif axis.suffix:
        own.set_major_formatter(
            mpl.ticker.FormatStrFormatter(f"%g{axis.suffix.replace('%', '%%')}")
        )
    if axis.limits is not None:
        (axes.set_xlim if which == "x" else axes.set_ylim)(*axis.limits)


def _line(axes: Axes, line: Line, colours: dict[str, str]) -> Any:
    y = [float("nan") if value is None else value for value in line.y]
    x = [float("nan") if value is None else value for value in line.x]
    (drawn,) = axes.plot(
        x,
        y,
        color=colours[line.colour],
        linestyle=DASHES[line.dash],
        linewidth=0.7 * line.width,
        alpha=line.opacity,
        drawstyle="steps-post" if line.step else "default",
        marker=MARKERS.get(line.symbol, "") if line.symbol else "",
        markersize=3.5,
    )
    return drawn


def _points(axes: Axes, points: Points, colours: dict[str, str]) -> Any:
    hollow = points.symbol.endswith("-open")
    colour = colours[points.colour]
    bars: dict[str, Any] = {}
    if points.low:
        centre = points.x if points.along == "x" else points.y
        ends = [
            [(c or 0) - (low or 0) for c, low in zip(centre, points.low, strict=True)],
            [(high or 0) - (c or 0) for c, high in zip(centre, points.high, strict=True)],
        ]
        bars = {f"{points.along}err": ends}
    x = [float("nan") if value is None else value for value in points.x]
    y = [float("nan") if value is None else value for value in points.y]
    return axes.errorbar(
        x,
        y,
        **bars,
        fmt=MARKERS[points.symbol.removesuffix("-open")],
        color=colour,
        markerfacecolor=colours["background"] if hollow else colour,
        markersize=0.55 * points.size,
        elinewidth=1.2,
    )


def _bars(axes: Axes, bars: Bars, colours: dict[str, str]) -> Any:
    colour = colours[bars.colour]
    face = "none" if bars.hollow else colour
    axes.barh(
        list(bars.y),
        list(bars.length),
        left=list(bars.start),
        height=bars.thickness,
        facecolor=face,
        edgecolor=colour,
        linewidth=0.6,
    )
    return Patch(facecolor=face, edgecolor=colour)


def _band(axes: Axes, band: Band, colours: dict[str, str]) -> Any:
    x, low, high = (cast("list[float]", list(values)) for values in (band.x, band.low, band.high))
    return axes.fill_between(x, low, high, color=colours[band.colour], alpha=0.2, linewidth=0)


def _cells(axes: Axes, cells: Cells, colours: dict[str, str]) -> None:
    ramp = LinearSegmentedColormap.from_list(
        "share", [colours["background"], colours[cells.colour]]
    )
    axes.grid(visible=False)
    axes.imshow([list(row) for row in cells.shares], cmap=ramp, vmin=0, vmax=1, aspect="auto")
    axes.tick_params("x", labelrotation=60)
    for i, row in enumerate(cells.texts):
        for j, text in enumerate(row):
            dark = cells.shares[i][j] > 0.5  # noqa: PLR2004 (half way to the full colour)
            colour = colours["background" if dark else "ink"]
            axes.text(j, i, text, ha="center", va="center", fontsize=6, color=colour)


def _rule(axes: Axes, rule: Rule, colours: dict[str, str]) -> None:
    across = axes.axvline if rule.axis == "x" else axes.axhline
    across(rule.at, color=colours["muted"], linewidth=0.8, linestyle=":")
