"""The report page: built from the tables alone, whole at any moment, the same bytes twice."""

import html.parser
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_up_study import MadeUpStudy

from orchestrator.analysis.section import Section
from orchestrator.config import flags as options
from orchestrator.config.settings import to_json
from orchestrator.report import __main__ as report
from orchestrator.report import draw_plotly as interactive
from orchestrator.report import inputs, page, study_page, style, write
from orchestrator.report import provenance as settings_sections
from orchestrator.report.chapters import arrange
from orchestrator.results import files
from orchestrator.stats.predictions import split_runs

HOSTILE = ("<script>alert(1)</script>", "a & b", "$x$ %{y} <b>c</b>", "d" * 200)


class Page(html.parser.HTMLParser):
    """The page as a browser reads it: text by chapter, attributes, scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text: dict[str, list[str]] = {"": []}
        self.scripts: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self._chapter, self._inside = "", ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.attributes += [(tag, name, value) for name, value in named.items()]
        if tag == "section":
            self._chapter = named["id"]
        if tag in {"script", "style"}:
            self._inside = tag
        self.text.setdefault(self._chapter, []).append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif not self._inside:
            self.text[self._chapter].append(data)

    def chapter(self, key: str) -> str:
        return "".join(self.text[key])

    @property
    def everything(self) -> str:
        return "".join(self.chapter(key) for key in self.text)


def build(folder: Path) -> Page:
    write.write_report(folder)
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MadeUpStudy(classes=HOSTILE).write(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def read(study: Path) -> inputs.Inputs:
    return inputs.read(study)


@pytest.fixture(scope="module")
def composed(read: inputs.Inputs) -> page.Page:
    return study_page.compose(read)


@pytest.fixture(scope="module")
def shown(study: Path, composed: page.Page) -> Page:
    text = page.render(composed)
    (study / "report.html").write_text(text, encoding="utf-8")
    return Page(text)


@pytest.mark.usefixtures("shown")
def test_two_builds_are_the_same_bytes_and_under_ten_megabytes(study: Path) -> None:
    first = (study / "report.html").read_bytes()
    write.write_report(study)
    assert (study / "report.html").read_bytes() == first
    assert len(first) < 10_000_000


def test_two_processes_whose_sets_are_in_another_order_build_the_same_bytes(tmp_path: Path) -> None:
    folder = MadeUpStudy(trials=12, seeds=1).write(tmp_path)
    pages = set()
    for order in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": order}
        command = [sys.executable, "-m", "orchestrator.report", str(folder)]
        subprocess.run(command, check=True, capture_output=True, env=environment)
        pages.add((folder / "report.html").read_bytes())
    assert len(pages) == 1


def test_the_page_asks_for_nothing(shown: Page) -> None:
    addresses = [value for _, name, value in shown.attributes if name in {"src", "href"}]
    assert addresses
    assert all(value.startswith(("#", "data:")) for value in addresses)
    (policy,) = [v for _, name, v in shown.attributes if name == "content" and "default-src" in v]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "script-src 'sha256-" in policy


def test_names_of_classes_are_text_wherever_they_stand(study: Path, shown: Page) -> None:
    raw = (study / "report.html").read_text(encoding="utf-8")
    assert HOSTILE[0] not in raw
    assert HOSTILE[0] in shown.chapter("classes")
    (drawn,) = [text for text in shown.scripts if text.startswith('{"finals"')]
    ticks = json.loads(drawn)["confusion"][0]["layout"]["xaxis"]["ticktext"]
    assert ticks[0].startswith("&lt;script&gt;alert(1)")  # Plotly reads its texts as mark-up
    assert ticks[1] == "a &amp; b"
    assert len(ticks[3]) < 30


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
        assert chart.numbers is not None
        assert chart.numbers.rows, chart.key


def test_the_answer_is_that_of_the_tables(study: Path, shown: Page) -> None:
    final, pairs = (pd.read_parquet(study / f"{n}.parquet") for n in ("final", "comparison"))
    tuned = final[(final.role == "tuned") & (final.train_fraction == 1.0)]
    means = tuned.groupby("family", observed=True).test_accuracy.mean().sort_values()
    best, second = means.index[-1], means.index[-2]
    row = pairs[
        (pairs.train_fraction == 1.0)
        & (pairs.metric == "accuracy")
        & pairs.seed.isna()
        & (pairs.a_role == "tuned")
        & (pairs.b_role == "tuned")
        & pairs.a_family.isin([best, second])
        & pairs.b_family.isin([best, second])
    ].iloc[0]
    sign = 1 if row.difference > 0 else -1
    low, high = sorted((sign * row.ci_low, sign * row.ci_high))
    verdict = "excludes" if low > 0 else "includes"
    assert (
        f"{best} is the most accurate of 3: {means.iloc[-1]:.2%} on the test set, "
        f"{100 * abs(row.difference):.2f} percentage points above {second} (95% interval "
        f"{100 * low:.2f} to {100 * high:.2f}, which {verdict} 0)."
    ) in shown.chapter("")


def test_a_difference_that_may_be_none_is_not_called_one(tmp_path: Path) -> None:
    made = MadeUpStudy(
        families=("cnn", "resnet50_scratch"), fractions=(1.0,), test_images=40, seeds=1
    )
    text = build(made.write(tmp_path)).chapter("")
    assert "cannot be told apart" in text
    assert "which includes 0" in text
    assert "training noise is not in the interval" in text


def test_the_median_curve_is_that_of_the_table(study: Path, composed: page.Page) -> None:
    epochs = pd.read_parquet(study / "epochs.parquet")
    chart = next(chart for chart in composed.charts if chart.key == "learning-curves")
    for panel in chart.panels:
        own = epochs[epochs.family == panel.title].groupby("epoch").validation_accuracy
        (median,) = [m for m in panel.marks if getattr(m, "label", "") == "median"]
        assert list(median.y) == pytest.approx((100 * own.median()).tolist())
        (band,) = [m for m in panel.marks if getattr(m, "label", "") == "middle half"]
        assert list(band.high) == pytest.approx((100 * own.quantile(0.75)).tolist())


def test_the_timeline_has_every_trial_once_and_none_beside_another_in_its_row(
    study: Path, composed: page.Page
) -> None:
    trials, final = (pd.read_parquet(study / f"{n}.parquet") for n in ("trials", "final"))
    chart = next(chart for chart in composed.charts if chart.key == "timeline")
    bars = [
        (y, start, start + length, hover.splitlines()[0])
        for mark in chart.panels[0].marks
        for y, start, length, hover in zip(mark.y, mark.start, mark.length, mark.hover, strict=True)
    ]
    assert sorted(name for *_, name in bars) == sorted([*trials.trial_id, *final.trial_id])
    rows: dict[float, float] = {}
    for y, start, end, _ in sorted(bars, key=lambda bar: bar[1]):
        assert start >= rows.get(y, 0) - 1e-9
        rows[y] = end


def test_a_section_that_no_chapter_asks_for_stands_in_further_evidence(
    read: inputs.Inputs,
) -> None:
    new = Section(title="Something new", sentences=("Look at 42.",))
    (chapter,) = [each for each in arrange(read, [new]).chapters if each.sections]
    assert (chapter.key, chapter.sections) == ("further", (new,))


def test_a_warning_stands_above_what_is_folded_away(read: inputs.Inputs) -> None:
    warned = Section(title="Early stopping: ranks", sentences=("Warning: do not trust it.",))
    chapters = arrange(read, [warned]).chapters
    assert [each.warnings for each in chapters if each.warnings] == [("do not trust it.",)]


def test_the_command_gives_the_same_settings_again(study: Path) -> None:
    given = ["--preset", "demo", "--set", "train_images=900", "--set", "space.cnn.dropout=0..0.5"]
    settings = options.settings_of(options.parse(["--families", "cnn", *given]), None)
    made = inputs.read(study)
    stored = {**made.study, "settings": {**to_json(settings), "families": ["cnn"]}}
    line = settings_sections.command(
        inputs.Inputs(study=stored, standing=made.standing, tables=made.tables)
    )
    again = options.settings_of(options.parse(shlex.split(line)[3:]), None)
    assert to_json(again) == to_json(settings)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (MadeUpStudy(finished=False), "No answer yet: the study is interrupted; 26 of 27 trials"),
        (MadeUpStudy(finished=False, begun=False), "0 of 27 trials have ended"),
        (MadeUpStudy(begun=False), "No answer: no family has a tuned model that was tested."),
        (MadeUpStudy(families=("cnn",), trials=1, seeds=1), "Nothing to compare: cnn alone"),
        (
            MadeUpStudy(classes=tuple(f"class {i}" for i in range(200)), fractions=(1.0,)),
            "The 20 of 200 classes with the lowest mean recall are shown.",
        ),
    ],
    ids=["running", "nothing yet", "none finished", "one trial", "200 classes"],
)
def test_a_study_of_any_size_and_at_any_moment_has_a_page(
    tmp_path: Path, made: MadeUpStudy, says: str
) -> None:
    shown = build(made.write(tmp_path))
    assert says in shown.everything
    assert not re.search(r"\b(nan|None|inf)\b", shown.everything)


def test_a_study_that_runs_says_so_and_how_far(tmp_path: Path) -> None:
    from orchestrator.results.lock import holding

    folder = MadeUpStudy(finished=False).write(tmp_path)
    with holding(folder):
        text = build(folder).chapter("")
    assert "the study is running; 26 of 27 trials have ended and the finals have not begun" in text
    assert "are left" in text


def test_tables_that_are_not_there_yet_count_as_empty(tmp_path: Path) -> None:
    folder = MadeUpStudy(finished=False).write(tmp_path)
    for name in ("final", "predictions", "comparison", "final_epochs", "rungs", "events"):
        (folder / f"{name}.parquet").unlink()
    assert "26 of 27 trials have ended" in build(folder).everything


def test_what_was_compared_before_an_extension_is_not_shown_as_the_answer(tmp_path: Path) -> None:
    folder = MadeUpStudy(entries={"outcome": "interrupted"}).write(tmp_path)
    shown = build(folder)
    assert "No answer yet: the study is interrupted" in shown.chapter("")
    assert "Differences in test accuracy" not in shown.everything


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "study.json").unlink(), "has no study.json"),
        (lambda folder: (folder / "trials.parquet").write_bytes(b"not a table"), "arquet"),
    ],
)
def test_a_folder_that_cannot_be_shown_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Any, message: str
) -> None:
    folder = MadeUpStudy(finished=False, begun=False).write(tmp_path)
    damage(folder)
    assert report.main([str(folder)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not (folder / "report.html").exists()


def test_help_answers_without_the_heavy_imports() -> None:
    code = (
        "import sys; from orchestrator.report.__main__ import _parser; _parser().format_help(); "
        "print(sorted({'numpy', 'pyarrow', 'plotly', 'jinja2', 'torch', 'ray'} & {*sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


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


def test_examples_are_test_images_that_are_taken_for_another_class(tmp_path: Path) -> None:
    from orchestrator.analysis.confusion_examples import (
        read_examples,
        worst_confusions,
        write_examples,
    )

    folder = MadeUpStudy(fractions=(1.0,)).write(tmp_path)
    runs = split_runs(files.read_table(folder, "predictions"))
    images = np.random.default_rng(0).integers(0, 255, (400, 8, 8, 3), dtype=np.uint8)
    write_examples(folder, runs, images)
    found = worst_confusions(runs)
    predictions = pd.read_parquet(folder / "predictions.parquet")
    for each in found:
        own = predictions[
            (predictions.family == each.family)
            & (predictions.role == "tuned")
            & (predictions.label == each.label)
            & (predictions.predicted == each.predicted)
        ]
        assert each.wrong == len(own)
        assert set(each.examples) <= set(own.image_index)
        assert len(each.examples) == min(6, own.image_index.nunique())
    assert set(read_examples(folder)) == {index for each in found for index in each.examples}
    shown = build(folder)
    pictures = [value for tag, name, value in shown.attributes if (tag, name) == ("img", "src")]
    assert len(pictures) == sum(len(each.examples) for each in found)
    assert f"{found[0].wrong} of {found[0].images}" in shown.chapter("classes")


def test_several_studies_are_one_page_and_nothing_is_written_into_their_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [
        MadeUpStudy(fractions=(1.0,), families=("cnn", "resnet50_scratch"), trials=trials).write(
            tmp_path / name
        )
        for name, trials in (("first", 9), ("<b>second", 12))
    ]
    before = {path: path.read_bytes() for folder in folders for path in folder.iterdir()}
    output = tmp_path / "both.html"
    assert report.main([*map(str, folders), "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    assert {path: path.read_bytes() for folder in folders for path in folder.iterdir()} == before
    shown = Page(output.read_text(encoding="utf-8"))
    assert set(shown.text) == {"", "differs", "results", "pairs", "effort", "openings"}
    assert "of 4 differences in test accuracy have an interval that excludes 0" in shown.chapter("")
    assert "first minus <b>second" in shown.chapter("pairs")
    assert "<b>second" not in output.read_text(encoding="utf-8")


def test_an_output_for_one_study_is_refused_in_one_line(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        report.main([str(study), "--output", "x.html"])
    assert ended.value.code == 2
    assert "--output is for two or more studies" in capsys.readouterr().err
