"""The report page: built from the tables alone, whole at any moment, the same bytes twice."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_record import record
from made_up_study import MadeUpStudy
from read_page import HOSTILE, Page, build

from orchestrator.analysis.answer import Answer
from orchestrator.analysis.section import Section
from orchestrator.config import flags as options
from orchestrator.config.settings import to_json
from orchestrator.report import inputs, page, study_page
from orchestrator.report import provenance as settings_sections
from orchestrator.results import files
from orchestrator.stats.predictions import split_runs


def test_of_one_family_no_page_asks_for_differences() -> None:
    asked = [study_page._question(families, "digits") for families in (["cnn"], ["cnn", "vit"])]
    assert "difference" not in asked[0]
    assert asked[1].endswith("cnn and vit on digits, each tuned, and is the difference real?")


@pytest.mark.usefixtures("shown")
def test_two_builds_are_the_same_bytes_and_under_ten_megabytes(study: Path) -> None:
    first = (study / "report.html").read_bytes()
    study_page.write_report(study)
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
    assert HOSTILE[0] in shown.topic("classes")
    (drawn,) = [text for text in shown.scripts if text.startswith('{"finals"')]
    ticks = json.loads(drawn)["confusion"][0]["layout"]["xaxis"]["ticktext"]
    assert ticks[0] == "&lt;script&gt;al…1)&lt;/script&gt;"  # Plotly reads its texts as mark-up
    assert ticks[1] == "a &amp; b"
    assert len(ticks[3]) < 30


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
    ) in shown.topic("")


def test_a_difference_that_may_be_none_is_not_called_one(tmp_path: Path) -> None:
    made = MadeUpStudy(
        families=("cnn", "resnet50_scratch"), fractions=(1.0,), test_images=40, seeds=1
    )
    text = build(made.write(tmp_path)).topic("")
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


def test_a_section_that_no_topic_asks_for_stands_in_further_evidence() -> None:
    new = Section(key="new/one", title="Something new", notes=("Look at 42.",))
    (topic,) = page.arrange([new], study_page.TITLES, {}, shown=())
    assert (topic.key, topic.sections) == ("further", [new])


def test_a_warning_stands_above_what_is_folded_away() -> None:
    warned = Section(key="stopping/ranks", title="Ranks", warnings=("do not trust it.",))
    (topic,) = page.arrange([warned], study_page.TITLES, {}, shown=())
    assert (topic.key, topic.sections, topic.open) == ("stopping", [warned], False)
    more = {"name": "", "state": "", "question": "", "demo": (), "warnings": (), "facts": ()}
    text = page.render(page.Page(**more, answer=Answer(headline=""), topics=[topic]))
    assert "<ul><li>do not trust it.</li></ul></div>\n<details" in text


def test_the_command_gives_the_same_settings_again(study: Path) -> None:
    given = ["--preset", "demo", "--set", "train_images=900", "--set", "space.cnn.dropout=0..0.5"]
    settings = options.settings_of(options.parse(["--families", "cnn", *given]), None)
    made = inputs.read(study)
    stored = record({**made.study.raw, "settings": {**to_json(settings), "families": ["cnn"]}})
    line = settings_sections.command(
        inputs.Inputs(study=stored, status=made.status, tables=made.tables)
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
            "class 199",
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
        text = build(folder).topic("")
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
    assert "No answer yet: the study is interrupted" in shown.topic("")
    assert "Differences in test accuracy" not in shown.everything


def test_examples_are_test_images_that_are_taken_for_another_class(tmp_path: Path) -> None:
    from orchestrator.analysis.confusion_examples import (
        SHOWN_AS_IMAGES,
        certain_but_wrong,
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
    confused = {index for each in found for index in each.examples}
    doubtful = certain_but_wrong(runs).image_index[:SHOWN_AS_IMAGES]
    assert set(read_examples(folder)) == confused | set(doubtful)
    shown = build(folder)
    pictures = [value for tag, name, value in shown.attributes if (tag, name) == ("img", "src")]
    assert len(pictures) == sum(len(each.examples) for each in found) + len(doubtful)
    assert f"{found[0].wrong} of {found[0].images}" in shown.topic("classes")
