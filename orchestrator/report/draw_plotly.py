"""Charts for the page: each panel as the data and layout that Plotly draws, colours by name."""

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from orchestrator.cli import without_control
from orchestrator.report.chart import Axis, Band, Bars, HeatMap, Line, Mark, Panel, Points, Rule

LONGEST_LABEL: Final = 22
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

Json = dict[str, Any]


def draw(panel: Panel) -> Json:
    """A panel as Plotly takes it; `var(--name)` stands for a colour that the page fills in."""
    layout: Json = {
        "height": panel.height,
        "margin": {"l": 8, "r": 12, "t": 34 if panel.title else 12, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12, "color": "var(--muted)"},
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": "var(--surface)",
            "bordercolor": "var(--rule)",
            "align": "left",
            "font": {"family": FONT, "size": 12, "color": "var(--ink)"},
        },
        "barmode": "overlay",
        "xaxis": _axis(panel.x),
        "yaxis": _axis(panel.y),
        "shapes": [_shape(mark) for mark in panel.marks if isinstance(mark, Rule)],
        "annotations": [],
    }
    if panel.title:
        layout["title"] = {
            "text": f"<b>{_text(panel.title)}</b>",
            "font": {"size": 13, "color": "var(--ink)"},
            "x": 0,
            "xref": "container",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 8, "l": 8},
        }
    if any(isinstance(mark, HeatMap) for mark in panel.marks):
        layout["xaxis"] |= {"showgrid": False, "side": "bottom", "tickangle": -45}
        layout["yaxis"] |= {"showgrid": False, "autorange": "reversed"}
    drawn = [_DRAWN[type(mark)](mark) for mark in panel.marks if not isinstance(mark, Rule)]
    return {"data": drawn, "layout": layout}


def _axis(axis: Axis) -> Json:
    made: Json = {
        "automargin": True,
        "title": {"text": _text(axis.title), "standoff": 8},
        "type": "log" if axis.log else "linear",
        "ticksuffix": axis.suffix,
        "gridcolor": "var(--rule)",
        "linecolor": "var(--rule)",
        "zeroline": False,
    }
    if axis.ticks is not None:
        made |= {
            "tickmode": "array",
            "tickvals": list(axis.ticks),
            "ticktext": [_text(shorten(label)) for label in axis.ticks.values()],
        }
    if axis.limits is not None:
        made["range"] = list(axis.limits)
    return made


def _line(line: Line) -> Json:
    colour, shape = _colour(line), "hv" if line.step else "linear"
    marker = {"symbol": line.symbol, "size": 7, "color": colour}
    return {
        "type": "scatter",
        "mode": "lines+markers" if line.symbol else "lines",
        "x": _numbers(line.x),
        "y": _numbers(line.y),
        "opacity": line.opacity,
        "line": {"color": colour, "width": line.width, "dash": line.dash, "shape": shape},
        **_legend_and_hover(line),
        **({"marker": marker} if line.symbol else {}),
    }


def _band(band: Band) -> Json:
    """One closed outline."""
    return {
        "type": "scatter",
        "mode": "none",
        "x": _numbers([*band.x, *reversed(band.x)]),
        "y": _numbers([*band.high, *reversed(band.low)]),
        "fill": "toself",
        "fillcolor": _colour(band),
        "opacity": 0.2,
        **_legend_and_hover(band),
    }


def _points(points: Points) -> Json:
    colour = _colour(points)
    made: Json = {
        "type": "scatter",
        "mode": "markers",
        "x": _numbers(points.x),
        "y": _numbers(points.y),
        "marker": {
            "symbol": points.symbol + ("-open" if points.hollow else ""),
            "size": 9.0,
            "color": colour,
            "line": {"color": colour, "width": 1.5},
        },
        **_legend_and_hover(points),
    }
    if points.low:
        below, above = points.lengths
        made[f"error_{points.along}"] = {
            "type": "data",
            "symmetric": False,
            "array": _numbers(above),
            "arrayminus": _numbers(below),
            "color": colour,
            "thickness": 2,
            "width": 0,
        }
    return made


def _bars(bars: Bars) -> Json:
    colour = _colour(bars)
    return {
        "type": "bar",
        "orientation": "h",
        "y": _numbers(bars.y),
        "x": _numbers(bars.length),
        "base": _numbers(bars.start),
        "width": 0.7,
        "marker": {
            "color": "rgba(0,0,0,0)" if bars.hollow else colour,
            "line": {"color": colour, "width": 1},
        },
        **_legend_and_hover(bars),
    }


def _heat_map(heat_map: HeatMap) -> Json:
    return {
        "type": "heatmap",
        "z": [_numbers(row) for row in heat_map.shares],
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0, "var(--background)"], [1, _colour(heat_map)]],
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        "text": [list(row) for row in heat_map.texts],
        "texttemplate": "%{text}",
        "textfont": {"size": 10},
        "hovertext": [list(map(_text, row)) for row in heat_map.cells],
        "hoverinfo": "text",
    }


_DRAWN: Final[Mapping[type, Callable[[Any], Json]]] = {
    Line: _line,
    Band: _band,
    Points: _points,
    Bars: _bars,
    HeatMap: _heat_map,
}


def _shape(rule: Rule) -> Json:
    ends = {"x0": rule.at, "x1": rule.at, "yref": "paper", "y0": 0, "y1": 1}
    line = {"color": _colour(rule), "width": 1, "dash": "dot"}
    return {"type": "line", "layer": "below", "line": line, **ends}


def _legend_and_hover(mark: Mark) -> Json:
    """What the legend and a pointer say; `name` groups what a legend's button switches."""
    trace: Json = {"name": _text(mark.label), "hoverinfo": "text" if mark.hover else "skip"}
    return {**trace, "hovertext": list(map(_text, mark.hover))} if mark.hover else trace


def _colour(mark: Mark) -> str:
    return f"var(--{mark.colour})"


def _text(text: str) -> str:
    """Text in which Plotly finds no mark-up; a newline breaks the line."""
    # A dollar is the sign of formulas, for which Plotly would ask for MathJax.
    return (
        html.escape(without_control(text), quote=False).replace("$", "&#36;").replace("\n", "<br>")
    )


def shorten(label: str) -> str:
    """A label that fits beside an axis, line by line, with both ends of what is too long."""
    half = LONGEST_LABEL // 2
    lines = label.split("\n")
    return "\n".join(
        x if len(x) <= LONGEST_LABEL else f"{x[: half - 1]}…{x[-half:]}" for x in lines
    )


def _numbers(values: Sequence[float | None]) -> list[float | None]:
    """Numbers with no more digits than a picture can show."""
    return [float(f"{v:.6g}") if isinstance(v, float) else v for v in values]


def legend(panels: Sequence[Panel]) -> list[Json]:
    """What the panels' marks stand for, each once, in order of appearance.

    Returns:
        For each entry its `mark`, `name` (as in the traces), `colour` and `kind`.
    """
    entries: dict[str, Json] = {}
    for mark in (mark for panel in panels for mark in panel.marks if mark.label):
        entry = {"mark": mark, "name": _text(mark.label), "colour": mark.colour}
        entry = entries.setdefault(mark.label, {**entry, "kind": type(mark).__name__.lower()})
        if entry["colour"] != mark.colour:  # what each panel has in its own colour
            entry["colour"] = "muted"
    return list(entries.values())
