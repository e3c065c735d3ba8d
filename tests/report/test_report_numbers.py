"""Every number that a report shows is what its tables give, computed again without our code."""

import random
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from made_up_study import MadeUpStudy
from recomputing.shown import ANY_NUMBER, Table, agrees, read_page
from recomputing.study import Recomputed
from recomputing.walk import check_report, check_sentences, check_studies, check_tables

from orchestrator.analysis.confusion_examples import write_examples
from orchestrator.report import __main__ as report
from orchestrator.report import write
from orchestrator.results import files
from orchestrator.results.lock import holding
from orchestrator.stats.predictions import split_runs


def made_up(folder: Path, **given: object) -> Path:
    """A study with intervals as those of a real one."""
    return MadeUpStudy(**{"draws": 2000, "test_images": 200, **given}).write(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = made_up(tmp_path_factory.mktemp("study") / "made up", trials=16)
    runs = split_runs(files.read_table(study, "predictions"))
    images = np.random.default_rng(0).integers(0, 255, (200, 8, 8, 3), dtype=np.uint8)
    write_examples(study, runs, images)
    write.write_report(study)
    return study


def test_every_number_of_a_report_is_what_its_tables_give(folder: Path) -> None:
    checked, problems = check_report(folder)
    assert problems == []
    assert checked > 3000


@pytest.mark.parametrize(
    ("given", "least"),
    [
        ({"seeds": 1, "trials": 6, "fractions": (0.05, 0.3, 1.0)}, 2000),
        ({"seeds": 2, "trials": 25, "families": ("cnn", "resnet50_transfer")}, 1500),
        ({"families": ("cnn",), "trials": 1, "seeds": 1}, 400),
        (
            {
                "classes": tuple(f"class {i}" for i in range(24)),
                "fractions": (1.0,),
                "families": ("cnn", "resnet50_transfer"),
            },
            3000,
        ),
        ({"trials": 70, "families": ("cnn",), "seeds": 2, "fractions": (1.0,)}, 900),
        ({"finished": False}, 1000),
        ({"finished": False, "begun": False}, 80),
    ],
    ids=[
        "one seed",
        "two families",
        "one trial",
        "many classes",
        "many trials",
        "running",
        "just begun",
    ],
)
def test_the_same_holds_of_studies_of_other_shapes(
    tmp_path: Path, given: dict[str, object], least: int
) -> None:
    study = made_up(tmp_path, **given)
    write.write_report(study)
    checked, problems = check_report(study)
    assert problems == []
    assert checked > least


def test_what_a_budget_ended_is_what_its_tables_give(tmp_path: Path) -> None:
    names = ("cnn", "resnet50_transfer")
    study = made_up(
        tmp_path,
        fractions=(1.0,),
        families=names,
        settings={"trials": 40, "budget_gpu_hours": 0.3, "time_budget": 2},
        entries={"closed": {name: {"trials": 9, "setting": "time_budget"} for name in names}},
    )
    write.write_report(study)
    assert "and 2 hours of wall time" in (study / "report.html").read_text(encoding="utf-8")
    assert check_report(study)[1] == []


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
        write.write_report(study)
    text = (study / "report.html").read_text(encoding="utf-8")
    how_far = "7 of 18 final runs are done" if begun_finals else "the finals have not begun"
    assert f"{how_far}. If it goes on as so far, about" in text
    checked, problems = check_report(study)
    assert problems == []
    assert checked > 1000


def test_every_number_of_the_page_of_several_studies_is_what_their_tables_give(
    tmp_path: Path,
) -> None:
    two = ("cnn", "resnet50_transfer")
    folders = [
        made_up(tmp_path / "first", fractions=(1.0,), families=two),
        made_up(tmp_path / "second", trials=12, seeds=2),
        made_up(tmp_path / "third", classes=("cat", "dog"), fractions=(1.0,), families=two),
    ]
    page = tmp_path / "all.html"
    assert report.main([*map(str, folders), "--output", str(page)]) == 0
    checked, problems = check_studies(folders, page)
    assert problems == []
    assert checked > 200
    changed = page.read_text(encoding="utf-8").replace(" of 4 differences", " of 5 differences")
    page.write_text(changed, encoding="utf-8")
    assert len(check_studies(folders, page)[1]) == 1


def test_a_number_that_is_off_in_its_last_digit_is_found(folder: Path) -> None:
    r, draw = Recomputed(folder), random.Random(0)
    tables, sentences = read_page((folder / "report.html").read_text(encoding="utf-8"))
    rows = [
        (table, row)
        for table in tables
        if not table.title.startswith(("Settings", "Where the best rose"))
        for row in table.rows
    ]
    missed = []
    for sentence in draw.sample(_with_numbers(sentences), 60):
        wrong = _off(sentence, draw)
        if not any(problem for _, problem in check_sentences([wrong], r)):
            missed.append(wrong)
    for table, row in draw.sample(rows, 60):
        place = draw.choice([i for i, cell in enumerate(row) if ANY_NUMBER.search(cell)] or [None])
        if place is not None:
            wrong_row = [_off(cell, draw) if i == place else cell for i, cell in enumerate(row)]
            wrong_table = Table(table.title, table.columns, [wrong_row])
            if not any(problem for _, problem in check_tables([wrong_table], r)):
                missed.append(str(wrong_row))
    # It may become another true statement, such as one on a trial that took as long.
    assert len(missed) <= 3, missed


def _with_numbers(sentences: list[str]) -> list[str]:
    return [each for each in dict.fromkeys(sentences) if ANY_NUMBER.search(each)]


def _off(text: str, draw: random.Random) -> str:
    """The text with the last digit of one of its numbers changed by 2 or more."""
    found = draw.choice([*ANY_NUMBER.finditer(text)])
    place = found.start() + max(i for i, c in enumerate(found[0].split("e")[0]) if c.isdigit())
    digit = (int(text[place]) + draw.randint(2, 8)) % 10
    return f"{text[:place]}{digit}{text[place + 1 :]}"


def test_a_changed_setting_is_found(folder: Path) -> None:
    tables, _ = read_page((folder / "report.html").read_text(encoding="utf-8"))
    r = Recomputed(folder)
    settings = [table for table in tables if table.title.startswith("Settings")]
    assert len(settings) == 5
    for table in settings:
        for row in range(len(table.rows)):
            rows = [list(each) for each in table.rows]
            rows[row][-1] += "0"
            assert any(p for _, p in check_tables([Table(table.title, table.columns, rows)], r))


def test_a_number_that_is_not_the_rounding_of_its_value_is_found() -> None:
    assert agrees("12.35", 12.3549)
    assert not agrees("12.35", 12.356)
    assert agrees("+1,234", 1234.4)
    assert not agrees("1,234", None)
