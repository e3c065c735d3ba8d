"""CIFAR-10 from files: checked before anything is decoded, refused in one line when at fault."""

import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from made_up_data_sets import TEST, TRAINING, error_of, in_memory, made_up_images, write_parquet

from trainables.data.dataset import LabeledImages
from trainables.datasets import cifar10


@pytest.mark.parametrize("layout", ["batches_dir", "parquet_dir"])
@pytest.mark.parametrize("inside", [False, True], ids=["above", "inside"])
def test_both_layouts_of_cifar10_hold_the_same_images(layout, inside, request):
    base = request.getfixturevalue(layout)
    data = cifar10.DATASET.open(str(next(base.iterdir()) if inside else base), 32)
    assert data.classes[0] == "airplane"
    assert data.classes[9] == "truck"
    for found, expected in ((data.read_training(), TRAINING), (data.read_test(), TEST)):
        assert np.array_equal(found.images, expected.images)
        assert np.array_equal(found.labels, expected.labels)


def test_cifar10_is_read_by_fsspec_address(parquet_dir):
    data = cifar10.DATASET.open(in_memory(parquet_dir, "bucket/cifar 10"), 32)
    assert np.array_equal(data.read_training().images, TRAINING.images)


def test_a_folder_without_cifar10_says_what_was_looked_for(tmp_path):
    message = error_of(cifar10.DATASET, tmp_path)
    assert str(tmp_path) in message
    assert "neither cifar-10-batches-py/ nor plain_text/train-*.parquet" in message


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch"])
def test_a_missing_batch_is_named_before_anything_is_decoded(batches_dir, name):
    (batches_dir / cifar10.CIFAR10.batches / name).unlink()
    with pytest.raises(ValueError, match=f"incomplete: {name} missing in "):
        cifar10.DATASET.open(str(batches_dir), 32)


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch"])
def test_a_batch_with_another_hash_is_refused_before_it_is_unpickled(batches_dir, name):
    path = batches_dir / cifar10.CIFAR10.batches / name
    path.write_bytes(path.read_bytes()[:-1])
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=rf"{name} is corrupt: expected MD5 .* {found}"):
        cifar10.DATASET.open(str(batches_dir), 32)


class Payload:
    def __reduce__(self):
        return os.mkdir, ("harm was done",)


def test_code_in_a_batch_does_not_run_even_if_the_hash_is_right(batches_dir, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    hostile = pickle.dumps({"data": Payload(), "labels": []})
    (batches_dir / cifar10.CIFAR10.batches / "data_batch_1").write_bytes(hostile)
    md5 = hashlib.md5(hostile).hexdigest()
    monkeypatch.setitem(cifar10.CIFAR10.training_md5, "data_batch_1", md5)
    assert "posix.mkdir is not allowed" in error_of(cifar10.DATASET, batches_dir)
    assert not Path("harm was done").exists()


@pytest.mark.parametrize("name", ["train-00001-of-00002.parquet", "test-00000-of-00001.parquet"])
def test_a_missing_parquet_file_is_noticed_before_anything_is_decoded(parquet_dir, name):
    (parquet_dir / "plain_text" / name).unlink()
    with pytest.raises(ValueError, match=r"CIFAR-10 is incomplete: all t.*\.parquet must be in"):
        cifar10.DATASET.open(str(parquet_dir), 32)


@pytest.mark.parametrize("name", ["train-00001-of-00002.parquet", "test-00000-of-00001.parquet"])
def test_a_truncated_parquet_file_is_noticed_before_anything_is_decoded(parquet_dir, name):
    path = parquet_dir / "plain_text" / name
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=rf"{name} is not a whole Parquet file \(\d+ bytes"):
        cifar10.DATASET.open(str(parquet_dir), 32)


def test_a_parquet_file_damaged_inside_is_named(parquet_dir):
    path = parquet_dir / "plain_text" / "train-00000-of-00002.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:1000] + bytes(len(content) - 1004) + content[-4:])
    assert "cannot decode" in error_of(cifar10.DATASET, parquet_dir)
    assert str(path) in error_of(cifar10.DATASET, parquet_dir)


@pytest.mark.parametrize("part", ["train-00001-of-00002", "test-00000-of-00001"])
def test_wrong_counts_are_refused_with_expected_and_found(parquet_dir, part):
    write_parquet(parquet_dir / "plain_text" / f"{part}.parquet", made_up_images(12, classes=3))
    message = error_of(cifar10.DATASET, parquet_dir)
    assert "of each label from 0 to 9, but found" in message
    assert str(parquet_dir) in message


def test_images_of_another_size_are_refused(parquet_dir):
    large = LabeledImages(images=np.zeros((25, 33, 32, 3), np.uint8), labels=np.arange(25) % 10)
    write_parquet(parquet_dir / "plain_text" / "train-00001-of-00002.parquet", large)
    assert "expected RGB images of 32x32, found RGB of (32, 33)" in error_of(
        cifar10.DATASET, parquet_dir
    )


@pytest.mark.realdata
def test_the_real_cifar10_has_its_published_mean_colour(monkeypatch):
    default = Path(__file__).resolve().parents[4] / "shared/data/cifar10"
    base = Path(os.environ.get("CIFAR10_DIR", default))
    if not base.is_dir():
        pytest.skip(f"no CIFAR-10 in {base}")
    monkeypatch.undo()
    training = cifar10.DATASET.open(str(base), 32).read_training()
    assert len(training) == 50_000
    assert training.images.mean(axis=(0, 1, 2)) / 255 == pytest.approx(
        [0.4914, 0.4822, 0.4465], abs=1e-4
    )
