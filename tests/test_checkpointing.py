"""Checkpoints: whole, hashed, two kept; a damaged one is passed over and named."""

from pathlib import Path

from trainables import checkpointing

ROWS = [{"epoch": 1, "validation_accuracy": 0.5}]


def test_a_checkpoint_comes_back_as_it_was_saved(awkward_path: Path) -> None:
    checkpointing.save(awkward_path / "cnn-001", epoch=1, state=b"weights", rows=ROWS)
    found, damaged = checkpointing.newest(awkward_path / "cnn-001")
    assert found == checkpointing.Checkpoint(epoch=1, rows=ROWS, state=b"weights")
    assert damaged == []


def test_only_the_newest_two_are_kept(tmp_path: Path) -> None:
    for epoch in (1, 2, 3, 4):
        checkpointing.save(tmp_path, epoch=epoch, state=bytes(epoch), rows=ROWS)
    assert checkpointing.epochs(tmp_path) == [3, 4]
    assert len(list(tmp_path.iterdir())) == 4


def test_a_truncated_checkpoint_is_named_and_the_one_before_it_used(tmp_path: Path) -> None:
    for epoch in (1, 2):
        checkpointing.save(tmp_path, epoch=epoch, state=b"state" * epoch, rows=ROWS)
    (tmp_path / "epoch-00002.pt").write_bytes(b"sta")
    found, damaged = checkpointing.newest(tmp_path)
    assert found is not None
    assert found.epoch == 1
    assert len(damaged) == 1
    assert "epoch 2" in damaged[0]


def test_a_state_without_its_manifest_does_not_count(tmp_path: Path) -> None:
    checkpointing.save(tmp_path, epoch=1, state=b"one", rows=ROWS)
    (tmp_path / "epoch-00002.pt").write_bytes(b"two")
    found, _ = checkpointing.newest(tmp_path)
    assert found is not None
    assert found.epoch == 1


def test_a_trial_without_checkpoints_starts_afresh(tmp_path: Path) -> None:
    assert checkpointing.newest(tmp_path / "none") == (None, [])


def test_removing_checkpoints_leaves_what_is_not_one(tmp_path: Path) -> None:
    for name in ("search", "final"):
        checkpointing.save(tmp_path / name, epoch=1, state=b"one", rows=ROWS)
    (tmp_path / "final" / "best.safetensors").write_bytes(b"weights")
    for name in ("search", "final", "none"):
        checkpointing.remove(tmp_path / name)
    assert [path.name for path in tmp_path.rglob("*")] == ["final", "best.safetensors"]
