"""F20: where all trials of a family failed the comparison is made, says so, and has no winner."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from made_up_rows import table
from made_up_study import ComparedStudy
from made_up_trials import row_of, spec_of
from test_f19_constant_classifier import assert_no_nan

from orchestrator.compare import __main__ as compare
from orchestrator.config.searches import list_searches
from orchestrator.config.settings import Settings
from orchestrator.config.sources import resolve
from orchestrator.plan.families import FamilyPlan, plan_families
from orchestrator.results import files
from orchestrator.run import finals
from orchestrator.run.winners import keep_winners
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.trial import Failure, winner

FAILED, FINISHED = "resnet50_scratch", "cnn"
Trial = tuple[str, str, float | None]
"""Id, status, and validation accuracy of its one epoch; None where it failed before."""


def settings_of(*families: str) -> Settings:
    return resolve({"families": ",".join(families)}, config=None, assignments=[])


def play(recorder: Recorder, trials: Sequence[Trial]) -> None:
    """Has trials run and end as told."""
    for trial_id, status, accuracy in trials:
        recorder.propose(spec_of(trial_id, "baseline" if trial_id.endswith("-000") else "search"))
        if accuracy is not None:
            recorder.epoch(trial_id, row_of(1, accuracy))
        if status == "failed":
            recorder.failed_attempt(trial_id, Failure(kind="error", message="made up"))
        recorder.end(trial_id, status)


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [("cnn-000", "failed", None)],
        [("cnn-000", "failed", 0.99), ("cnn-001", "failed", 0.98)],
        [("cnn-000", "diverged", 0.99), ("cnn-001", "failed", None)],
    ],
)
def test_f20_a_family_whose_trials_all_failed_has_no_winner_however_good_they_were(
    recorder: Recorder, trials: list[Trial]
) -> None:
    play(recorder, trials)
    settings = settings_of(FINISHED)
    plans = plan_families(settings)
    assert winner(recorder.of_family(FINISHED)) is None
    searches = list_searches([plan.name for plan in plans], [1.0], per_fraction=False)
    choice = finals.choose(recorder, searches)
    assert choice == {}
    assert finals.final_specs(choice, plans, searches, settings) == []


def test_f20_the_other_families_have_their_winner_and_their_finals(recorder: Recorder) -> None:
    play(recorder, [(f"{FAILED}-000", "failed", 0.99), ("cnn-000", "completed", 0.3)])
    settings = settings_of(FINISHED, FAILED)
    plans: list[FamilyPlan] = plan_families(settings)
    searches = list_searches([plan.name for plan in plans], [1.0], per_fraction=False)
    choice = finals.choose(recorder, searches)
    assert list(choice) == [FINISHED]
    assert {spec.family for spec in finals.final_specs(choice, plans, searches, settings)} == {
        FINISHED
    }


def test_f20_no_weights_are_kept_where_nothing_was_tested(tmp_path: Path) -> None:
    keep_winners(tmp_path, [], ("a", "b"))
    assert list(tmp_path.iterdir()) == []
    assert finals.predictions(tmp_path, []).num_rows == 0


def write(folder: Path, study: ComparedStudy, recorder: Recorder) -> Path:
    """A study's folder, its `trials.parquet` from a recorder."""
    known = table("trials").column_names
    study.given["trials"] = [
        {name: row[name] for name in known if name in row} for row in recorder.trial_rows()
    ]
    return study.write(folder)


def compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, Any]:
    """What `python -m orchestrator.compare` writes: the text, and the table's rows."""
    assert compare.main([str(folder)]) == 0
    text = (folder / "comparison.md").read_text(encoding="utf-8")
    printed = " ".join(capsys.readouterr().out.split())
    flags = text.partition("## Warnings\n\n")[2].partition("\n\n")[0].splitlines()
    assert all(line in printed for line in flags[:5])
    assert (f"- {len(flags) - 5} more in comparison.md." in printed) == (len(flags) > 5)
    for shown in (text, printed):
        # No number that is none, however it is written.
        assert not re.search(r"\b(nan|NaN|None|null|inf)\b", shown)
    table = files.read_table(folder, "comparison")
    assert_no_nan(table)
    return text, table.to_pylist()


def test_f20_the_comparison_without_the_failed_family_says_so_and_compares_the_others(
    awkward_path: Path, recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    others = ("cnn", "resnet50_transfer")
    finished = [(f"{family}-000", "completed", 0.5) for family in others]
    failed = [(f"{FAILED}-00{number}", "failed", 0.99) for number in range(3)]
    play(recorder, [*finished, *failed, (f"{FAILED}-003", "diverged", None)])
    folder = write(awkward_path, ComparedStudy(families=others, failed=(FAILED,)), recorder)
    text, rows = compared(folder, capsys)
    line = f"- {FAILED}: no trial finished (3 failed, 1 diverged), so the family has no winner."
    assert line in text.splitlines()
    assert {row["a_family"] for row in rows} | {row["b_family"] for row in rows} == set(others)
    assert f"{FAILED} tuned" not in text
    assert f"{FAILED} baseline" not in text
    assert "| resnet50_transfer tuned | cnn tuned | +" in text
    assert "nan" not in text.lower()


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ([("cnn-000", "failed", 0.9), ("cnn-001", "failed", None)], "(2 failed)"),
        ([("cnn-000", "diverged", 0.9)], "(1 diverged)"),
        ([], "(none was started)"),
    ],
)
def test_f20_the_comparison_of_nothing_says_so_for_each_family(
    tmp_path: Path,
    recorder: Recorder,
    capsys: pytest.CaptureFixture[str],
    trials: list[Trial],
    said: str,
) -> None:
    play(recorder, [*trials, (f"{FAILED}-000", "failed", None)])
    folder = write(tmp_path, ComparedStudy(families=(), failed=("cnn", FAILED)), recorder)
    text, rows = compared(folder, capsys)
    assert rows == []
    assert f"- cnn: no trial finished {said}, so the family has no winner." in text
    assert f"- {FAILED}: no trial finished (1 failed), so the family has no winner." in text
    assert "**No answer: no family has a tuned model that was tested.**" in text
    for word in ("tuned |", "more accurate", "±", "nan"):
        assert word not in text
    assert not (folder / "winners").exists()


ONE_OF_TWO = "1 of 2 final runs completed."


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ([], {}),
        ([("tuned", 0), ("tuned", 1)], {"cnn tuned": "0 of 2 final runs completed."}),
        (
            [("tuned", 1), ("baseline", 0)],
            {"cnn baseline": ONE_OF_TWO, "cnn tuned": ONE_OF_TWO},
        ),
    ],
)
def test_f20_final_runs_that_failed_are_counted_and_nothing_stands_in_for_them(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    lost: list[tuple[str, int]],
    said: dict[str, str],
) -> None:
    study = ComparedStudy(families=("cnn", "resnet50_transfer"))
    for role, seed in lost:
        study.drop("cnn", role, seed)
    text, rows = compared(study.write(tmp_path), capsys)
    lines = [line[2:] for line in text.splitlines() if "final runs completed" in line]
    assert dict(line.split(": only ") for line in lines) == said
    compared_models = {
        (row[f"{side}_family"], row[f"{side}_role"]) for row in rows for side in "ab"
    }
    assert compared_models == {key[:2] for key in study.runs}


def test_f20_a_family_whose_final_runs_all_failed_is_named(
    tmp_path: Path, recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    play(recorder, [("cnn-000", "completed", 0.5), (f"{FAILED}-000", "stopped", 0.6)])
    folder = write(tmp_path, ComparedStudy(families=("cnn",), failed=(FAILED,)), recorder)
    text, _ = compared(folder, capsys)
    assert (
        f"- {FAILED}: trials finished, but there are no final runs, so it has no results." in text
    )
    assert f"{FAILED} tuned" not in text


def test_f20_all_that_can_be_missing_at_once_is_said_and_no_number_stands_in_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = ComparedStudy(
        families=("cnn", "resnet50_transfer"),
        failed=(FAILED,),
        identical=("cnn",),
        never_predicted=("resnet50_transfer",),
        fractions=(0.1, 1.0),
        seeds=1,
    )
    text, rows = compared(study.write(tmp_path), capsys)
    for said in (
        f"{FAILED}: no trial finished (1 failed, 1 diverged), so the family has no winner.",
        "cnn: the search found nothing better than the baseline.",
        "resnet50_transfer tuned at train fraction 1 leaves classes that it never predicts, 1 with",
        "of test images alone (one seed)",
        "training noise is not in the interval",
    ):
        assert said in text
    assert "±" not in text
    assert not [line for line in text.splitlines() if f"{FAILED} tuned" in line]
    # Every number there must be is there, and a winner that is its baseline gains exactly nothing.
    assert all(
        row[name] is not None for row in rows for name in ("difference", "ci_low", "ci_high")
    )
    own = [row for row in rows if row["a_family"] == row["b_family"] == "cnn"]
    assert {(row["difference"], row["ci_low"], row["ci_high"]) for row in own} == {(0, 0, 0)}
    assert {row["n_seeds"] for row in rows} == {1}
