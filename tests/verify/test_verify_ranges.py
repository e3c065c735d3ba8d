"""Verify finds values that no study can have, whichever column they are in."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tampering import Inconsistency, alter, noted

from orchestrator.results import files, schema
from orchestrator.verify.ranges import OF_UNIT
from orchestrator.verify.runner import verify

OUTSIDE = [
    ("trials", "device_seconds", -1.0, "at least 0"),
    ("trials", "attempts", 0, "at least 1"),
    ("trials", "device_memory_bytes", -1, "at least 0"),
    ("trials", "validation_f1", 1.5, "between 0 and 1"),
    ("epochs", "epoch_seconds", -1.0, "at least 0"),
    ("epochs", "learning_rate", -1e-9, "at least 0"),
    ("epochs", "device_memory_peak_bytes", -1, "at least 0"),
    ("epochs", "validation_loss", -1.0, "at least 0"),
    ("epochs", "attempt", 0, "at least 1"),
    ("rungs", "value", 70.0, "between 0 and 1"),
    ("final", "train_seconds", -1.0, "at least 0"),
    ("final", "test_precision_last_epoch", 1.5, "between 0 and 1"),
    ("final", "trained_parameters", -1, "at least 0"),
    ("final_epochs", "validation_recall", -0.5, "between 0 and 1"),
    ("predictions", "probabilities", [2.0] + [0.0] * 9, "between 0 and 1"),
    ("comparison", "p_value", 1.5, "between 0 and 1"),
    ("comparison", "n_images", -1, "at least 0"),
]
REFUSED = [
    ("trials", "trial_id", "../x", "trial_id: "),
    ("final", "role", "x", "role: it must be one of baseline, tuned, search, but is 'x'"),
    ("comparison", "a_family", "../x", "a_family: "),
]
ALL = {"study": "{study}"}
CASES = [
    *(
        Inconsistency(
            f"{column} of {table} is {value}",
            alter(table, ALL, **{column: value}),
            f"{column} in {table}.parquet must be {rule}, but ",
        )
        for table, column, value, rule in OUTSIDE
    ),
    *(
        Inconsistency(
            f"{column} of {table} is what readers refuse",
            alter(table, ALL, **{column: value}),
            f"{table}.parquet must be as a study writes it, but has a wrong {why}",
        )
        for table, column, value, why in REFUSED
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_verify_finds_and_names(case: Inconsistency, finished_study: Path, tmp_path: Path) -> None:
    case.must_be_found(finished_study, tmp_path)


def test_the_row_of_a_probability_is_told(finished_study: Path, tmp_path: Path) -> None:
    study = Path(shutil.copytree(finished_study, tmp_path / "study"))
    rows = files.read_table(study, "predictions").to_pylist()
    place = {name: rows[7][name] for name in ("role", "seed", "image_index")}
    damage = alter("predictions", place, probabilities=lambda given: [*given[:-1], 2.0])
    damage(study, {})
    (found,) = [p.sentence for p in verify(study, sources=False).problems if p.check == "ranges"]
    assert found.endswith("must be between 0 and 1, but 1 are not: of row 7 (from 0) it is 2.0")


def test_a_unit_of_numbers_has_a_range_or_may_be_any() -> None:
    columns = [column for each in schema.columns_of_all().values() for column in each]
    units = {(column.metadata or {}).get(b"unit", b"").decode() for column in columns}
    assert units - {*OF_UNIT} == {"", "UTC", "JSON", "of the metric"}
    assert {*OF_UNIT} <= units


def test_a_clock_that_was_set_back_is_told_and_no_problem(
    finished_study: Path, tmp_path: Path
) -> None:
    study = Path(shutil.copytree(finished_study, tmp_path / "study"))
    past = datetime(2001, 1, 1, tzinfo=UTC)
    alter("trials", {"trial_id": "curve-000"}, ended_at=past)(study, {})
    told = "is before started_at, as where a clock was set back"
    verdict = verify(study, sources=False)
    assert (verdict.problems, verdict.notes) == ([], [f"ended_at of curve-000 {told}"])
    noted(lambda content, _: content["runs"][0].update(ended_at=past.isoformat()))(study, {})
    assert json.loads((study / "study.json").read_text())["runs"][0]["ended_at"] < "2002"
    assert verify(study, sources=False).notes == [f"ended_at of run 1 and 1 more {told}"]
