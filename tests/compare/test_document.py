"""A study run in this process: what its comparison says is recomputed from its tables."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from in_process import Driver
from made_up_inputs import FAMILIES
from made_up_study import ComparedStudy

from orchestrator.terminal import Terminal

SETTINGS = {
    "trials": 9,
    "epochs": 4,
    "grace_period": 1,
    "reduction_factor": 2,
    "seeds": 2,
    "train_fractions": "0.5,1.0",
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STUDY_FAMILY_PATH", str(FAMILIES))
        driver = Driver(tmp_path_factory.mktemp("results"), patch, SETTINGS, slots=3)
        driver.compares = True
        driver.console = Terminal(file=io.StringIO(), width=80)
        assert driver.start()
        (driver.folder.parent / "printed.txt").write_text(driver.console.file.getvalue())
        return driver.folder


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / f"{name}.parquet")


def section(folder: Path, title: str) -> list[str]:
    """The lines under the heading that starts so."""
    text = (folder / "comparison.md").read_text(encoding="utf-8")
    (found,) = [part for part in text.split("\n## ") if part.startswith(title)]
    return found.splitlines()


def test_the_rungs_shown_are_those_of_the_table(study: Path) -> None:
    rungs = table(study, "rungs")
    shown = section(study, "Early stopping: the rungs")
    for epoch, own in rungs.groupby("rung"):
        stopped = (own.decision == "stop").sum()
        line = f"| curve | {epoch} | {len(own)} | {100 * own.value.median():.2f}% |"
        assert [
            row
            for row in shown
            if row.startswith(line) and row.endswith(f"| {len(own) - stopped} |")
        ]
    assert (rungs.decision == "stop").any(), "the test needs a study in which trials stop"


def test_the_savings_shown_are_the_epochs_missing_in_the_table(study: Path) -> None:
    trials = table(study, "trials")
    stopped = trials[trials.status == "stopped"]
    missing = (SETTINGS["epochs"] - stopped.epochs_run).sum()
    (line,) = [row for row in section(study, "Early stopping: what it saved") if "curve" in row]
    assert f"{len(stopped)} of {len(trials)} trials were stopped early" in line
    assert f"saved {missing} of {missing + trials.epochs_run.sum()} epochs" in line


def test_the_optimism_shown_is_that_of_the_tables(study: Path) -> None:
    final, trials = table(study, "final"), table(study, "trials")
    tuned = final[(final.role == "tuned") & (final.train_fraction == 1.0)]
    finished = trials[trials.status.isin(["completed", "stopped"])]
    best, test = finished.validation_accuracy.max(), tuned.test_accuracy.mean()
    (row,) = [line for line in section(study, "Fairness: selection optimism") if "| curve" in line]
    assert row.startswith(f"| curve | {100 * best:.2f}% |")
    assert f" {100 * test:.2f}% | {100 * (best - test):+.2f} |" in row


def test_the_accuracies_shown_are_those_of_the_predictions(study: Path) -> None:
    predictions, final = table(study, "predictions"), table(study, "final")
    right = predictions.assign(right=predictions.label == predictions.predicted)
    shown = section(study, "Sample efficiency: test accuracy against training images")
    for (role, fraction), own in right.groupby(["role", "train_fraction"], observed=True):
        images = final[final.train_fraction == fraction].train_images.iloc[0]
        cell = f"| {role} | {images:,} | {100 * own.right.mean():.2f}% ["
        assert [line for line in shown if line.startswith(cell)]


def test_the_confusions_shown_are_counted_in_the_predictions(study: Path) -> None:
    predictions = table(study, "predictions")
    own = predictions[(predictions.role == "tuned") & (predictions.train_fraction == 1.0)]
    shares = pd.crosstab(own.label, own.predicted, normalize="index")
    worst = max(shares.loc[a, b] for a in shares.index for b in shares.columns if a != b)
    first = next(row for row in section(study, "Classes: the worst") if row.startswith("| curve"))
    assert f"| {100 * worst:.2f}% |" in first


def test_the_calibration_error_shown_is_that_of_the_predictions(study: Path) -> None:
    predictions = table(study, "predictions")
    own = predictions[(predictions.role == "tuned") & (predictions.train_fraction == 1.0)]
    errors = []
    for _, run in own.groupby("seed"):
        sure = np.array([max(each) for each in run.probabilities], dtype=np.float64)
        right = (run.label == run.predicted).to_numpy()
        bins = np.digitize(sure, np.linspace(0, 1, 16), right=True)
        errors.append(
            sum(
                (bins == number).mean()
                * abs(right[bins == number].mean() - sure[bins == number].mean())
                for number in set(bins)
            )
        )
    cell = f"| curve tuned | 1 | {100 * np.mean(errors):.2f} ± {100 * np.std(errors, ddof=1):.2f}%"
    assert [row for row in section(study, "Calibration") if row.startswith(cell)]


def test_there_is_no_number_that_is_none(study: Path) -> None:
    text = (study / "comparison.md").read_text(encoding="utf-8").lower()
    assert "nan" not in text
    assert "none" not in text.replace("none in range", "")
    assert "inf" not in text.split()


def test_a_study_whose_families_all_failed_shows_effort_and_no_result() -> None:
    text = ComparedStudy(families=(), failed=("cnn",)).markdown()
    assert "cnn: no trial can win." in text
    assert "cnn: no trial arrived at a rung" in text
    assert "nan" not in text.lower()
    for title in ("Calibration", "Classes", "Sample efficiency", "expected best", "optimism"):
        assert f"## {title}" not in text
        assert f"## Fairness: {title}" not in text


def test_a_family_that_failed_has_no_curve_and_no_confusion_among_the_others() -> None:
    text = ComparedStudy(families=("cnn",), failed=("vit",), fractions=(0.1, 1.0)).markdown()
    assert "vit: no trial can win." in text
    assert "cnn: cnn-001, the best of 2 trials, is 10.00 percentage points above" in text
    assert "which saved 35 of 100 epochs (35%)" in text
    assert "vit tuned" not in text
    assert "nan" not in text.lower()


def test_a_study_ends_with_its_paths_and_its_answer(study: Path) -> None:
    printed = (study.parent / "printed.txt").read_text().partition("Comparison of mine\n")[2]
    *_, said, answer = printed.split("\n\n")
    assert said.splitlines() == [
        f"All tables: {study / 'comparison.md'}",
        f"Results: {study}",
        said.splitlines()[2],
    ]
    assert said.splitlines()[2].startswith("Verified: ")
    assert answer.startswith("Nothing to compare: curve alone was tested; tuned, it is right on ")
    assert len(printed.splitlines()) <= 45
