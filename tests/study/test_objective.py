"""What trials and epochs are compared by: accuracy, or what counts each class alike."""

import importlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from in_process import Driver
from made_up_inputs import FAMILIES
from tampering import alter

from orchestrator.compare.__main__ import main as compare
from orchestrator.study import main
from orchestrator.verify.runner import verify
from trainables.registry import load_family

SMALL = {"trials": 9, "epochs": 4, "grace_period": 1, "seeds": 1}
BALANCED = {**SMALL, "objective": "balanced_accuracy"}


@pytest.fixture
def lopsided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials whose recall falls as their accuracy rises, as where one class has nearly all."""
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(FAMILIES))
    module, _, name = load_family("curve").trainer.partition(":")
    trainer = getattr(importlib.import_module(module), name)
    train = trainer.train_epoch

    def train_epoch(self: Any) -> dict[str, Any]:
        row = train(self)
        return {**row, "validation_recall": 1 - row["validation_accuracy"]}

    monkeypatch.setattr(trainer, "train_epoch", train_epoch)


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / f"{name}.parquet")


@pytest.mark.usefixtures("lopsided")
def test_winner_best_epoch_and_early_stopping_follow_the_objective(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(tmp_path, monkeypatch, BALANCED)
    assert driver.start()
    trials, epochs, rungs = (read(driver.folder, name) for name in ("trials", "epochs", "rungs"))
    assert (epochs["objective"] == epochs["validation_recall"]).all()
    assert (trials["best_epoch"] == 1).all()  # recall falls from there
    choice = json.loads((driver.folder / "study.json").read_text())["choice"]["curve"]
    best = trials.sort_values("validation_recall").iloc[-1]
    assert choice["trial_id"] == best["trial_id"]
    assert choice["trial_id"] != trials.sort_values("validation_accuracy").iloc[-1]["trial_id"]
    at_first = rungs[rungs["rung"] == 1].merge(epochs, on=["trial_id", "epoch"])
    assert (at_first["value"] == at_first["validation_recall"]).all()
    assert (read(driver.folder, "final")["epoch"] == 1).all()
    assert not verify(driver.folder, sources=False).problems


@pytest.mark.usefixtures("lopsided")
def test_the_report_says_what_trials_were_chosen_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    driver = Driver(tmp_path, monkeypatch, BALANCED)
    assert driver.start()
    assert compare([str(driver.folder)]) == 0
    assert "At the best validation epoch (by balanced accuracy)" in capsys.readouterr().out


@pytest.mark.usefixtures("lopsided")
def test_an_epoch_that_is_compared_by_something_else_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(tmp_path, monkeypatch, BALANCED)
    assert driver.start()
    row = read(driver.folder, "epochs").iloc[0]
    where = {"trial_id": row["trial_id"], "epoch": 1}
    alter("epochs", where, objective=float(row["validation_accuracy"]))(driver.folder, {})
    problem = f"objective of epoch 1 of {row['trial_id']} must be its validation_recall"
    assert any(problem in each.sentence for each in verify(driver.folder, sources=False).problems)


@pytest.mark.usefixtures("lopsided")
def test_a_study_keeps_its_objective_when_it_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(tmp_path, monkeypatch, BALANCED)
    assert driver.start()
    with pytest.raises(ValueError, match="objective must stay"):
        driver.resume(objective="accuracy")
    assert driver.resume(trials=10)
    assert not verify(driver.folder, sources=False).problems


@pytest.mark.usefixtures("lopsided")
def test_trials_compared_by_something_else_are_not_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(tmp_path, monkeypatch, BALANCED)
    assert driver.start()
    other = {**SMALL, "warm_start": str(driver.folder)}
    with pytest.raises(ValueError, match=r"objective is balanced_accuracy in .* and accuracy here"):
        Driver(tmp_path, monkeypatch, other, name="other").start()


def test_a_trainer_that_does_not_measure_the_objective_fails_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(FAMILIES))
    driver = Driver(tmp_path, monkeypatch, {**SMALL, "objective": "macro_f1"})
    assert driver.start() is False
    errors = read(driver.folder, "trials")["error"].unique()
    assert len(errors) == 1
    assert "a trainer's rows must have validation_f1 for the objective, but have none" in errors[0]


def test_an_objective_that_is_none_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--results-dir", str(tmp_path / "results"), "--set", "objective=auc"]
    assert main(["--families", "cnn", *given]) == 2
    message = "unknown objective 'auc'; choose from accuracy, balanced_accuracy, macro_f1"
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "results").exists()
