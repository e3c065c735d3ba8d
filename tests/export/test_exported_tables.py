"""Trials as Optuna's journal has them, and tables as CSV, value by value."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from in_process import Driver
from optuna.trial import TrialState
from read_export import SMALL, opened

from orchestrator.export import __main__ as export
from orchestrator.results import files
from orchestrator.results import schema as results
from orchestrator.run import search_phase
from orchestrator.run.session import Session

# Trials that are completed, stopped, diverged and failed; the baseline falls under a cut-off.
ALL_STATES = {"trials": 10, "epochs": 4, "grace_period": 1, "reduction_factor": 2, "seed": 5}


def in_optuna(trial: optuna.trial.FrozenTrial) -> tuple[Any, ...]:
    values = (trial.params, trial.distributions, trial.intermediate_values)
    return (trial.number, trial.state, trial.value, *values)


def test_the_journal_has_what_the_search_told_optuna(
    curve_driver: Driver, awkward_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = []
    restored = search_phase.restore_search

    def spied(session: Session) -> search_phase.Search:
        searches.append(restored(session))
        return searches[-1]

    monkeypatch.setattr(search_phase, "restore_search", spied)
    curve_driver.settings = {**SMALL, **ALL_STATES}
    curve_driver.assignments = ("space.curve.fault=none,nan,error",)
    curve_driver.start()
    trials = pd.read_parquet(curve_driver.folder / "trials.parquet")
    assert set(trials.status) == {"completed", "stopped", "diverged", "failed"}
    journal = awkward_path / "journal.log"
    assert export.main([str(curve_driver.folder), "--optuna", str(journal)]) == 0
    study, in_study = opened(journal, "curve"), searches[0].searcher.studies["curve"]
    assert list(map(in_optuna, study.trials)) == list(map(in_optuna, in_study.trials))
    assert study.best_value == in_study.best_value
    assert [trial.user_attrs["trial_id"] for trial in study.trials] == trials.trial_id.tolist()
    assert [trial.user_attrs["role"] for trial in study.trials] == trials.role.tolist()
    baseline = study.trials[0]
    assert baseline.state == TrialState.PRUNED, "the test needs a baseline under a cut-off"
    assert {path.name for path in awkward_path.iterdir()} == {"journal.log"}


def test_the_journal_has_as_many_trials_in_each_state_as_the_table(
    curve_driver: Driver, tmp_path: Path
) -> None:
    curve_driver.settings = {**SMALL, **ALL_STATES}
    curve_driver.assignments = ("space.curve.fault=none,nan,error",)
    curve_driver.start()
    journal = tmp_path / "journal.log"
    assert export.main([str(curve_driver.folder), "--optuna", str(journal)]) == 0
    trials = opened(journal, "curve").trials
    table = pd.read_parquet(curve_driver.folder / "trials.parquet").set_index("trial_id")
    rungs = pd.read_parquet(curve_driver.folder / "rungs.parquet")
    protected = set(rungs[rungs.decision == "protected"].trial_id)
    counts = table.status.where(~table.index.isin(protected), "stopped").value_counts()
    found = pd.Series([trial.state.name for trial in trials]).value_counts()
    assert found["COMPLETE"] == counts["completed"]
    assert found["PRUNED"] == counts["stopped"] + counts["diverged"]
    assert found["FAIL"] == counts["failed"]
    complete = table[(table.status == "completed") & ~table.index.isin(protected)]
    assert opened(journal, "curve").best_value == complete.validation_accuracy.max()
    first = table.loc["curve-000"].started_at
    assert trials[0].datetime_start.timestamp() == pytest.approx(first.timestamp(), abs=1e-3)


def test_a_baseline_outside_its_space_is_not_in_the_journal_and_named(
    curve_driver: Driver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curve_driver.assignments += ("space.curve.skill=0.6..0.9",)
    assert curve_driver.start()
    journal = tmp_path / "journal.log"
    assert export.main([str(curve_driver.folder), "--optuna", str(journal)]) == 0
    assert "curve-000 is not in it: outside the space in skill\n" in (capsys.readouterr().out)
    (trial,) = opened(journal, "curve").trials
    assert trial.user_attrs["trial_id"] == "curve-001"


def test_each_table_as_csv_has_the_values_of_the_table(
    curve_driver: Driver, awkward_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curve_driver.settings = {**SMALL, **ALL_STATES}
    curve_driver.assignments = ("space.curve.fault=none,nan",)
    curve_driver.start()
    (curve_driver.folder / "comparison.parquet").unlink(missing_ok=True)
    assert export.main([str(curve_driver.folder), "--csv", str(awkward_path)]) == 0
    expected = set(results.TABLES) - {"comparison"}
    tables = {line for line in capsys.readouterr().out.splitlines() if line.startswith("table: ")}
    assert tables == {f"table: {awkward_path / name}.csv" for name in expected}
    assert {path.name for path in awkward_path.iterdir()} == {f"{name}.csv" for name in expected}
    for name in expected:
        stored = files.read_table(curve_driver.folder, name).to_pylist()
        read = pd.read_csv(awkward_path / f"{name}.csv", keep_default_na=False, dtype=str)
        assert len(read) == len(stored) > 0
        for text, row in zip(read.to_dict("records"), stored, strict=True):
            for column, value in row.items():
                assert is_same(text[column], value), (name, column, text[column], value)


def is_same(text: str, value: Any) -> bool:
    """Whether a text in a CSV file stands for a value."""
    if value is None:
        return text == ""
    if isinstance(value, list):
        return np.array_equal(np.array(json.loads(text), np.float32), np.array(value, np.float32))
    if isinstance(value, float):
        return math.isclose(float(text), value, rel_tol=1e-15)
    if isinstance(value, pd.Timestamp) or hasattr(value, "isoformat"):
        return pd.Timestamp(text) == pd.Timestamp(value)
    return text == str(value)
