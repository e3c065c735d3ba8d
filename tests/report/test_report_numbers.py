"""Every number that a page shows is what its study's tables give, computed without our code."""

import json
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from made_up_study import MadeUpStudy
from recomputing.of_search import seconds_left
from recomputing.studies import tables_of_studies
from recomputing.study import Recomputed
from recomputing.walk import check, check_answer, expected_page, one_line, page_tables, same

from orchestrator.analysis.section import Section
from orchestrator.report import inputs, page, studies_page, study_page
from orchestrator.results.lock import holding

CLOSE = ("cnn", "resnet50_scratch")
"""Two families that 100 test images do not tell apart."""


def made_up(folder: Path, **given: object) -> Path:
    """A study with intervals as those of a real one."""
    return MadeUpStudy(**{"draws": 2000, "test_images": 200, **given}).write(folder)


def sections_of(composed: page.Page) -> dict[str, Section]:
    """All that have a table, by their keys."""
    numbers = [chart.numbers for chart in composed.charts if chart.numbers]
    listed = [each for topic in composed.topics for each in topic.sections] + numbers
    assert len({each.key for each in listed}) == len(listed)
    return {each.key: each for each in listed if len(each.table)}


def tables_of(composed: page.Page) -> dict[str, pd.DataFrame]:
    return {key: section.table for key, section in sections_of(composed).items()}


def wrong_in(composed: page.Page) -> list[str]:
    """Keys of tables that a reader of the page does not see as their sections have them."""
    shown = page_tables(page.render(composed))
    expected = {
        key.replace("/", "-"): [[*map(one_line, row)] for row in (own.formats, *own.cells())]
        for key, own in sections_of(composed).items()
    }
    return [key for key in {**shown, **expected} if shown.get(key) != expected.get(key)]


@dataclass(frozen=True)
class Checked:
    """A study's page, and what its tables must be."""

    composed: page.Page
    expected: dict[str, pd.DataFrame]

    @property
    def shown(self) -> dict[str, pd.DataFrame]:
        return tables_of(self.composed)


def checked(study: Path) -> Checked:
    return Checked(study_page.compose(inputs.read(study)), expected_page(study))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    return checked(made_up(tmp_path_factory.mktemp("study") / "made up", trials=16))


def searched_at_each_fraction() -> dict[str, Any]:
    """A study whose smaller fraction has a search of its own."""
    given: dict[str, Any] = {"fractions": (0.1, 1.0), "trials": 6, "families": ("cnn", "other")}
    search = MadeUpStudy(**given).search()
    for name in ("trials", "epochs", "rungs"):
        moved = [
            {**row, "trial_id": row["trial_id"].replace("-", "-f0.1-"), "train_fraction": 0.1}
            for row in search[name]
        ]
        for row in moved if name != "trials" else ():
            del row["train_fraction"]
            row["sequence"] += 10_000
        search[name] = [*search[name], *moved]
    return {**given, "given": search, "settings": {"tune_per_fraction": True}}


@pytest.mark.parametrize(
    ("given", "least"),
    [
        ({"seeds": 1, "trials": 6, "fractions": (0.05, 0.3, 1.0)}, 2000),
        ({"seeds": 2, "trials": 25, "families": ("cnn", "resnet50_transfer")}, 1500),
        ({"families": ("cnn",), "trials": 1, "seeds": 1}, 300),
        (
            {
                "classes": tuple(f"class {i}" for i in range(24)),
                "fractions": (1.0,),
                "families": ("cnn", "resnet50_transfer"),
            },
            1400,
        ),
        ({"trials": 70, "families": ("cnn",), "seeds": 2, "fractions": (1.0,)}, 600),
        (searched_at_each_fraction(), 1500),
        ({"identical": ("cnn",), "never_predicted": ("cnn",)}, 2000),
        ({"families": CLOSE, "seeds": 2, "fractions": (1.0,), "test_images": 100}, 900),
        (
            {
                "families": CLOSE,
                "seeds": 2,
                "fractions": (1.0,),
                "test_images": 100,
                "identical": CLOSE,
            },
            800,
        ),
        ({"finished": False}, 900),
        ({"finished": False, "begun": False}, 150),
    ],
    ids=[
        "one seed",
        "two families",
        "one trial",
        "many classes",
        "many trials",
        "tuned per fraction",
        "a baseline that won",
        "not told apart",
        "not told apart, baselines that won",
        "running",
        "just begun",
    ],
)
def test_every_cell_of_a_page_is_what_its_tables_give(
    tmp_path: Path, given: dict[str, object], least: int
) -> None:
    its = checked(made_up(tmp_path, **given))
    cells, problems = check(its.expected, its.shown)
    assert problems == []
    assert cells > least
    assert wrong_in(its.composed) == []


def test_every_cell_of_a_page_of_many_trials_is_what_its_tables_give(whole: Checked) -> None:
    cells, problems = check(whole.expected, whole.shown)
    assert problems == []
    assert cells > 2500
    assert wrong_in(whole.composed) == []


def test_the_numbers_of_the_answer_are_those_of_the_tables(whole: Checked) -> None:
    results, differences = (whole.expected[f"{name}/1"] for name in ("results", "differences"))
    best = results[results.role == "tuned"].sort_values("test_accuracy").iloc[-1]
    facts = pd.DataFrame([{"level": 0.95, "zero": 0, "test": 200, "train": 45_000, "of": 3}])
    lines = [whole.composed.answer.headline, *whole.composed.answer.details]
    assert lines[0].startswith(f"{best.family} is the most accurate of 3")
    accuracy = f"{100 * best.test_accuracy:.2f}%"
    assert accuracy in lines[0]
    known = {"results": results, "differences": differences, "facts": facts}
    numbers, problems = check_answer(lines, known)
    assert problems == []
    assert numbers > 15
    changed = [line.replace(accuracy, "12.34%") for line in lines]
    assert check_answer(changed, known)[1] == ["no table has the 12.34% of the answer"]


@pytest.mark.parametrize("begun_finals", [0, 7])
def test_how_far_a_running_study_is_and_how_long_it_takes_is_what_its_tables_give(
    tmp_path: Path, begun_finals: int
) -> None:
    given = {"fractions": (1.0,), "trials": 12, "entries": {"outcome": "running"}}
    study = made_up(tmp_path, finished=bool(begun_finals), **given)
    if begun_finals:
        rows_of = {"final": 1, "final_epochs": 9, "predictions": 200}
        for name, rows in ((name, begun_finals * rows) for name, rows in rows_of.items()):
            path = study / f"{name}.parquet"
            pq.write_table(pq.read_table(path).slice(0, rows), path)
    with holding(study):
        its, status = checked(study), inputs.read(study).status
    assert status.time_left_seconds == pytest.approx(seconds_left(Recomputed(study)))
    ended = 36 if begun_finals else 35
    how_far = "7 of 18 final runs are done" if begun_finals else "the finals have not begun"
    assert f"{ended} of 36 trials have ended and {how_far}" in its.composed.answer.headline
    assert check(its.expected, its.shown)[1] == []


def test_every_cell_of_the_page_of_several_studies_is_what_their_tables_give(
    tmp_path: Path,
) -> None:
    two = ("cnn", "resnet50_transfer")
    folders = [
        made_up(tmp_path / "first", fractions=(1.0,), families=two),
        made_up(tmp_path / "second", trials=12, seeds=2),
        made_up(tmp_path / "third", classes=("cat", "dog"), fractions=(1.0,), families=two),
    ]
    written = folders[1] / "study.json"
    content = json.loads(written.read_text(encoding="utf-8"))
    content["dataset"]["notes"] = []  # older studies have no such entry
    written.write_text(json.dumps(content), encoding="utf-8")
    composed = studies_page.compose(folders)
    cells, problems = check(dict(tables_of_studies(folders)), tables_of(composed))
    assert problems == []
    assert cells > 200
    assert wrong_in(composed) == []


def test_a_cell_that_is_off_is_found(whole: Checked) -> None:
    draw, shown, missed = random.Random(0), whole.shown, []
    cells = [(k, row, name) for k, own in shown.items() for row in range(len(own)) for name in own]
    for key, row, name in draw.sample(cells, 400):
        values: list[Any] = shown[key][name].to_list()
        values[row] = _off(values[row], draw)
        wrong = shown[key].assign(**{name: pd.Series(values, shown[key].index, dtype=object)})
        if len(check({key: whole.expected[key]}, {key: wrong})[1]) != 1:
            missed.append((key, row, name, values[row]))
    assert missed == []


def _off(cell: Any, draw: random.Random) -> Any:
    """A cell whose number is another in its last digit, or by 1 in 10,000, or whose word is."""
    if isinstance(cell, str):
        digits = [place for place, letter in enumerate(cell) if letter.isdigit()]
        if not digits:
            return f"{cell}x"
        digit = (int(cell[digits[-1]]) + draw.randint(2, 8)) % 10
        return f"{cell[: digits[-1]]}{digit}{cell[digits[-1] + 1 :]}"
    if isinstance(cell, list):
        return cell[:-1]
    # Both away from 0: else they cancel each other near -0.01.
    return 1.5 if cell is None or pd.isna(cell) else cell * 1.0001 + math.copysign(1e-6, cell)


def test_what_is_shown_too_much_or_not_at_all_is_found(whole: Checked) -> None:
    for key, own in whole.shown.items():
        expected = {key: whole.expected[key]}
        assert check({}, {key: own})[1] == [f"{key} has {len(own)} rows, not 0"]
        for wrong in (own[:-1], own.drop(columns=own.columns[-1]), own.assign(more=1)):
            assert len(check(expected, {key: wrong})[1]) == 1
        assert len(check(expected, {})[1]) == 1


def test_a_cell_that_the_page_shows_otherwise_is_found(
    whole: Checked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "whole", lambda cell: cell.replace("71.", "72."))
    assert "results/1".replace("/", "-") in wrong_in(whole.composed)


def test_a_text_that_is_not_the_rounding_of_its_value_is_found() -> None:
    assert same("12.35%", 0.123549)
    assert not same("12.35%", 0.12356)
    assert same("1,234", 1234.4)
    assert not same("1,234", None)
    assert same("—", float("nan"))
    assert not same(0.5, None)
    assert not same(None, 0.5)
    assert same(0.5, 0.5 + 1e-7)
    assert not same(0.5, 0.5 + 1e-6)
