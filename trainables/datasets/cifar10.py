"""CIFAR-10: 60,000 real photographs, 32x32 RGB, in 10 classes; 50,000 train, 10,000 test.

Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009). Read from the
batches of its published archive (as torchvision keeps them) or from the Parquet files that
Hugging Face serves, of which a row is `img: {bytes: <PNG>, path: bird_s_000005.png}, label: 2`.
"""

import hashlib
import io
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trainables.data.dataset import DataSet, LabeledImages, OpenedDataSet

if TYPE_CHECKING:
    from trainables.data.files import Folder

CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
IMAGE_SIZE = 32
TRAINING_IMAGES = 50_000
TEST_IMAGES = 10_000

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
ARCHIVE_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
BATCHES = "cifar-10-batches-py"
TRAINING_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
}
TEST_MD5 = {"test_batch": "40351d587109b95175f43aff81a1287e"}

PARQUET = "plain_text"
PARQUET_NAME = re.compile(r"(train|test)-(\d+)-of-(\d+).*\.parquet")
PARQUET_MAGIC = b"PAR1"  # the first and the last four bytes of every whole file
IMAGES_PER_TASK = 500

Check = Callable[[str, bytes], None]
Decoded = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]
Decode = Callable[[bytes], Decoded]


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """One of the two forms that CIFAR-10 comes in.

    Attributes:
        folder: Where its files are.
        training: File names of the training part, in the order of the images.
        test: File names of the test part.
        check: Refuses the bytes of a file that is not whole, without decoding it.
        decode: The bytes of a file to images [images, 32, 32, 3] and labels [images].
    """

    folder: "Folder"
    training: Sequence[str]
    test: Sequence[str]
    check: Check
    decode: Decode


def open_cifar10(data_dir: str | None, _image_size: int) -> OpenedDataSet:
    """Finds, or downloads, the files; hashes them; images are always 32x32.

    Args:
        data_dir: A folder (path or fsspec address) that holds, or is, `cifar-10-batches-py`
            or `plain_text` with its Parquet files; None for the user's cache.

    Raises:
        ValueError: If files are missing, not whole, or cannot be downloaded.
    """
    from trainables.data.files import open_folder

    layout = _find(open_folder(str(_downloaded()) if data_dir is None else data_dir))
    files = {name: _checked_hash(layout, name) for name in (*layout.training, *layout.test)}
    return OpenedDataSet(
        classes=CLASSES,
        files=files,
        read_training=lambda: _read(layout, layout.training, files, TRAINING_IMAGES),
        read_test=lambda: _read(layout, layout.test, files, TEST_IMAGES),
        test_files=frozenset(layout.test),
        check_test=lambda: _read(layout, layout.test, files, TEST_IMAGES),
        image_counts=(TRAINING_IMAGES, TEST_IMAGES),
        image_shape=(IMAGE_SIZE, IMAGE_SIZE, 3),
    )


def _downloaded() -> str:
    from platformdirs import user_cache_path

    from trainables.data.download import fetch_folder

    cache = user_cache_path("transfer-study") / "cifar10"
    try:
        return str(fetch_folder(url=URL, sha256=ARCHIVE_SHA256, folder=BATCHES, cache=cache))
    except ValueError as error:
        msg = f"no CIFAR-10: {error}; get it elsewhere and name its folder with --data-dir"
        raise ValueError(msg) from error


def _checked_hash(layout: _Layout, name: str) -> str:
    content = layout.folder.read(name)
    layout.check(layout.folder.at(name), content)
    return hashlib.sha256(content).hexdigest()


def _read(
    layout: _Layout, names: Sequence[str], files: Mapping[str, str], expected: int
) -> LabeledImages:
    decoded = [_decode(layout, name, files[name]) for name in names]
    labels = np.concatenate([labels for _, labels in decoded])
    _check_counts(layout.folder.path, labels, expected)
    images = np.ascontiguousarray(np.concatenate([images for images, _ in decoded]))
    return LabeledImages(images=images, labels=labels)


def _decode(layout: _Layout, name: str, sha256: str) -> Decoded:
    content = layout.folder.read(name, sha256=sha256)
    # pickle, Arrow and Pillow have errors of their own; all mean that the file is at fault.
    try:
        return layout.decode(content)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        msg = f"cannot decode {layout.folder.at(name)}: {reason}"
        raise ValueError(msg) from error


def _check_counts(path: str, labels: npt.NDArray[np.int64], expected: int) -> None:
    found = dict(zip(*(part.tolist() for part in np.unique_counts(labels)), strict=True))
    if found != dict.fromkeys(range(len(CLASSES)), expected // len(CLASSES)):
        msg = (
            f"expected {expected} images in {path}, {expected // len(CLASSES)} of each label "
            f"from 0 to {len(CLASSES) - 1}, but found {len(labels)}, by label: {found}"
        )
        raise ValueError(msg)


def _find(folder: "Folder") -> _Layout:
    folders, files = folder.list()
    if BATCHES in folders:
        return _batches(folder.child(BATCHES))
    if PARQUET in folders:
        return _parquet(folder.child(PARQUET))
    if set(files) & {*TRAINING_MD5, *TEST_MD5}:
        return _batches(folder)
    if any(map(PARQUET_NAME.fullmatch, files)):
        return _parquet(folder)
    msg = (
        f"CIFAR-10 is not in {folder.path}: neither {BATCHES}/ nor {PARQUET}/train-*.parquet is "
        "there; without --data-dir it is downloaded"
    )
    raise ValueError(msg)


def _batches(folder: "Folder") -> _Layout:
    _, files = folder.list()
    missing = [name for name in (*TRAINING_MD5, *TEST_MD5) if name not in files]
    if missing:
        msg = f"CIFAR-10 is incomplete: {', '.join(missing)} missing in {folder.path}"
        raise ValueError(msg)
    return _Layout(
        folder=folder,
        training=tuple(TRAINING_MD5),
        test=tuple(TEST_MD5),
        check=_check_batch,
        decode=_decode_batch,
    )


def _check_batch(path: str, content: bytes) -> None:
    # MD5 is what is published of these files. Nobody can make another file to a given MD5, and
    # the unpickler below would give it nothing to call.
    expected = {**TRAINING_MD5, **TEST_MD5}[Path(path).name]
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != expected:
        sha256 = hashlib.sha256(content).hexdigest()
        msg = f"{path} is corrupt: expected MD5 {expected}, found {found} (SHA-256 {sha256})"
        raise ValueError(msg)


class _ArrayUnpickler(pickle.Unpickler):
    """Builds containers, numbers, text and NumPy arrays; refuses to look up anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module.partition(".")[0], name) == ("numpy", "_reconstruct"):
            return np.empty(0).__reduce__()[0]
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return lambda code, *_: np.dtype(
                code, copy=True
            )  # its flags of 2009 are refused by now
        msg = f"{module}.{name} is not allowed"
        raise pickle.UnpicklingError(msg)


def _decode_batch(content: bytes) -> Decoded:
    batch = _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    planes = batch["data"].reshape(-1, 3, IMAGE_SIZE, IMAGE_SIZE)
    return planes.transpose(0, 2, 3, 1), np.array(batch["labels"], dtype=np.int64)


def _parquet(folder: "Folder") -> _Layout:
    _, files = folder.list()
    return _Layout(
        folder=folder,
        training=_all_parts(folder.path, "train", files),
        test=_all_parts(folder.path, "test", files),
        check=_check_parquet,
        decode=_decode_parquet,
    )


def _all_parts(path: str, part: str, files: Sequence[str]) -> list[str]:
    """Names of a part's files, `<part>-<n>-of-<count>`, of which none may be missing."""
    matches = [match for match in map(PARQUET_NAME.fullmatch, files) if match and match[1] == part]
    counts = {int(match[3]) for match in matches}
    numbers = [int(match[2]) for match in matches]
    if len(counts) != 1 or numbers != list(range(max(counts))):
        found = ", ".join(match[0] for match in matches) or "none"
        msg = f"CIFAR-10 is incomplete: all {part}-*-of-*.parquet must be in {path}, found {found}"
        raise ValueError(msg)
    return [match[0] for match in matches]


def _check_parquet(path: str, content: bytes) -> None:
    if not (content.startswith(PARQUET_MAGIC) and content.endswith(PARQUET_MAGIC)):
        found = hashlib.sha256(content).hexdigest()
        msg = f"{path} is not a whole Parquet file ({len(content)} bytes, SHA-256 {found})"
        raise ValueError(msg)


def _decode_parquet(content: bytes) -> Decoded:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(content), columns=["img", "label"]).flatten()
    encoded = table["img.bytes"].to_pylist()
    images = np.empty((len(encoded), IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)

    def decode_some(start: int) -> None:
        for i in range(start, min(start + IMAGES_PER_TASK, len(encoded))):
            images[i] = _decode_png(encoded[i])

    with ThreadPoolExecutor() as threads:
        list(threads.map(decode_some, range(0, len(encoded), IMAGES_PER_TASK)))
    return images, table["label"].to_numpy()


def _decode_png(encoded: bytes) -> npt.NDArray[np.uint8]:
    from PIL import Image

    with Image.open(io.BytesIO(encoded), formats=("PNG",)) as image:
        if (image.mode, image.size) != ("RGB", (IMAGE_SIZE, IMAGE_SIZE)):
            msg = f"expected RGB images of 32x32, found {image.mode} of {image.size}"
            raise ValueError(msg)
        return np.asarray(image)


DATASET = DataSet(
    name="cifar10",
    summary="60,000 photographs, 32x32 RGB, in 10 classes, from the CIFAR-10 archive or Parquet",
    open=open_cifar10,
    # Its page as mirrored, and Hugging Face's card of uoft-cs/cifar10 (`license: unknown`).
    licence=(
        "not stated by its source (https://www.cs.toronto.edu/~kriz/cifar.html), which asks to "
        "cite Krizhevsky (2009); Hugging Face's card of it says `unknown`"
    ),
)
