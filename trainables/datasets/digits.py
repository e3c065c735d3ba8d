"""Digits: 1,797 real scans of handwritten digits, 8x8 grey, shipped with scikit-learn.

Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI (1998); the 1,797
are its test part. A row is 64 values from 0 (paper) to 16 (ink), then the digit:
`0,0,5,13,9,1,0,0, ... ,0,0,6,13,10,0,0,0,0`. Here an image is 32x32 RGB, upsampled (bicubic).
"""

import gzip
import hashlib
import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainables.data.dataset import DataSet, LabeledImages, OpenedDataSet
from trainables.data.splitting import Indices, Split, split

CLASSES = tuple("0123456789")
FILE = "digits.csv.gz"
IMAGE_SIZE = 32
MOST_INK = 16
IMAGES = 1797
TEST_IMAGES = 360
# There is no official test part. This division belongs to the data set: the seed of a study
# must not move an image from the test part to the training part.
TEST_SEED = 1797


def open_digits(data_dir: str | None, _image_size: int) -> OpenedDataSet:
    """Finds the file inside scikit-learn; images are always 32x32.

    Raises:
        ValueError: If a folder is given.
    """
    if data_dir is not None:
        raise ValueError(
            f"digits ships with scikit-learn and takes no --data-dir, but got {data_dir!r}"
        )
    return OpenedDataSet(
        classes=CLASSES,
        files={FILE: _file_hash()},
        read_training=_read_training,
        read_test=_read_test,
        image_counts=(IMAGES - TEST_IMAGES, TEST_IMAGES),
        image_shape=(IMAGE_SIZE, IMAGE_SIZE, 3),
    )


def _file_hash() -> str:
    return hashlib.sha256(_file().read_bytes()).hexdigest()


def _file() -> Path:
    """The file as scikit-learn ships it, found without importing that, which takes seconds."""
    spec = find_spec("sklearn")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "datasets" / "data" / FILE


def _read_training() -> LabeledImages:
    grey, labels = _scans()
    return _labeled(grey, labels, _parts(labels).train)


def _read_test() -> LabeledImages:
    grey, labels = _scans()
    return _labeled(grey, labels, _parts(labels).validation)


def _parts(labels: Indices) -> Split:
    """The test part (as `validation`) and what is left (as `train`)."""
    return split(labels, validation_images=TEST_IMAGES, train_images=None, seed=TEST_SEED)


def _scans() -> tuple[npt.NDArray[np.uint8], Indices]:
    """All scans, ink white on black in 0 to 255, shape [images, 8, 8], and their labels."""
    rows = np.loadtxt(io.BytesIO(gzip.decompress(_file().read_bytes())), delimiter=",")
    ink = rows[:, :-1].reshape(-1, 8, 8)
    return np.rint(ink * (255 / MOST_INK)).astype(np.uint8), rows[:, -1].astype(np.int64)


def _labeled(grey: npt.NDArray[np.uint8], labels: Indices, chosen: Indices) -> LabeledImages:
    return LabeledImages(images=np.stack([_rgb(grey[i]) for i in chosen]), labels=labels[chosen])


def _rgb(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """[8, 8] to [32, 32, 3]."""
    from PIL import Image

    large = Image.fromarray(grey).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
    return np.asarray(large.convert("RGB"))


DATASET = DataSet(
    name="digits",
    summary="1,797 handwritten digits as 32x32 RGB in 10 classes, shipped with scikit-learn",
    open=open_digits,
    licence=(
        "not stated by its source: scikit-learn's description of it "
        "(sklearn/datasets/descr/digits.rst) names none, and calls it a copy of the test set of "
        "UCI's Optical Recognition of Handwritten Digits "
        "(https://archive.ics.uci.edu/ml/datasets/Optical+Recognition+of+Handwritten+Digits)"
    ),
)
