"""CIFAR-10 and CIFAR-100 as they are published: found, or downloaded, checked and decoded.

Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009). Read from the
batches of their archives (as torchvision keeps them) or from the Parquet files that Hugging Face
serves.
"""

import hashlib
import io
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trainables.data.dataset import LabeledImages, OpenedDataSet

if TYPE_CHECKING:
    from trainables.data.files import Folder

IMAGE_SIZE = 32
PARQUET_NAME = re.compile(r"(train|test)-(\d+)-of-(\d+).*\.parquet")
PARQUET_MAGIC = b"PAR1"  # the first and the last four bytes of every whole file
IMAGES_PER_TASK = 500

Check = Callable[[str, bytes], None]
Decoded = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]
Decode = Callable[[bytes], Decoded]


@dataclass(frozen=True, kw_only=True)
class Cifar:
    """What is published of one of the two.

    Attributes:
        name: What `--dataset` takes.
        title: What it is called.
        classes: Class names; a label is an index into them.
        training_images: How many there are, as many of each class.
        test_images: Likewise.
        url: Where its archive is.
        archive_sha256: Of the archive.
        batches: The folder in the archive.
        training_md5: File of the training part in there to its MD5.
        test_md5: Those of the test part.
        batch_labels: What labels are called in these files.
        parquet: The folder of Hugging Face's Parquet files.
        parquet_label: Their column of labels.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    training_images: int = 50_000
    test_images: int = 10_000
    url: str
    archive_sha256: str
    batches: str
    training_md5: Mapping[str, str]
    test_md5: Mapping[str, str]
    batch_labels: str
    parquet: str
    parquet_label: str


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """One of the two forms that it comes in.

    Attributes:
        cifar: What is published of it.
        folder: Where its files are.
        training: File names of the training part, in the order of the images.
        test: File names of the test part.
        check: Rejects the bytes of a file that is not whole, without decoding it.
        decode: The bytes of a file to images [images, 32, 32, 3] and labels [images].
    """

    cifar: Cifar
    folder: "Folder"
    training: Sequence[str]
    test: Sequence[str]
    check: Check
    decode: Decode


def open_cifar(cifar: Cifar, data_dir: str | None) -> OpenedDataSet:
    """Finds, or downloads, the files; hashes them; images are always 32x32.

    Args:
        cifar: Which of the two.
        data_dir: A folder (path or fsspec address) that holds, or is, the folder of its batches or
            that of its Parquet files; None for the user's cache.

    Raises:
        ValueError: If files are missing, not whole, or cannot be downloaded.
    """
    from trainables.data.files import open_folder

    layout = _find(cifar, open_folder(_downloaded(cifar) if data_dir is None else data_dir))
    files = {name: _checked_hash(layout, name) for name in (*layout.training, *layout.test)}
    return OpenedDataSet(
        classes=cifar.classes,
        files=files,
        read_training=lambda: _read(layout, layout.training, files, cifar.training_images),
        read_test=lambda: _read(layout, layout.test, files, cifar.test_images),
        test_files=frozenset(layout.test),
        check_test=lambda: _read(layout, layout.test, files, cifar.test_images),
        image_counts=(cifar.training_images, cifar.test_images),
        image_shape=(IMAGE_SIZE, IMAGE_SIZE, 3),
    )


def _downloaded(cifar: Cifar) -> str:
    from platformdirs import user_cache_path

    from trainables.data.download import fetch_folder

    cache = user_cache_path("transfer-study") / cifar.name
    try:
        return str(
            fetch_folder(
                url=cifar.url, sha256=cifar.archive_sha256, folder=cifar.batches, cache=cache
            )
        )
    except ValueError as error:
        raise ValueError(
            f"no {cifar.title}: {error}; get it elsewhere and name its folder with --data-dir"
        ) from error


def _checked_hash(layout: _Layout, name: str) -> str:
    content = layout.folder.read(name)
    layout.check(layout.folder.at(name), content)
    return hashlib.sha256(content).hexdigest()


def _read(
    layout: _Layout, names: Sequence[str], files: Mapping[str, str], expected: int
) -> LabeledImages:
    decoded = [_decode(layout, name, files[name]) for name in names]
    labels = np.concatenate([labels for _, labels in decoded])
    _check_counts(layout, labels, expected)
    images = np.ascontiguousarray(np.concatenate([images for images, _ in decoded]))
    return LabeledImages(images=images, labels=labels)


def _decode(layout: _Layout, name: str, sha256: str) -> Decoded:
    content = layout.folder.read(name, sha256=sha256)
    # pickle, Arrow and Pillow have errors of their own; all mean that the file is at fault.
    try:
        return layout.decode(content)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"cannot decode {layout.folder.at(name)}: {reason}") from error


def _check_counts(layout: _Layout, labels: npt.NDArray[np.int64], expected: int) -> None:
    found = dict(zip(*(part.tolist() for part in np.unique_counts(labels)), strict=True))
    classes = len(layout.cifar.classes)
    if found != dict.fromkeys(range(classes), expected // classes):
        raise ValueError(
            f"expected {expected} images in {layout.folder.path}, {expected // classes} of each "
            f"label from 0 to {classes - 1}, but found {len(labels)}, by label: {found}"
        )


def _find(cifar: Cifar, folder: "Folder") -> _Layout:
    folders, files = folder.list()
    if cifar.batches in folders:
        return _batches(cifar, folder.child(cifar.batches))
    if cifar.parquet in folders:
        return _parquet(cifar, folder.child(cifar.parquet))
    if set(files) & {*cifar.training_md5, *cifar.test_md5}:
        return _batches(cifar, folder)
    if any(map(PARQUET_NAME.fullmatch, files)):
        return _parquet(cifar, folder)
    raise ValueError(
        f"{cifar.title} is not in {folder.path}: neither {cifar.batches}/ nor "
        f"{cifar.parquet}/train-*.parquet is there; without --data-dir it is downloaded"
    )


def _batches(cifar: Cifar, folder: "Folder") -> _Layout:
    _, files = folder.list()
    published = {**cifar.training_md5, **cifar.test_md5}
    missing = [name for name in published if name not in files]
    if missing:
        raise ValueError(
            f"{cifar.title} is incomplete: {', '.join(missing)} missing in {folder.path}"
        )
    return _Layout(
        cifar=cifar,
        folder=folder,
        training=tuple(cifar.training_md5),
        test=tuple(cifar.test_md5),
        check=partial(_check_batch, published),
        decode=partial(_decode_batch, cifar.batch_labels),
    )


def _check_batch(published: Mapping[str, str], path: str, content: bytes) -> None:
    # MD5 is what is published of these files. Nobody can make another file to a given MD5, and
    # the unpickler below would give it nothing to call.
    expected = published[Path(path).name]
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != expected:
        sha256 = hashlib.sha256(content).hexdigest()
        raise ValueError(
            f"{path} is corrupt: expected MD5 {expected}, found {found} (SHA-256 {sha256})"
        )


class _ArrayUnpickler(pickle.Unpickler):
    """Builds containers, numbers, text and NumPy arrays; looks up nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module.partition(".")[0], name) == ("numpy", "_reconstruct"):
            return np.empty(0).__reduce__()[0]
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return lambda code, *_: np.dtype(code, copy=True)  # flags of 2009 are refused by now
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")


def _decode_batch(labels: str, content: bytes) -> Decoded:
    batch = _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    planes = batch["data"].reshape(-1, 3, IMAGE_SIZE, IMAGE_SIZE)
    return planes.transpose(0, 2, 3, 1), np.array(batch[labels], dtype=np.int64)


def _parquet(cifar: Cifar, folder: "Folder") -> _Layout:
    _, files = folder.list()
    return _Layout(
        cifar=cifar,
        folder=folder,
        training=_all_parts(cifar, folder.path, "train", files),
        test=_all_parts(cifar, folder.path, "test", files),
        check=_check_parquet,
        decode=partial(_decode_parquet, cifar.parquet_label),
    )


def _all_parts(cifar: Cifar, path: str, part: str, files: Sequence[str]) -> list[str]:
    """Names of a part's files, `<part>-<n>-of-<count>`, of which none may be missing."""
    matches = [match for match in map(PARQUET_NAME.fullmatch, files) if match and match[1] == part]
    counts = {int(match[3]) for match in matches}
    numbers = [int(match[2]) for match in matches]
    if len(counts) != 1 or numbers != list(range(max(counts))):
        found = ", ".join(match[0] for match in matches) or "none"
        raise ValueError(
            f"{cifar.title} is incomplete: all {part}-*-of-*.parquet must be in {path}, found "
            f"{found}"
        )
    return [match[0] for match in matches]


def _check_parquet(path: str, content: bytes) -> None:
    if not (content.startswith(PARQUET_MAGIC) and content.endswith(PARQUET_MAGIC)):
        found = hashlib.sha256(content).hexdigest()
        raise ValueError(
            f"{path} is not a whole Parquet file ({len(content)} bytes, SHA-256 {found})"
        )


def _decode_parquet(label: str, content: bytes) -> Decoded:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(content), columns=["img", label]).flatten()
    encoded = table["img.bytes"].to_pylist()
    images = np.empty((len(encoded), IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)

    def decode_some(start: int) -> None:
        for i in range(start, min(start + IMAGES_PER_TASK, len(encoded))):
            images[i] = _decode_png(encoded[i])

    with ThreadPoolExecutor() as threads:
        list(threads.map(decode_some, range(0, len(encoded), IMAGES_PER_TASK)))
    return images, table[label].to_numpy()


def _decode_png(encoded: bytes) -> npt.NDArray[np.uint8]:
    from PIL import Image

    with Image.open(io.BytesIO(encoded), formats=("PNG",)) as image:
        if (image.mode, image.size) != ("RGB", (IMAGE_SIZE, IMAGE_SIZE)):
            raise ValueError(f"expected RGB images of 32x32, found {image.mode} of {image.size}")
        return np.asarray(image)
