"""A study as trackers see it, at any moment of its life."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from made_up_rows import epoch, trial, write_study
from made_up_study import MadeUpStudy

from orchestrator.track.tracked_study import LONGEST_TAG, read_tracked


def study_of(**content: object) -> dict[str, object]:
    return {**MadeUpStudy(families=("cnn",), finished=False).study(), **content}


def test_each_row_is_a_run_with_all_its_epochs(whole: Path) -> None:
    study = read_tracked(whole)
    stored = {
        name: pq.read_table(whole / f"{name}.parquet").to_pylist()
        for name in ("trials", "epochs", "final", "final_epochs", "comparison")
    }
    names = [row["trial_id"] for row in (*stored["trials"], *stored["final"])]
    assert sorted(run.name for run in study.runs) == sorted(names)
    epochs = [(run.name, each.epoch) for run in study.runs for each in run.epochs]
    rows = [*stored["epochs"], *stored["final_epochs"]]
    assert sorted(epochs) == sorted((row["trial_id"], row["epoch"]) for row in rows)
    means = [row for row in stored["comparison"] if row["seed"] is None]
    numbers = ("difference", "ci_low", "ci_high", "p_value", "p_value_holm")
    given = sum(row[name] is not None for row in means for name in numbers)
    assert len(study.comparison) == given > 0
    assert [path.name for path in study.files] == ["study.json", "comparison.md", "report.html"]


def test_a_row_s_numbers_are_its_summary_and_its_texts_are_tags(tmp_path: Path) -> None:
    row = trial("cnn-001", epochs=1, accuracy=0.75, best_epoch=1, error="x" * 9_000)
    row |= {"params_json": json.dumps({"learning_rate": 0.25}), "seed": 7, "node": "here"}
    rows = {"trials": [row], "epochs": [epoch("cnn-001", 1, 0.75)]}
    (run,) = read_tracked(write_study(tmp_path, study_of(), rows)).runs
    assert run.params == {
        "learning_rate": 0.25,
        "role": "search",
        "seed": 7,
        "train_fraction": 1.0,
    }
    assert run.summary == {
        "epochs_run": 1,
        "attempts": 1,
        "best_epoch": 1,
        "best_validation_accuracy": 0.75,
        "best_validation_loss": 1.0,
        "device_seconds": 20.0,
    }
    assert run.tags["status"] == "completed"
    assert run.tags["node"] == "here"
    assert run.tags["error"] == "x" * LONGEST_TAG
    assert run.epochs[0].metrics["epoch"] == 1
    assert run.epochs[0].metrics["validation_accuracy"] == 0.75


def test_a_trial_has_not_ended_before_all_its_epochs_are_there(tmp_path: Path) -> None:
    rows = {"trials": [trial("cnn-001", epochs=2)], "epochs": [epoch("cnn-001", 1)]}
    (run,) = read_tracked(write_study(tmp_path, study_of(), rows)).runs
    assert (run.status, run.summary, run.ended_at) == ("running", {}, None)


def test_a_baseline_that_won_is_one_run_of_two_roles(tmp_path: Path) -> None:
    made = MadeUpStudy(families=("cnn",), trials=1, epochs=2, seeds=1, fractions=(1.0,))
    tables, content = made.tables(), made.study()
    content["choice"]["cnn"]["baseline_won"] = True
    final = tables["final"]
    names = [["cnn-baseline-s0-f1"] * len(final)]
    at = final.schema.get_field_index("trial_id")
    tables["final"] = final.set_column(at, final.schema.field(at), names)
    study = read_tracked(write_study(tmp_path, content, tables))
    finals = [run for run in study.runs if run.phase == "finals"]
    assert [(run.name, run.tags["role"]) for run in finals] == [
        ("cnn-baseline-s0-f1", "baseline,tuned")
    ]


def test_a_running_study_shows_no_files_and_no_end(running: Path) -> None:
    study = read_tracked(running)
    assert (study.outcome, study.files, study.ended_at) == ("running", [], None)
    assert {run.phase for run in study.runs} == {"search"}


def test_two_studies_of_one_name_have_different_identities(tmp_path: Path) -> None:
    at = "2026-05-04T12:00:00+00:00"
    contents = (study_of(runs=[{"started_at": at}]), study_of(runs=[{"started_at": at[:-1] + "1"}]))
    studies = [
        read_tracked(write_study(tmp_path / str(number), content, {"trials": []}))
        for number, content in enumerate(contents)
    ]
    assert studies[0].name == studies[1].name
    assert studies[0].identity != studies[1].identity


def test_a_folder_that_is_no_study_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no study\.json"):
        read_tracked(tmp_path)
