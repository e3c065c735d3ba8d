"""One attempt without Ray: checkpoints each epoch, goes on where the last one came to, tests."""

import dataclasses
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made_up_trials import config_of, row_of

from trainables import attempt
from trainables import checkpoints as checkpointing
from trainables.attempt import Attempt
from trainables.checkpoints import NotKeptError
from trainables.data.dataset import LabeledImages
from trainables.registry import load_family
from trainables.shared_data import SharedData
from trainables.trial_files import BEST_WEIGHTS, PREDICTIONS

pytestmark = pytest.mark.usefixtures("curve_family")


@pytest.fixture
def shared(made_up_images: LabeledImages) -> SharedData:
    return SharedData(
        training=made_up_images,
        train={1.0: np.arange(40), 0.5: np.arange(20)},
        validation=np.arange(40, 60),
        classes=("a", "b", "c"),
        weights={},
    )


def test_each_step_is_an_epoch_and_the_last_is_done(tmp_path: Path, shared: SharedData) -> None:
    running = Attempt(config_of(tmp_path), shared, None)
    results = [running.step() for _ in range(3)]
    assert [(r["epoch"], r["done"]) for r in results] == [(1, False), (2, False), (3, True)]
    assert "test_accuracy" not in results[-1]


class Moments:
    """Takes two moments for an epoch; a checkpoint is written when so many more have passed."""

    until = 0

    def __init__(self, inner: Any) -> None:
        self.inner, self.moments, self.passed = inner, 0, threading.Condition()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def train_slice(self) -> dict[str, Any] | None:
        with self.passed:
            self.moments += 1
            self.passed.notify_all()
        return self.inner.train_epoch() if self.moments % 2 == 0 else None

    def snapshot(self) -> SimpleNamespace:
        state, until = self.inner.state(), self.moments + self.until

        def chunks() -> list[bytes]:
            with self.passed:
                assert self.passed.wait_for(lambda: self.moments >= until, timeout=60)
            return [state]

        return SimpleNamespace(chunks=chunks)

    weights_snapshot = snapshot


@pytest.fixture
def pausing(monkeypatch: pytest.MonkeyPatch) -> None:
    make = attempt.make_trainer
    monkeypatch.setattr(attempt, "make_trainer", lambda *given: Moments(make(*given)))


@pytest.mark.usefixtures("pausing")
def test_short_epochs_are_reported_together_and_share_a_checkpoint(
    tmp_path: Path, shared: SharedData
) -> None:
    config = dataclasses.replace(config_of(tmp_path), epochs=7, rungs=(4,), checkpoint_seconds=60)
    running, begun = Attempt(config, shared, None), []
    results = [running.step(lambda: begun.append(1)) for _ in range(3)]
    reported = [[row["epoch"] for row in (*r["earlier_rows"], r)] for r in results]
    assert reported == [[1], [2, 3, 4], [5, 6, 7]]  # the first at once
    assert [r["done"] for r in results] == [False, False, True]
    assert len(begun) == 7
    assert checkpointing.epochs(config.checkpoints) == [4, 7]


@pytest.mark.usefixtures("pausing")
def test_an_attempt_killed_within_a_stretch_loses_that_stretch_alone(
    tmp_path: Path, shared: SharedData
) -> None:
    config = dataclasses.replace(config_of(tmp_path), epochs=7, rungs=(2,), checkpoint_seconds=60)
    first = Attempt(config, shared, None)

    def killed_after_epoch_3() -> None:
        if len(first.rows) >= 3:
            raise KeyboardInterrupt

    def train() -> None:
        while not first.step(killed_after_epoch_3)["done"]:
            pass

    with pytest.raises(KeyboardInterrupt):
        train()
    second = Attempt(dataclasses.replace(config, attempt=2), shared, None)
    results = [second.step() for _ in range(2)]
    reported = [[row["epoch"] for row in (*r["earlier_rows"], r)] for r in results]
    assert reported == [[1, 2, 3], [4, 5, 6, 7]]


@pytest.mark.usefixtures("pausing")
def test_training_goes_on_while_a_checkpoint_is_written_and_what_it_gives_is_told_after_it(
    tmp_path: Path, shared: SharedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(config_of(tmp_path), epochs=5, rungs=(3,), checkpoint_seconds=60)
    running = Attempt(config, shared, None)
    assert running.step()["epoch"] == 1
    monkeypatch.setattr(Moments, "until", 1)
    second = running.step()
    assert [row["epoch"] for row in (*second["earlier_rows"], second)] == [2, 3]
    assert checkpointing.epochs(config.checkpoints) == [1, 3]
    assert running._trainer.moments >= 7  # three epochs, and at least one moment of the fourth
    monkeypatch.setattr(Moments, "until", 0)  # nothing is left to train meanwhile
    last = running.step()
    assert [row["epoch"] for row in (*last["earlier_rows"], last)] == [4, 5]
    assert (last["done"], checkpointing.epochs(config.checkpoints)) == (True, [3, 5])


@pytest.mark.usefixtures("pausing")
def test_a_checkpoint_that_takes_longer_than_the_next_stretch_holds_the_training_up(
    tmp_path: Path, shared: SharedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Moments, "until", 2)
    config = dataclasses.replace(config_of(tmp_path), epochs=9)  # each epoch has its checkpoint
    running = Attempt(config, shared, None)
    for epoch in (1, 2, 3):
        result = running.step()
        assert (result["epoch"], result["earlier_rows"]) == (epoch, [])
        assert running._trainer.moments == 2 * (epoch + 1)


@pytest.mark.usefixtures("pausing")
def test_an_error_in_the_next_stretch_leaves_the_checkpoint_of_the_one_before(
    tmp_path: Path, shared: SharedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Moments, "until", 1)
    config = dataclasses.replace(config_of(tmp_path, fault="error"), rungs=(1,))
    running = Attempt(config, shared, None)

    def train() -> None:
        while not running.step()["done"]:
            pass

    with pytest.raises(RuntimeError, match="a made-up error"):
        train()
    assert checkpointing.epochs(config.checkpoints) == [1]


@pytest.mark.usefixtures("pausing")
def test_what_was_trained_before_a_divergence_is_reported_with_it(
    tmp_path: Path, shared: SharedData
) -> None:
    config = dataclasses.replace(config_of(tmp_path), epochs=9, checkpoint_seconds=60)
    running = Attempt(config, shared, None)
    train = running._trainer.inner.train_epoch

    def train_epoch() -> dict[str, Any]:
        row = train()
        return {**row, "train_loss": float("nan")} if row["epoch"] == 4 else row

    running._trainer.inner.train_epoch = train_epoch
    assert running.step()["epoch"] == 1
    result = running.step()
    assert "diverged" in result
    assert [row["epoch"] for row in result["earlier_rows"]] == [2, 3]


def test_a_trainer_that_cannot_pause_has_a_checkpoint_each_epoch(
    tmp_path: Path, shared: SharedData
) -> None:
    config = dataclasses.replace(config_of(tmp_path), checkpoint_seconds=60)
    running = Attempt(config, shared, None)
    assert [(r["epoch"], r["earlier_rows"]) for r in (running.step(), running.step())] == [
        (1, []),
        (2, []),
    ]
    assert checkpointing.epochs(config.checkpoints) == [1, 2]


def test_an_attempt_goes_on_from_the_checkpoint_and_brings_its_rows(
    awkward_path: Path, shared: SharedData
) -> None:
    first = Attempt(config_of(awkward_path), shared, None)
    first.step()
    first.step()
    second = Attempt(config_of(awkward_path, number=2), shared, None)
    result = second.step()
    assert result["epoch"] == 3
    assert [row["epoch"] for row in result["earlier_rows"]] == [1, 2]


def test_an_attempt_lost_after_the_last_checkpoint_still_ends_done(
    tmp_path: Path, shared: SharedData
) -> None:
    first = Attempt(config_of(tmp_path), shared, None)
    for _ in range(3):
        first.step()
    again = Attempt(config_of(tmp_path, number=2), shared, None).step()
    assert (again["epoch"], again["done"]) == (3, True)


def test_a_diverged_epoch_ends_the_attempt_without_a_row(
    tmp_path: Path, shared: SharedData
) -> None:
    running = Attempt(config_of(tmp_path, fault="nan"), shared, None)
    assert running.step()["epoch"] == 1
    last = running.step()
    assert last["done"]
    assert "finite" in last["diverged"]
    assert "epoch" not in last


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    tmp_path: Path, shared: SharedData
) -> None:
    first = Attempt(config_of(tmp_path), shared, None)
    first.step()
    first.step()
    (config_of(tmp_path).checkpoints / "epoch-00002.pt").write_bytes(b"")
    result = Attempt(config_of(tmp_path, number=2), shared, None).step()
    assert result["epoch"] == 2
    assert "epoch 2" in result["damaged_checkpoints"][0]


def test_an_attempt_never_starts_over_when_all_checkpoints_are_damaged(
    tmp_path: Path, shared: SharedData
) -> None:
    Attempt(config_of(tmp_path), shared, None).step()
    (config_of(tmp_path).checkpoints / "epoch-00001.pt").write_bytes(b"")
    with pytest.raises(NotKeptError, match="checkpoint of epoch 1 must have SHA-256"):
        Attempt(config_of(tmp_path, number=2), shared, None)


def test_a_final_is_tested_at_its_best_epoch_and_at_its_last(
    tmp_path: Path, shared: SharedData, made_up_images: LabeledImages
) -> None:
    running = Attempt(config_of(tmp_path, is_final=True), shared, made_up_images)
    falling = iter((0.9, 0.5, 0.3))

    def train_epoch() -> dict[str, Any]:  # the first epoch is the best
        running._trainer.params["skill"] = next(falling)
        running._trainer.epoch += 1
        return row_of(running._trainer.epoch, running._trainer.params["skill"])

    running._trainer.train_epoch = train_epoch
    for _ in range(3):
        result = running.step()
    assert result["best_epoch"] == 1
    assert result["test_images"] == 60
    assert result["test_accuracy"] != result["test_accuracy_last_epoch"]
    with np.load(config_of(tmp_path).checkpoints / PREDICTIONS) as kept:
        share = float((kept["probabilities"].argmax(1) == kept["labels"]).mean())
    assert share == result["test_accuracy"]
    assert (config_of(tmp_path).checkpoints / BEST_WEIGHTS).read_bytes() == b"1"


def test_the_best_weights_are_those_of_the_best_epoch_though_a_lost_one_was_better(
    tmp_path: Path,
    shared: SharedData,
    made_up_images: LabeledImages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def going_on(number: int, *accuracies: float) -> Attempt:
        running = Attempt(config_of(tmp_path, number=number, is_final=True), shared, made_up_images)
        left = iter(accuracies)

        def train_epoch() -> dict[str, Any]:
            running._trainer.epoch += 1
            return row_of(running._trainer.epoch, next(left))

        running._trainer.train_epoch = train_epoch
        return running

    first = going_on(1, 0.9, 0.5, 0.95)
    first.step()
    first.step()
    with monkeypatch.context() as patch:
        patch.setattr(checkpointing, "save", lambda *_, **__: 1 / 0)  # between weights and state
        with pytest.raises(ZeroDivisionError):
            first.step()
    assert going_on(2, 0.3).step()["best_epoch"] == 1
    assert (config_of(tmp_path).checkpoints / BEST_WEIGHTS).read_bytes() == b"1"


def test_checkpoints_lie_in_the_study_under_the_trials_own_id(
    tmp_path: Path, shared: SharedData
) -> None:
    Attempt(config_of(tmp_path), shared, None).step()
    assert checkpointing.epochs(tmp_path / "checkpoints" / "curve-001") == [1]


def test_recorded_epochs_without_a_checkpoint_are_an_error_not_a_fresh_start(
    tmp_path: Path, shared: SharedData
) -> None:
    known = dataclasses.replace(config_of(tmp_path, number=2), epochs_known=3)
    with pytest.raises(NotKeptError, match="3 epochs are recorded, but no checkpoint is intact"):
        Attempt(known, shared, None)


def test_an_attempt_is_told_what_images_may_take_and_gives_the_same_final(
    tmp_path: Path, shared: SharedData, made_up_images: LabeledImages
) -> None:
    config = dataclasses.replace(
        config_of(tmp_path), family="cnn", params={**load_family("cnn").baseline, "width": 16}
    )
    results = []
    for trial_id, limit in (("cnn-001", None), ("cnn-002", 20_000)):
        own = dataclasses.replace(config, trial_id=trial_id)
        running = Attempt(own, shared, made_up_images, image_memory=limit)
        while not (result := running.step())["done"]:
            pass
        results.append((running.rows, result))
    (rows, final), (fed_rows, fed_final) = results
    assert fed_rows[0]["images_fed"].startswith("4.61e-05 GB of images would take more than half")
    for name in ("train_loss", "validation_loss"):
        assert [row[name] for row in fed_rows] == [row[name] for row in rows]
    assert fed_final["test_loss"] == final["test_loss"]
