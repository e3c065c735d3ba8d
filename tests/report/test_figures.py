"""Figures: drawn by Plotly and for a paper, said in words and tables, told from their ground."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_up_curves import curve
from made_up_study import MadeUpStudy

from orchestrator.report import draw_plotly as interactive
from orchestrator.report import inputs, page, style
from orchestrator.report.chart import Axis, Panel
from orchestrator.report.figures import (
    anytime_performance,
    confusion,
    differences,
    finals,
    sample_efficiency,
)


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


def test_who_leads_is_said_of_sizes_that_two_families_were_tested_at() -> None:
    a = curve({100: 0.9, 1000: 0.9, 10_000: 0.9})
    assert sample_efficiency._finding({"a": a, "b": curve({1000: 0.7, 10_000: 0.9})}) == (
        "With the fewest images, 1,000, a is 20.00 points ahead of b; with the most, 10,000, a and "
        "b are level."
    )
    assert sample_efficiency._finding({"a": a, "b": curve({50: 0.7})}).startswith("a goes from 90")


def test_who_was_best_is_said_of_families_that_had_something_and_of_all_that_were() -> None:
    def steps(*rows: tuple[float, float]) -> pd.DataFrame:
        return pd.DataFrame([*rows, rows[-1]], columns=["spent", "best"])

    found = {"late": steps((15, 0.9)), "a": steps((5, 0.6), (10, 0.7)), "b": steps((9, 0.7))}
    assert "every search had, b was best with 70.00%" in anytime_performance._finding(found)
    found["b"] = steps((10, 0.7))
    assert "every search had, a and b were best with 70.00%" in anytime_performance._finding(found)


def test_certain_is_what_survives_the_correction_for_all_pairs() -> None:
    row = {"metric": "accuracy", "seed": None, "difference": 0.2, "ci_low": 0.1, "ci_high": 0.3}
    row |= {f"{side}_{name}": name for side in "ab" for name in ("study", "family", "role")}
    for p_value, said in ((0.04, "1 of 1 difference"), (0.06, "0 of 1 difference")):
        chart = differences.side_by_side([{**row, "p_value_holm": p_value}])
        assert chart is not None
        assert chart.finding.startswith(f"{said} in test accuracy is certain after")
    alike = row | dict.fromkeys(("difference", "ci_low", "ci_high"), 0.0) | {"p_value_holm": 1.0}
    chart = differences.side_by_side([alike])
    assert chart is not None
    assert chart.finding.endswith("for all pairs; each is 0.00.")


def test_seeds_that_found_the_same_are_not_said_to_lie_apart() -> None:
    model: Any = {("cnn", "tuned"): [{"test_accuracy": 0.5}, {"test_accuracy": 0.50003}]}
    assert finals._finding(model).startswith("The seeds of each model lie together")
    model["cnn", "tuned"].append({"test_accuracy": 0.6})
    assert finals._finding(model).startswith("The seeds of cnn tuned lie furthest apart")


def test_a_class_without_a_test_image_is_said_to_have_none(tmp_path: Path) -> None:
    study = MadeUpStudy(classes=("a", "b", "c"), test_images=2, trials=1, seeds=1)
    chart = confusion.figure(inputs.read(study.write(tmp_path)))
    assert chart is not None
    for panel in chart.panels:
        assert {*panel.marks[0].cells[2]} == {"c has no test image"}
    assert "0 of 0" not in chart.alt


def test_a_name_that_turns_letters_round_does_not() -> None:
    assert page.ENVIRONMENT.from_string("{{ name }}").render(name="\u202e<i>") == "?&lt;i&gt;"
    panel = Panel(marks=(), x=Axis.of_rows(["\u202edog"]), y=Axis())
    assert interactive.draw(panel)["layout"]["xaxis"]["ticktext"] == ["?dog"]


def test_long_labels_keep_both_ends() -> None:
    labels = [f"timm/vit_base_patch16_224.augreg_in21k{end}" for end in ("", "@frozen")]
    panel = Panel(marks=(), x=Axis.of_rows(labels), y=Axis())
    shown = interactive.draw(panel)["layout"]["xaxis"]["ticktext"]
    assert shown == ["timm/vit_b…ugreg_in21k", "timm/vit_b…n21k@frozen"]


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
