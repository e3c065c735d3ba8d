"""CIFAR-100 in both its layouts: read as CIFAR-10 is, by its fine labels."""

import hashlib
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up_data_sets import encoded, error_of, made_up_images, python2_batch

from trainables.datasets import cifar100

TRAINING, TEST = made_up_images(200, classes=100), made_up_images(100, classes=100)
PARTS = {"train": TRAINING, "test": TEST}


@pytest.fixture(autouse=True)
def small_cifar100(monkeypatch):
    """CIFAR-100 with 200 and 100 images, and the hashes of the files made up here."""
    md5 = {part: hashlib.md5(pickled(part)).hexdigest() for part in PARTS}
    small = replace(
        cifar100.CIFAR100,
        training_images=200,
        test_images=100,
        training_md5={"train": md5["train"]},
        test_md5={"test": md5["test"]},
    )
    monkeypatch.setattr(cifar100, "CIFAR100", small)


def pickled(part: str) -> bytes:
    return python2_batch(PARTS[part], b"fine_labels")


@pytest.fixture(params=["cifar-100-python", "cifar100"])
def laid_out(request, tmp_path):
    base = tmp_path / request.param
    base.mkdir()
    for part, data in PARTS.items():
        if request.param == "cifar-100-python":
            (base / part).write_bytes(pickled(part))
            continue
        images = [{"bytes": encoded(image), "path": None} for image in data.images]
        columns = {"img": images, "fine_label": data.labels, "coarse_label": data.labels // 5}
        pq.write_table(pa.table(columns), base / f"{part}-00000-of-00001.parquet")
    return base


@pytest.mark.parametrize("inside", [False, True], ids=["above", "inside"])
def test_both_layouts_of_cifar100_give_the_fine_labels(laid_out, inside):
    data = cifar100.DATASET.open(str(laid_out if inside else laid_out.parent), 32)
    assert (data.classes[0], data.classes[99], len(data.classes)) == ("apple", "worm", 100)
    for found, expected in ((data.read_training(), TRAINING), (data.read_test(), TEST)):
        assert np.array_equal(found.images, expected.images)
        assert np.array_equal(found.labels, expected.labels)


def test_the_classes_of_cifar100_are_in_the_order_of_their_names():
    classes = cifar100.CIFAR100.classes
    assert (list(classes), len(set(classes))) == (sorted(classes), 100)


def test_a_folder_without_cifar100_says_what_was_looked_for(tmp_path):
    message = error_of(cifar100.DATASET, tmp_path)
    assert message.startswith("CIFAR-100 is not in ")
    assert "neither cifar-100-python/ nor cifar100/train-*.parquet" in message
