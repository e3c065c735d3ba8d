"""Checkpoints: whole, hashed, two kept; a damaged one is passed over and named."""

from pathlib import Path

import pytest

from trainables import checkpoints as checkpointing
from trainables.checkpoints import NotKeptError, SupersededError

ROWS = [{"epoch": 1, "validation_accuracy": 0.5}]
TRIAL = {"trial_id": "cnn-001", "params": {"width": 32}}


def save(folder: Path, *states: bytes) -> None:
    """Saves the states as checkpoints of the first epochs."""
    claim = checkpointing.claim(folder, attempt=1, trial=TRIAL)
    for number, state in enumerate(states):
        checkpointing.save(folder, epoch=number + 1, state=[state], rows=ROWS, claim=claim)


def test_a_checkpoint_comes_back_as_it_was_saved(awkward_path: Path) -> None:
    save(awkward_path / "cnn-001", b"weights")
    found, damaged = checkpointing.newest(awkward_path / "cnn-001")
    assert found == checkpointing.Checkpoint(epoch=1, rows=ROWS, state=b"weights")
    assert damaged == []


def test_only_the_newest_two_are_kept(tmp_path: Path) -> None:
    save(tmp_path, b"1", b"2", b"3", b"4")
    assert checkpointing.epochs(tmp_path) == [3, 4]
    assert len(list(tmp_path.glob("epoch-*"))) == 4


def test_a_truncated_checkpoint_is_named_and_the_one_before_it_used(tmp_path: Path) -> None:
    save(tmp_path, b"state", b"state" * 2)
    (tmp_path / "epoch-00002.pt").write_bytes(b"sta")
    found, damaged = checkpointing.newest(tmp_path)
    assert found is not None
    assert found.epoch == 1
    assert len(damaged) == 1
    assert "epoch 2" in damaged[0]


def test_a_state_without_its_manifest_does_not_count(tmp_path: Path) -> None:
    save(tmp_path, b"one")
    (tmp_path / "epoch-00002.pt").write_bytes(b"two")
    found, _ = checkpointing.newest(tmp_path)
    assert found is not None
    assert found.epoch == 1


def test_a_trial_without_checkpoints_starts_afresh(tmp_path: Path) -> None:
    assert checkpointing.newest(tmp_path / "none") == (None, [])


def test_removing_checkpoints_leaves_what_is_not_one(tmp_path: Path) -> None:
    for name in ("search", "final"):
        save(tmp_path / name, b"one")
    (tmp_path / "final" / "best.safetensors").write_bytes(b"weights")
    for name in ("search", "final", "none"):
        checkpointing.remove(tmp_path / name)
    assert [path.name for path in tmp_path.rglob("*")] == ["final", "best.safetensors"]


def test_f10_a_truncated_manifest_is_named_and_the_checkpoint_before_it_used(
    tmp_path: Path,
) -> None:
    save(tmp_path, b"one", b"two")
    manifest = tmp_path / "epoch-00002.json"
    manifest.write_bytes(manifest.read_bytes()[:20])
    found, damaged = checkpointing.newest(tmp_path)
    assert found is not None
    assert found.epoch == 1
    assert "manifest of the checkpoint of epoch 2" in damaged[0]


def test_an_attempt_that_another_has_superseded_writes_nothing_more(tmp_path: Path) -> None:
    old = checkpointing.claim(tmp_path, attempt=1, trial=TRIAL)
    checkpointing.save(tmp_path, epoch=1, state=[b"one"], rows=ROWS, claim=old)
    new = checkpointing.claim(tmp_path, attempt=2, trial=TRIAL)
    with pytest.raises(SupersededError, match="attempt 1 must be the last at its trial"):
        checkpointing.save(tmp_path, epoch=2, state=[b"stale"], rows=ROWS, claim=old)
    checkpointing.save(tmp_path, epoch=2, state=[b"two"], rows=ROWS, claim=new)
    found, _ = checkpointing.newest(tmp_path)
    assert found is not None
    assert found.state == b"two"


def test_an_attempt_at_an_ended_trial_writes_nothing_more(tmp_path: Path) -> None:
    claim = checkpointing.claim(tmp_path, attempt=1, trial=TRIAL)
    checkpointing.remove(tmp_path)
    with pytest.raises(NotKeptError, match="No such file or directory"):
        checkpointing.save(tmp_path, epoch=1, state=[b"one"], rows=ROWS, claim=claim)
    assert not tmp_path.exists()


def test_another_trials_checkpoints_are_never_gone_on_from(tmp_path: Path) -> None:
    save(tmp_path, b"one")
    with pytest.raises(RuntimeError, match="must have checkpoints of"):
        checkpointing.claim(tmp_path, attempt=1, trial={**TRIAL, "params": {"width": 64}})


def test_what_a_killed_attempt_left_half_written_goes_when_the_next_begins(tmp_path: Path) -> None:
    save(tmp_path, b"one")
    (tmp_path / ".epoch-00002.pt.4711").write_bytes(b"tw")
    checkpointing.claim(tmp_path, attempt=2, trial=TRIAL)
    assert not list(tmp_path.glob(".*"))
    assert checkpointing.epochs(tmp_path) == [1]
