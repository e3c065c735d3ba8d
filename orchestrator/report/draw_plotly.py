"""Charts for the page: each panel as the data and layout that Plotly draws, colours by name."""

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from orchestrator.report.chart import (
    Axis,
    Band,
    Bars,
    Cells,
    Line,
    Mark,
    Number,
    Panel,
    Points,
    Rule,
)

LONGEST_LABEL: Final = 22
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

Json = dict[str, Any]


def draw(panel: Panel) -> Json:
    """A panel as Plotly takes it; `var(--name)` stands for a colour that the page fills in."""
    data = [trace for mark in panel.marks for trace in _traces(mark)]
    shapes = [_shape(mark) for mark in panel.marks if isinstance(mark, Rule)]
    notes = [_note(mark) for mark in panel.marks if isinstance(mark, Rule) and mark.label]
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
        "shapes": shapes,
        "annotations": notes,
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
    if any(isinstance(mark, Cells) for mark in panel.marks):
        layout["xaxis"] |= {"showgrid": False, "side": "bottom", "tickangle": -45}
        layout["yaxis"] |= {"showgrid": False, "autorange": "reversed"}
    return {"data": data, "layout": layout}


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
    if axis.log:
        made["dtick"] = 1 if axis.ticks is None else None
    if axis.ticks is not None:
        made |= {
            "tickmode": "array",
            "tickvals": list(axis.ticks),
            "ticktext": [_text(shorten(label)) for label in axis.ticks.values()],
        }
    if axis.limits is not None:
        made["range"] = list(axis.limits)
    elif axis.reverse:
        made["autorange"] = "reversed"
    return {name: value for name, value in made.items() if value is not None}


def _traces(mark: Mark) -> Iterator[Json]:
    if isinstance(mark, Line):
        yield _line(mark)
    elif isinstance(mark, Band):
        yield _band(mark)
    elif isinstance(mark, Points):
        yield _points(mark)
    elif isinstance(mark, Bars):
        yield _bars(mark)
    elif isinstance(mark, Cells):
        yield _cells(mark)


def _line(line: Line) -> Json:
    shape = "hv" if line.step else "linear"
    made: Json = {
        "type": "scatter",
        "mode": "lines+markers" if line.symbol else "lines",
        "x": _numbers(line.x),
        "y": _numbers(line.y),
        "opacity": line.opacity,
        "line": {"color": _colour(line.colour), "width": line.width, "dash": line.dash},
        **_legend_and_hover(line.label, line.hover),
    }
    made["line"]["shape"] = shape
    if line.symbol:
        made["marker"] = {"symbol": line.symbol, "size": 7, "color": _colour(line.colour)}
    return made


def _band(band: Band) -> Json:
    """One closed outline, since two traces with a fill between them break where a value lacks."""
    known = [
        (x, low, high)
        for x, low, high in zip(band.x, band.low, band.high, strict=True)
        if low is not None and high is not None
    ]
    forth = [(x, high) for x, _, high in known]
    back = [(x, low) for x, low, _ in reversed(known)]
    return {
        "type": "scatter",
        "mode": "none",
        "x": _numbers([x for x, _ in forth + back]),
        "y": _numbers([y for _, y in forth + back]),
        "fill": "toself",
        "fillcolor": _colour(band.colour),
        "opacity": 0.2,
        **_legend_and_hover(band.label, ()),
    }


def _points(points: Points) -> Json:
    made: Json = {
        "type": "scatter",
        "mode": "markers",
        "x": _numbers(points.x),
        "y": _numbers(points.y),
        "marker": {
            "symbol": points.symbol,
            "size": points.size,
            "color": _colour(points.colour),
            "line": {"color": _colour(points.colour), "width": 1.5},
        },
        **_legend_and_hover(points.label, points.hover),
    }
    if points.low:
        centre = points.x if points.along == "x" else points.y
        made[f"error_{points.along}"] = {
            "type": "data",
            "symmetric": False,
            "array": _numbers([_minus(h, c) for h, c in zip(points.high, centre, strict=True)]),
            "arrayminus": _numbers([_minus(c, w) for w, c in zip(points.low, centre, strict=True)]),
            "color": _colour(points.colour),
            "thickness": 2,
            "width": 0,
        }
    return made


def _bars(bars: Bars) -> Json:
    fill = "rgba(0,0,0,0)" if bars.hollow else _colour(bars.colour)
    return {
        "type": "bar",
        "orientation": "h",
        "y": _numbers(bars.y),
        "x": _numbers(bars.length),
        "base": _numbers(bars.start),
        "width": bars.thickness,
        "marker": {"color": fill, "line": {"color": _colour(bars.colour), "width": 1}},
        **_legend_and_hover(bars.label, bars.hover),
    }


def _cells(cells: Cells) -> Json:
    return {
        "type": "heatmap",
        "z": [_numbers(row) for row in cells.shares],
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0, "var(--background)"], [1, _colour(cells.colour)]],
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        "text": [list(row) for row in cells.texts],
        "texttemplate": "%{text}",
        "textfont": {"size": 10},
        "hovertext": [[_text(cell) for cell in row] for row in cells.hover],
        "hoverinfo": "text",
    }


def _shape(rule: Rule) -> Json:
    ends: Json = {"x0": rule.at, "x1": rule.at, "yref": "paper", "y0": 0, "y1": 1}
    if rule.axis == "y":
        ends = {"y0": rule.at, "y1": rule.at, "xref": "paper", "x0": 0, "x1": 1}
    line = {"color": "var(--muted)", "width": 1, "dash": "dot"}
    return {"type": "line", "layer": "below", "line": line, **ends}


def _note(rule: Rule) -> Json:
    place: Json = {"x": rule.at, "y": 1, "yref": "paper", "xanchor": "left", "yanchor": "top"}
    if rule.axis == "y":
        place = {"y": rule.at, "x": 1, "xref": "paper", "xanchor": "right", "yanchor": "bottom"}
    return {"text": _text(rule.label), "showarrow": False, "font": {"size": 11}, **place}


def _legend_and_hover(label: str, hover: Sequence[str]) -> Json:
    """What the legend and a pointer say; `name` groups what a legend's button switches."""
    trace: Json = {"name": _text(label), "hoverinfo": "text" if hover else "skip"}
    if hover:
        trace["hovertext"] = [_text(each) for each in hover]
    return trace


def _colour(name: str) -> str:
    return f"var(--{name})"


def _text(text: str) -> str:
    """Text in which Plotly finds no mark-up; a newline breaks the line."""
    # A dollar is the sign of formulas, for which Plotly would ask for MathJax.
    return html.escape(text, quote=False).replace("$", "&#36;").replace("\n", "<br>")


def shorten(label: str, most: int = LONGEST_LABEL) -> str:
    """A label that fits beside an axis, line by line."""
    lines = label.split("\n")
    return "\n".join(line if len(line) <= most else f"{line[: most - 1]}…" for line in lines)


def _minus(a: Number, b: Number) -> Number:
    return None if a is None or b is None else a - b


def _numbers(values: Sequence[Number]) -> list[Number]:
    """Numbers with no more digits than a picture can show."""
    return [float(f"{v:.6g}") if isinstance(v, float) else v for v in values]


def legend(panels: Sequence[Panel]) -> Sequence[Mapping[str, str]]:
    """What the panels' marks stand for, each once, in order of appearance.

    Returns:
        For each entry its `label`, `name` (as in the traces), `colour`, `kind` and `dash`.
    """
    entries: dict[str, dict[str, str]] = {}
    for mark in (mark for panel in panels for mark in panel.marks):
        if isinstance(mark, Line | Band | Points | Bars) and mark.label:
            entry = entries.setdefault(mark.label, _entry(mark))
            if entry["colour"] != mark.colour:  # what each panel has in its own colour
                entry["colour"] = "muted"
    return list(entries.values())


def _entry(mark: Line | Band | Points | Bars) -> dict[str, str]:
    symbol = mark.symbol if isinstance(mark, Line | Points) else ""
    hollow = "yes" if isinstance(mark, Bars) and mark.hollow else ""
    return {
        "label": mark.label,
        "name": _text(mark.label),
        "colour": mark.colour,
        "kind": type(mark).__name__.lower(),
        "dash": mark.dash if isinstance(mark, Line) else "solid",
        "symbol": symbol,
        "hollow": hollow,
    }
