"""Figures: drawn by Plotly and for a paper, said in words and tables, told from their ground."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from orchestrator.report import draw_plotly as interactive
from orchestrator.report import page, style


def test_every_figure_is_one_that_plotly_draws(composed: page.Page) -> None:
    import plotly.graph_objects as go

    keys = [chart.key for chart in composed.charts]
    assert keys == [
        "finals",
        "differences",
        "sample-efficiency",
        "learning-curves",
        "best-so-far",
        "early-stopping",
        "hyperparameters",
        "importances",
        "confusion",
        "timeline",
    ]
    for chart in composed.charts:
        for panel in chart.panels:
            drawn = json.dumps(interactive.draw(panel))
            filled = re.sub(r"var\(--([a-z0-9-]+)\)", lambda m: _colour(m[1]), drawn)
            go.Figure(json.loads(filled))  # refuses a property or a value that there is not


def _colour(name: str) -> str:
    return style.colours(dark=True)[name]


def test_every_figure_says_its_numbers_in_words_and_in_a_table(composed: page.Page) -> None:
    for chart in composed.charts:
        assert re.search(r"\d", chart.alt), chart.key
        assert re.search(r"\d", chart.finding), chart.key
        assert chart.finding.endswith("."), chart.key
    for topic in composed.topics:
        tables = [chart.numbers for chart in topic.charts if chart.numbers] + list(topic.sections)
        assert not topic.charts or any(len(each.table) for each in tables), topic.key


def test_figures_for_a_paper_are_the_same_bytes_twice(tmp_path: Path, composed: page.Page) -> None:
    from orchestrator.report.draw_matplotlib import write_figures

    charts = [chart for chart in composed.charts if chart.key in {"differences", "confusion"}]
    first, second = (write_figures(charts, tmp_path / name) for name in ("one", "two"))
    assert sorted(path.name for path in first) == [
        "confusion.png",
        "confusion.svg",
        "differences.png",
        "differences.svg",
    ]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_and_marks_stand_out_from_their_background(dark: bool) -> None:
    colours = style.colours(dark=dark)
    for name, ground in (
        *((name, "background") for name in ("ink", "muted", *(f"family-{i}" for i in range(6)))),
        ("muted", "surface"),
        ("ink", "warning-surface"),
    ):
        assert _contrast(colours[name], colours[ground]) >= 4.5, (name, ground)


def _contrast(a: str, b: str) -> float:
    """WCAG 2.2's contrast ratio of two colours."""

    def luminance(colour: str) -> float:
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
