"""Optuna's journal grows with the study, and says of each trial what it is called."""

from pathlib import Path

import optuna
import pytest
from made_up_rows import epoch, rung, trial, write_study
from made_up_study import MadeUpStudy
from optuna.trial import TrialState
from read_export import opened

from orchestrator.config.trackers import Target, check_targets
from orchestrator.export.__main__ import main
from orchestrator.track.to_optuna import OptunaTracker
from orchestrator.track.tracked_study import read_tracked

PARAMS = '{"batch_size": 64, "dropout": 0.0, "learning_rate": 0.0001, "optimizer": "adam"}'


def sent(folder: Path, journal: Path, statuses: dict[str, str], epochs: int) -> optuna.Study:
    """The journal once another process has sent the study as it then was."""
    trials = [
        trial(f"cnn-{number}", status, epochs, params_json=PARAMS)
        for number, status in statuses.items()
    ]
    curves = [
        epoch(f"cnn-{number}", each, 0.1 * each)
        for number in statuses
        for each in range(1, epochs + 1)
    ]
    content = MadeUpStudy(families=("cnn",), finished=False).study()
    tables = {"trials": trials, "epochs": curves, "rungs": [rung("cnn-001", 1, 0.1)]}
    tracker = OptunaTracker(str(journal))
    tracker.update(read_tracked(write_study(folder, content, tables)))
    tracker.close()
    return opened(journal, "cnn")


def test_a_journal_is_appended_to_and_its_trials_go_on_from_what_they_were(
    tmp_path: Path, awkward_path: Path
) -> None:
    journal = awkward_path / "journal.log"
    study = sent(tmp_path, journal, {"000": "running"}, 1)
    before = journal.read_bytes()
    assert [each.state for each in study.trials] == [TrialState.RUNNING]
    assert study.metric_names == ["validation_accuracy"]
    study = sent(tmp_path, journal, {"000": "completed", "001": "running"}, 3)
    assert journal.read_bytes().startswith(before)
    first, second = study.trials
    assert (first.state, second.state) == (TrialState.COMPLETE, TrialState.RUNNING)
    assert first.value == pytest.approx(0.3)
    assert [*first.intermediate_values] == [*second.intermediate_values] == [1, 2, 3]
    assert [each.user_attrs["trial_id"] for each in study.trials] == ["cnn-000", "cnn-001"]
    assert first.user_attrs["status"] == "completed"
    lines = journal.read_text().count("\n")
    study = sent(tmp_path, journal, {"000": "completed", "001": "running"}, 3)
    assert journal.read_text().count("\n") == lines
    assert sent(tmp_path, journal, {"000": "completed", "001": "stopped"}, 3).trials[1].state == (
        TrialState.PRUNED
    )


def test_nothing_but_a_journal_is_appended_to(tmp_path: Path) -> None:
    notes, empty = tmp_path / "notes.txt", tmp_path / "empty.log"
    notes.write_text("mine")
    empty.touch()
    (tmp_path / "study").mkdir()
    sent(tmp_path / "study", tmp_path / "journal.log", {"000": "completed"}, 1)
    given = (empty, tmp_path / "journal.log", tmp_path / "new.log")
    check_targets([Target(tracker="optuna", place=str(path)) for path in given])
    write_study(tmp_path / "study", MadeUpStudy(families=("cnn",)).study(), {})
    assert main([str(tmp_path / "study"), "--track", f"optuna={notes}"]) == 2
    assert notes.read_text() == "mine"
