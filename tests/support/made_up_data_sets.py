"""Files of data sets, made up and small: CIFAR-10 in both its layouts, and folders of images."""

import io
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trainables.data.dataset import LabeledImages
from trainables.datasets import cifar10

TRAINING_IMAGES, TEST_IMAGES = 50, 20


def made_up_images(count: int, classes: int = 10) -> LabeledImages:
    images = np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return LabeledImages(images=images, labels=np.arange(count) % classes)


TRAINING, TEST = made_up_images(TRAINING_IMAGES), made_up_images(TEST_IMAGES)


def encoded(image: np.ndarray, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, form)
    return buffer.getvalue()


def published_as(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    """Has CIFAR-10 published with other files."""
    monkeypatch.setattr(cifar10, "CIFAR10", replace(cifar10.CIFAR10, **changes))


def write_parquet(path: Path, data: LabeledImages) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": encoded(image), "path": "x.png"} for image in data.images]
    pq.write_table(pa.table({"img": images, "label": data.labels}), path)


def python2_batch(data: LabeledImages, key: bytes = b"labels") -> bytes:
    """A batch as Python 2 and the NumPy of 2009 pickled it: protocol 2, bytes as `str`."""
    pixels = data.images.transpose(0, 3, 1, 2).tobytes()
    shape = b"M" + struct.pack("<H", len(data)) + b"M" + struct.pack("<H", 3072) + b"\x86"
    kind = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN" + b"J\xff\xff\xff\xff" * 2
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + shape
        + kind
        + b"K\x00tb\x89T"
        + struct.pack("<i", len(pixels))
        + pixels
        + b"tb"
    )
    labels = b"](" + b"".join(b"K" + bytes([label]) for label in data.labels.tolist()) + b"e"
    return b"\x80\x02}(U" + bytes([len(key)]) + key + labels + b"U\x04data" + array + b"u."


def batches() -> dict[str, bytes]:
    fifths = np.split(np.arange(TRAINING_IMAGES), 5)
    training = {
        name: python2_batch(LabeledImages(images=TRAINING.images[i], labels=TRAINING.labels[i]))
        for name, i in zip(cifar10.CIFAR10.training_md5, fifths, strict=True)
    }
    return {**training, "test_batch": python2_batch(TEST)}


def in_memory(base: Path, name: str) -> str:
    """Copies a folder to a file system that is not on disk; returns its address."""
    for path in base.rglob("*"):
        if path.is_file():
            target = f"/{name}/{path.relative_to(base)}"
            fsspec.filesystem("memory").pipe_file(target, path.read_bytes())
    return f"memory://{name}"


def write_classes(base: Path, images: dict[str, int]) -> Path:
    for value, (name, count) in enumerate(images.items()):
        (base / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            pixels = np.full((8, 12, 3), 10 * value + i, dtype=np.uint8)
            (base / name / f"bild {i} ü.png").write_bytes(encoded(pixels))
    return base


def error_of(dataset, data_dir) -> str:
    """The one line that opening and decoding everything ends with."""

    def read_everything() -> None:
        data = dataset.open(str(data_dir), 16)
        data.read_training()
        data.read_test()

    return one_line(read_everything)


def one_line(act: Callable[[], object]) -> str:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as caught:
        act()
    return str(caught.value)
