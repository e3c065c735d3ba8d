"""Verify finds whatever is inconsistent in a study and names it (bar 5), and nothing else."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tampering import (
    Inconsistency,
    alter,
    drop,
    entry,
    file,
    gone,
    names_of,
    noted,
    retyped,
    stamped,
    truncated,
    without,
)
from test_verify_finals import FINALS
from test_verify_search import SEARCH

from orchestrator.verify.__main__ import main
from orchestrator.verify.runner import CHECKS, SOURCES, verify

SMALL = {"trials": 4, "epochs": 3, "grace_period": 1, "seeds": 2}

FILES = [
    *(
        Inconsistency(
            f"a table with the {stamp} of another study",
            stamped("epochs", **{stamp: "another"}),
            f"epochs.parquet must be stamped with {stamp}",
        )
        for stamp in ("study", "split_sha256", "data_sha256", "weights_sha256")
    ),
    Inconsistency(
        "rows of another study",
        alter("rungs", {"trial_id": "{winner}"}, study="another"),
        "rungs.parquet must have rows of {study} alone, but has some of another",
    ),
    Inconsistency(
        "a table is missing",
        gone("rungs.parquet"),
        "rungs.parquet must be readable, but is not",
        alone=True,
    ),
    Inconsistency(
        "a table is cut short",
        truncated("epochs.parquet"),
        "epochs.parquet must be readable, but is not",
        alone=True,
    ),
    Inconsistency(
        "a column is missing",
        without("trials", "attempts"),
        "trials.parquet must have a column attempts, but has none",
        alone=True,
    ),
    Inconsistency(
        "a hyperparameter's column is missing",
        without("trials", "param_skill"),
        "trials.parquet must have a column param_skill, but has none",
        alone=True,
    ),
    Inconsistency(
        "a value is missing",
        alter("epochs", {"sequence": 2}, epoch=None),
        "epochs.parquet must say epoch in each row, but 1 lack it",
        alone=True,
    ),
    Inconsistency(
        "a value is no number",
        alter("epochs", {"sequence": 2}, train_loss=float("nan")),
        "epochs.parquet must have finite numbers as train_loss, but has others",
        alone=True,
    ),
    Inconsistency(
        "hyperparameters that are no JSON",
        alter("trials", {"trial_id": "{winner}"}, params_json="{"),
        "what is there cannot be checked: JSONDecodeError",
        alone=True,
    ),
    Inconsistency(
        "a column of another type",
        retyped("epochs", "epoch"),
        "epochs.parquet must have epoch as int32, but has string",
        alone=True,
    ),
    Inconsistency(
        "another version of the tables",
        entry("schema_version", value=0),
        "study.json must have schema version 1, but has 0",
    ),
    Inconsistency(
        "trials that the search has learned from are missing",
        entry("settings", "warm_start", value="results/another"),
        "warm_start/ must keep the trials of results/another learned from, but is missing",
    ),
    Inconsistency(
        "study.json lacks an entry",
        noted(lambda content, _: content.pop("choice_sha256")),
        "study.json must say choice_sha256, but does not",
    ),
    Inconsistency(
        "the study has not ended",
        entry("outcome", value="interrupted"),
        "the study must have ended, but its outcome is interrupted; go on with --resume",
    ),
    Inconsistency(
        "the study is said to be incomplete",
        entry("outcome", value="incomplete"),
        "the outcome must be completed by the tables, but is incomplete",
    ),
    Inconsistency(
        "a checkpoint is left",
        file("checkpoints/curve-001/epoch-00001.pt", b"x"),
        "no checkpoint must be left of a study that has ended, but checkpoints/ is there",
    ),
    Inconsistency(
        "a half-written table is left",
        file(".trials.parquet.12345", b"x"),
        "no half-written file must be left, but .trials.parquet.12345 is there",
    ),
    Inconsistency(
        "a half-written winner is left",
        file("winners/curve/.model.safetensors", b"x"),
        "no half-written file must be left, but winners/curve/.model.safetensors is there",
    ),
    Inconsistency(
        "trials of another study that were not asked for",
        file("warm_start/note", b"x"),
        "warm_start/ must not be there, since no warm start was asked for",
        alone=True,
    ),
]


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.what)
def test_verify_finds_and_names(case: Inconsistency, finished_study: Path, tmp_path: Path) -> None:
    case.must_be_found(finished_study, tmp_path)


TOGETHER = (
    "a trial's row is missing",
    "a trial still runs",
    "a trial's seed is another",
    "an epoch in the middle is missing",
    "a rung's cut-off is another",
    "an arrival at a rung is missing",
    "an arrival at a rung that there is not",
    "the winner's accuracy is another",
    "an opening is not counted",
    "a final's epoch is missing",
    "a test accuracy is another",
    "a test loss is another",
    "a prediction is another",
    "a probability is another",
    "a winner's weights are others",
    "a difference of the comparison is another",
    "a p-value of the comparison is another",
    "a table with the split_sha256 of another study",
    "rows of another study",
    "the study is said to be incomplete",
    "a checkpoint is left",
    "a half-written table is left",
)


def test_each_is_found_where_all_are_there_at_once(finished_study: Path, tmp_path: Path) -> None:
    names, folder = names_of(finished_study), tmp_path / "damaged"
    cases = {case.what: case for case in (*SEARCH, *FINALS, *FILES)}
    shutil.copytree(finished_study, folder)
    for what in TOGETHER:
        cases[what].damage(folder, names)
    verdict = verify(folder, sources=False)
    for what in TOGETHER:
        cases[what].must_be_named(verdict, names)


def test_what_does_not_need_a_table_that_cannot_be_used_is_checked_all_the_same(
    finished_study: Path, tmp_path: Path
) -> None:
    names, folder = names_of(finished_study), tmp_path / "damaged"
    cases = {case.what: case for case in (*FINALS, *FILES)}
    shutil.copytree(finished_study, folder)
    for what in ("a test accuracy is another", "a column is missing", "a table is missing"):
        cases[what].damage(folder, names)
    verdict = verify(folder, sources=False)
    for what in ("a test accuracy is another", "a column is missing", "a table is missing"):
        cases[what].must_be_named(verdict, names)
    assert {problem.check for problem in verdict.problems} == {
        *("tables", "final epochs", "predictions")
    }
    assert "trials not checked: trials.parquet cannot be used" in verdict.notes
    assert "stops not checked: rungs.parquet cannot be used" in verdict.notes
    assert any(
        "or go on without what it said: python -m orchestrator.study --resume damaged"
        in each.sentence
        for each in verdict.problems
    )


def test_a_sound_study_is_exit_0_and_all_is_checked(
    finished_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(finished_study)]) == 0
    checks = len(CHECKS) + len(SOURCES)
    assert capsys.readouterr().out == f"{finished_study}: {checks} checks, nothing wrong\n"


def test_an_unsound_study_is_exit_1_with_a_line_for_each_problem(
    finished_study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(finished_study, folder)
    alter("trials", {"trial_id": "curve-000"}, seed=1)(folder, {})
    drop("comparison", seed=0, metric="loss")(folder, {})
    assert main([str(folder)]) == 1
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("trials: seed of curve-000 must be ")
    assert second.startswith("comparison: loss of curve baseline - curve tuned, fraction 1, seed 0")
    assert last.endswith("2 problems")


def test_verifying_imports_neither_ray_nor_torch(finished_study: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "orchestrator.verify", str(finished_study)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "orchestrator.stats.asha" in imported
    assert not {name for name in imported if name.partition(".")[0] in {"ray", "torch"}}


@pytest.mark.parametrize("content", [None, "{", "[]", '{"name": "x"}'])
def test_no_study_is_exit_2_with_one_line(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "study.json").write_text(content)
    assert main([str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert str(tmp_path) in captured.err
