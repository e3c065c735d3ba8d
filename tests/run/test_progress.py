"""Live progress: one row per family on a terminal, nothing elsewhere; and every count is right."""

import importlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from in_process import Driver
from made_up_inputs import add_family
from made_up_trials import row_of, spec_of
from rich.console import Console

from orchestrator.config.settings import Settings
from orchestrator.run.finals import final_seed
from orchestrator.run.progress import ProgressTable, shown
from orchestrator.status import __main__ as status
from orchestrator.trials.recorder import Recorder
from trainables.registry import load_family

FINALS = "Finals: re-training"


def drawn(table: ProgressTable, width: int = 140) -> str:
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(table)
    return " ".join(console.export_text().split())


def begin(recorder: Recorder, trial_id: str, *accuracies: float) -> None:
    recorder.propose(spec_of(trial_id))
    recorder.attempt_began(trial_id)
    for epoch, accuracy in enumerate(accuracies, start=1):
        recorder.epoch(trial_id, row_of(epoch, accuracy))


def test_a_row_counts_states_and_epochs_and_shows_the_best(recorder: Recorder) -> None:
    table = ProgressTable("Search", recorder, {"cnn": 5}, lambda: None)
    assert "time left: not known" in drawn(table)
    for number, (accuracy, state) in enumerate(
        [(0.5, "completed"), (0.75, "stopped"), (0.2, "diverged"), (0.3, None)]
    ):
        begin(recorder, f"cnn-{number:03d}", accuracy)
        if state:
            recorder.attempt_ended(f"cnn-{number:03d}")
            recorder.end(f"cnn-{number:03d}", state)
    assert " cnn 75.0% 1 1 1 1 5 4 0 " in drawn(table)


@pytest.mark.parametrize("state", ["diverged", "failed"])
def test_the_best_is_not_of_a_trial_that_cannot_win(recorder: Recorder, state: str) -> None:
    table = ProgressTable("Search", recorder, {"cnn": 5}, lambda: None)
    begin(recorder, "cnn-000", 0.5)
    begin(recorder, "cnn-001", 0.9, 0.8)
    assert " cnn 90.0% 2 " in drawn(table)
    recorder.end("cnn-001", state)
    assert " cnn 50.0% 1 " in drawn(table)
    recorder.end("cnn-000", state)
    assert " cnn - 0 " in drawn(table)


def test_a_trial_that_waits_for_its_devices_does_not_run(recorder: Recorder) -> None:
    table = ProgressTable("Search", recorder, {"cnn": 5}, lambda: None)
    begin(recorder, "cnn-000", 0.5)
    recorder.attempt_ended("cnn-000")  # another attempt is pending
    assert " cnn 50.0% 0 0 0 0 5 1 " in drawn(table)


def test_the_time_left_is_the_studys(recorder: Recorder) -> None:
    table = ProgressTable("Search", recorder, {"cnn": 5}, lambda: 130.0)
    assert "if it goes on as so far, about 2 min left, finals included" in drawn(table)


def test_the_last_picture_of_a_phase_tells_no_time_left(recorder: Recorder) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with shown(console, ProgressTable("Search", recorder, {"cnn": 5}, lambda: 130.0)):
        pass
    first, *_, last = console.file.getvalue().split("Search")
    assert "left" not in first + last


def test_nothing_is_drawn_where_there_is_no_terminal(recorder: Recorder) -> None:
    file = io.StringIO()
    table = ProgressTable("Search", recorder, {"cnn": 5}, lambda: None)
    with shown(Console(file=file), table):
        pass
    assert file.getvalue() == ""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A study of two families on a terminal; the winner of `curve` is its baseline."""
    add_family(tmp_path / "families", monkeypatch, "other")
    settings = {"families": "curve,other", "trials": 2, "epochs": 2, "grace_period": 1}
    driver = Driver(
        tmp_path,
        monkeypatch,
        {**settings, "seeds": 2, "train_fractions": "0.5,1.0"},
        console=Console(file=io.StringIO(), force_terminal=True, width=80),
    )
    driver.assignments = (
        *("space.curve.fault=none", "space.curve.skill=0.1..0.2"),
        *("space.other.fault=none", "space.other.skill=0.8..0.9"),
    )
    return driver


def last_rows(driver: Driver, title: str) -> dict[str, list[str]]:
    """Family to its cells in the last picture of a phase."""
    printed = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", driver.console.file.getvalue())
    picture = printed[printed.rindex(title) :].splitlines()
    rows = [line.split() for line in picture]
    return {name: next(row[1:] for row in rows if row[:1] == [name]) for name in ("curve", "other")}


def finals_of(driver: Driver, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What the command `status` says of the finals."""
    capsys.readouterr()
    assert status.main([str(driver.folder), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)["finals"]
    return found


def test_finals_are_counted_by_family_seed_fraction_and_role_and_a_winning_baseline_once(
    study: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study.start()
    rows = last_rows(study, FINALS)
    # The best, running, stopped, done, failed or diverged, planned, epochs.
    assert rows["curve"][1:7] == ["0", "0", "4", "0", "4", "8"]
    assert rows["other"][1:7] == ["0", "0", "8", "0", "8", "16"]
    found = finals_of(study, capsys)
    assert (found["done"], found["expected"], found["epochs"]) == (12, 12, 24)
    assert study.resume(seeds=3)
    rows = last_rows(study, FINALS)
    assert rows["curve"][3:6] == ["6", "0", "6"]
    assert rows["other"][3:6] == ["12", "0", "12"]
    found = finals_of(study, capsys)
    assert (found["done"], found["expected"], found["epochs_expected"]) == (18, 18, 36)


def failing(
    monkeypatch: pytest.MonkeyPatch, seed: int, error: type[Exception]
) -> Callable[[], None]:
    """Has trials with a seed raise an error in each attempt at their second epoch; an undo."""
    load_family("curve")
    trainer = importlib.import_module("trainables.families.curve").CurveTrainer
    train = trainer.train_epoch

    def train_epoch(self: Any) -> dict[str, Any]:
        if self.seed == seed and self.epoch == 1:
            message = "as the test asks"
            raise error(message)
        epoch: dict[str, Any] = train(self)
        return epoch

    monkeypatch.setattr(trainer, "train_epoch", train_epoch)
    return lambda: monkeypatch.setattr(trainer, "train_epoch", train)


@pytest.mark.parametrize("error", [RuntimeError, ArithmeticError])
def test_finals_that_fail_or_diverge_are_told_from_those_that_go_on_until_they_are_tried_again(
    study: Driver,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: type[Exception],
) -> None:
    seed = final_seed(Settings(seed=3), "other", 1)
    heal = failing(monkeypatch, seed, error)
    study.settings["train_fractions"] = "1.0"
    assert not study.start()
    assert last_rows(study, FINALS)["other"][3:6] == ["2", "2", "4"]
    found = finals_of(study, capsys)
    assert (found["done"], found["expected"], found["unfinished"]) == (4, 6, [])
    names = [run["trial_id"] for run in found["failed"]]
    assert names == ["other-baseline-s1-f1", "other-tuned-s1-f1"]
    assert status.main([str(study.folder)]) == 0
    printed = capsys.readouterr().out
    assert "Finals: 4 of 6 re-trainings done, 2 failed, 10 of 12 epochs" in printed
    heal()
    assert study.resume()
    assert last_rows(study, FINALS)["other"][3:6] == ["4", "0", "4"]
    found = finals_of(study, capsys)
    assert (found["done"], found["failed"]) == (6, [])
