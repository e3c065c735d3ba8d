"""Made-up data sets on disk, an empty cache, and no network beyond this machine."""

import hashlib

import numpy as np
import platformdirs
import pytest
from made_up_data_sets import (
    TEST,
    TEST_IMAGES,
    TRAINING,
    TRAINING_IMAGES,
    batches,
    published_as,
    write_classes,
    write_parquet,
)

from trainables.data.dataset import LabeledImages
from trainables.datasets.cifar10 import CIFAR10


@pytest.fixture(autouse=True)
def small_cifar10(monkeypatch):
    """CIFAR-10 with 50 and 20 images, and the hashes of the batches made up here."""
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in batches().items()}
    published_as(
        monkeypatch,
        training_images=TRAINING_IMAGES,
        test_images=TEST_IMAGES,
        test_md5={"test_batch": md5.pop("test_batch")},
        training_md5=md5,
    )


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache, and no network beyond this machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    published_as(monkeypatch, url="http://127.0.0.1:9/cifar-10-python.tar.gz")
    return platformdirs.user_cache_path("transfer-study") / "cifar10"


@pytest.fixture
def batches_dir(tmp_path):
    base = tmp_path / "my dätä 数据 [1]"
    (base / CIFAR10.batches).mkdir(parents=True)
    for name, content in batches().items():
        (base / CIFAR10.batches / name).write_bytes(content)
    return base


@pytest.fixture
def parquet_dir(tmp_path):
    base = tmp_path / "my dätä 数据 [1]"
    for part, half in enumerate(np.split(np.arange(TRAINING_IMAGES), 2)):
        data = LabeledImages(images=TRAINING.images[half], labels=TRAINING.labels[half])
        write_parquet(base / "plain_text" / f"train-0000{part}-of-00002.parquet", data)
    write_parquet(base / "plain_text" / "test-00000-of-00001.parquet", TEST)
    return base


@pytest.fixture
def classes_dir(tmp_path):
    return write_classes(tmp_path / "my dätä 数据 [1]", {"hund": 10, "a cat": 10, "été": 5})


@pytest.fixture
def halves_dir(tmp_path):
    base = tmp_path / "my dätä 数据 [1]"
    write_classes(base / "train", {"cat": 4, "dog": 3})
    write_classes(base / "test", {"cat": 1, "dog": 2})
    return base
