"""The record of a study: each epoch once, honest states, and a winner by validation alone."""

from pathlib import Path

import pandas as pd
import pytest
from made_up_trials import make_recorder, row_of, spec_of

from orchestrator.trials.recorder import Recorder
from orchestrator.trials.table_writer import WritingError
from orchestrator.trials.trial import winner
from trainables import checkpoints as checkpointing


def test_an_epoch_is_recorded_once_however_often_it_is_reported(recorder: Recorder) -> None:
    recorder.propose(spec_of("cnn-000"))
    assert recorder.epoch("cnn-000", row_of(1, 0.5)) == 1
    assert recorder.epoch("cnn-000", row_of(1, 0.5)) is None
    assert recorder.epoch("cnn-000", row_of(2, 0.6)) == 2
    assert [row["epoch"] for row in recorder.trials["cnn-000"].rows] == [1, 2]


def test_an_epoch_that_skips_one_is_a_bug(recorder: Recorder) -> None:
    recorder.propose(spec_of("cnn-000"))
    with pytest.raises(AssertionError):
        recorder.epoch("cnn-000", row_of(2, 0.5))


def test_attempts_are_counted(recorder: Recorder) -> None:
    assert [recorder.propose(spec_of("cnn-001")) for _ in range(3)] == [1, 2, 3]


def test_an_attempt_that_reserves_a_whole_device_counts_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    recorder = make_recorder(tmp_path, devices_per_trial=0.25)
    recorder.propose(spec_of("cnn-001"))
    for devices, seconds in ((None, 8.0), (1.0, 3.0)):
        recorder.attempt_began("cnn-001", devices)
        now[0] += seconds
        recorder.attempt_ended("cnn-001")
    assert recorder.device_seconds(recorder.trials["cnn-001"]) == 8.0 / 4 + 3.0


def test_the_best_epoch_is_the_highest_accuracy_then_the_lower_loss(recorder: Recorder) -> None:
    recorder.propose(spec_of("cnn-000"))
    for epoch, accuracy, loss in ((1, 0.7, 2.0), (2, 0.7, 1.0), (3, 0.6, 0.5)):
        recorder.epoch("cnn-000", row_of(epoch, accuracy, loss))
    best = recorder.trials["cnn-000"].best
    assert best is not None
    assert best["epoch"] == 2


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        ({"cnn-000": ("completed", 0.5, 1), "cnn-001": ("stopped", 0.6, 1)}, "cnn-001"),
        ({"cnn-000": ("completed", 0.5, 1), "cnn-001": ("diverged", 0.9, 1)}, "cnn-000"),
        ({"cnn-000": ("completed", 0.5, 1), "cnn-001": ("failed", 0.9, 1)}, "cnn-000"),
        ({"cnn-000": ("completed", 0.5, 2), "cnn-001": ("completed", 0.5, 1)}, "cnn-001"),
        ({"cnn-001": ("completed", 0.5, 1), "cnn-000": ("completed", 0.5, 1)}, "cnn-000"),
        ({"cnn-000": ("failed", 0.5, 1)}, None),
    ],
)
def test_the_winner_is_the_best_that_neither_diverged_nor_failed(
    recorder: Recorder, trials: dict[str, tuple[str, float, float]], expected: str | None
) -> None:
    for trial_id, (status, accuracy, loss) in trials.items():
        recorder.propose(spec_of(trial_id))
        recorder.epoch(trial_id, row_of(1, accuracy, loss))
        recorder.end(trial_id, status)
    best = winner(recorder.of_family("cnn"))
    assert (best.spec.trial_id if best else None) == expected


def test_tables_hold_what_was_recorded(recorder: Recorder, tmp_path: Path) -> None:
    recorder.propose(spec_of("cnn-000", "baseline"))
    recorder.epoch("cnn-000", row_of(1, 0.5))
    recorder.end("cnn-000", "completed")
    recorder._writer.write()
    trials = pd.read_parquet(tmp_path / "trials.parquet")
    assert trials.loc[0, ["trial_id", "role", "status"]].tolist() == [
        "cnn-000",
        "baseline",
        "completed",
    ]
    assert trials.loc[0, "param_learning_rate"] == 1e-4
    assert len(pd.read_parquet(tmp_path / "epochs.parquet")) == 1


def test_trials_are_sorted_by_their_number_also_beyond_999(recorder: Recorder) -> None:
    for number in (1000, 999, 2):
        recorder.propose(spec_of(f"cnn-{number:03d}"))
    assert [row["trial_id"] for row in recorder.trial_rows()] == ["cnn-002", "cnn-999", "cnn-1000"]


def test_a_writer_that_has_died_is_noticed_whatever_it_died_of(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.trials.table_writer.LEAST_SECONDS", 0.01)
    writer = recorder._writer
    with writer.running():
        writer.add("events", lambda: [{"no such column": 1}])
        writer._thread.join(timeout=10)
        with pytest.raises(WritingError, match="the tables could not be written"):
            recorder.check_kept()


def test_checkpoints_of_an_ended_trial_go_only_after_its_rows_are_written(
    recorder: Recorder, tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoints" / "cnn-000"
    recorder.propose(spec_of("cnn-000"))
    claim = checkpointing.claim(folder, attempt=1, trial={})
    checkpointing.save(folder, epoch=1, state=[b"state"], rows=[], claim=claim)
    recorder.end("cnn-000", "stopped")
    assert folder.is_dir()
    recorder._writer.write()
    assert not folder.exists()
    assert (tmp_path / "trials.parquet").is_file()


def test_an_attempt_on_a_faster_type_of_device_counts_from_its_start_as_much_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0.0, 10.0, 20.0, 30.0])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    recorder = make_recorder(tmp_path)
    slow = {"node": "a", "device_name": "NVIDIA L4", "device_speed": 1000.0}
    fast = {"node": "b", "device_name": "NVIDIA H100", "device_speed": 4000.0}
    for number, place in enumerate((slow, fast)):
        recorder.propose(spec_of(f"cnn-00{number}"))
        recorder.attempt_began(f"cnn-00{number}")
        recorder.epoch(f"cnn-00{number}", {**row_of(1, 0.5), **place})
        recorder.attempt_ended(f"cnn-00{number}")
    rows = recorder.trial_rows()
    assert [row["device_seconds"] for row in rows] == [10.0, 40.0]
    assert [row["device_name"] for row in rows] == ["NVIDIA L4", "NVIDIA H100"]
    assert [row["device_name"] for row in recorder.epoch_rows()] == ["NVIDIA L4", "NVIDIA H100"]
    (event,) = recorder._events
    assert (event["kind"], event["trial_id"]) == ("other_device", "cnn-001")
    assert event["detail"] == "NVIDIA H100 on b, earlier trials ran on NVIDIA L4"
