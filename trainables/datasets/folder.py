"""Folder: your own images, one sub-folder per class, in any format that Pillow reads.

Either `<dir>/train/<class>/*` and `<dir>/test/<class>/*`, or `<dir>/<class>/*`, of which a
fixed fifth, stratified, is the test part. An image: `flowers/train/daisy/5547758.jpg`.
"""

import hashlib
import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainables.data.dataset import DataSet, LabeledImages, OpenedDataSet
from trainables.data.splitting import Indices, split

if TYPE_CHECKING:
    from PIL import Image

    from trainables.data.files import Folder

TEST_SHARE = 0.2
# The division belongs to the data set: a study's seed must not move an image out of the test part.
TEST_SEED = 20
MIN_CLASSES = 2
MIN_TRAINING_IMAGES = 2  # of each class: one to train on, one to validate
MIN_TEST_IMAGES = 1  # of each class


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The images of one part: paths below the folder, and class indices, shape [images]."""

    names: tuple[str, ...]
    labels: Indices

    def take(self, chosen: Indices) -> "_Part":
        return _Part(names=tuple(self.names[i] for i in chosen), labels=self.labels[chosen])


def open_image_folder(data_dir: str | None, image_size: int) -> OpenedDataSet:
    """Lists and hashes the images of a folder (path or fsspec address).

    Args:
        data_dir: The folder.
        image_size: Edge in pixels that images are scaled and cropped to.

    Raises:
        ValueError: If the folder is missing, or not laid out as one sub-folder per class.
    """
    from trainables.data.files import open_folder

    if data_dir is None:
        msg = "the data set 'folder' needs --data-dir, a folder with one sub-folder per class"
        raise ValueError(msg)
    folder = open_folder(data_dir)
    classes, training, test = _find_parts(folder)
    names = (*training.names, *test.names)
    with ThreadPoolExecutor() as threads:
        hashes = threads.map(lambda name: hashlib.sha256(folder.read(name)).hexdigest(), names)
        files = dict(zip(names, hashes, strict=True))
    return OpenedDataSet(
        classes=classes,
        files=files,
        read_training=lambda: _read(folder, training, files, image_size),
        read_test=lambda: _read(folder, test, files, image_size),
    )


def _find_parts(folder: "Folder") -> tuple[tuple[str, ...], _Part, _Part]:
    """Class names, training part, test part."""
    names, _ = folder.list()
    halves = [half for half in ("train", "test") if half in names and _has_folders(folder, half)]
    if not halves:
        return _split_by_seed(folder)
    if len(halves) == 1:
        msg = f"train/ and test/ must both be in {folder.path}, but only {halves[0]}/ is"
        raise ValueError(msg)
    return _split_by_folders(folder)


def _has_folders(folder: "Folder", name: str) -> bool:
    return len(folder.child(name).list()[0]) > 0


def _split_by_folders(folder: "Folder") -> tuple[tuple[str, ...], _Part, _Part]:
    classes = _classes(folder.child("train"))
    in_test = _classes(folder.child("test"))
    if classes != in_test:
        differing = ", ".join(sorted(set(classes) ^ set(in_test)))
        msg = f"train/ and test/ in {folder.path} must have the same classes; one lacks {differing}"
        raise ValueError(msg)
    training = _list_images(folder, "train/", classes, at_least=MIN_TRAINING_IMAGES)
    return classes, training, _list_images(folder, "test/", classes, at_least=MIN_TEST_IMAGES)


def _split_by_seed(folder: "Folder") -> tuple[tuple[str, ...], _Part, _Part]:
    classes = _classes(folder)
    both = _list_images(folder, "", classes, at_least=MIN_TRAINING_IMAGES + MIN_TEST_IMAGES)
    test_images = max(round(TEST_SHARE * len(both.names)), len(classes))
    parts = split(both.labels, validation_images=test_images, train_images=None, seed=TEST_SEED)
    return classes, both.take(parts.train), both.take(parts.validation)


def _classes(folder: "Folder") -> tuple[str, ...]:
    names, _ = folder.list()
    if len(names) < MIN_CLASSES:
        found = f"only {names[0]!r}" if names else "none"
        msg = (
            f"at least {MIN_CLASSES} classes, a sub-folder each, must be in {folder.path}: {found}"
        )
        raise ValueError(msg)
    return tuple(names)


def _list_images(folder: "Folder", below: str, classes: Iterable[str], *, at_least: int) -> _Part:
    names: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        files = _files_of_class(folder.child(f"{below}{name}"), at_least)
        names += [f"{below}{name}/{file}" for file in files]
        labels += [label] * len(files)
    return _Part(names=tuple(names), labels=np.array(labels, dtype=np.int64))


def _files_of_class(folder: "Folder", at_least: int) -> list[str]:
    folders, files = folder.list()
    if folders:
        msg = f"a class must hold images only, but {folder.at(folders[0])} is a folder"
        raise ValueError(msg)
    if len(files) < at_least:
        msg = f"at least {at_least} images must be in {folder.path}, but found {len(files)}"
        raise ValueError(msg)
    return files


def _read(folder: "Folder", part: _Part, files: dict[str, str], image_size: int) -> LabeledImages:
    """Decodes one part; images of shape [images, image_size, image_size, 3]."""
    images = np.empty((len(part.names), image_size, image_size, 3), dtype=np.uint8)

    def read_one(index: int) -> None:
        name = part.names[index]
        content = folder.read(name, sha256=files[name])
        images[index] = _decode(content, image_size, folder.at(name))

    with ThreadPoolExecutor() as threads:
        for _ in threads.map(read_one, range(len(part.names))):
            pass
    return LabeledImages(images=images, labels=part.labels)


def _decode(content: bytes, image_size: int, path: str) -> npt.NDArray[np.uint8]:
    """An upright RGB image, its middle cut out as a square, shape [image_size, image_size, 3]."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    # Each of Pillow's formats has errors of its own, and all mean that the file is at fault.
    try:
        with Image.open(io.BytesIO(content)) as image:
            upright = ImageOps.exif_transpose(image)
            return np.asarray(ImageOps.fit(_rgb(upright), (image_size, image_size)))
    except UnidentifiedImageError as error:
        msg = f"cannot decode the image {path}: not in a format that Pillow knows"
        raise ValueError(msg) from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        msg = f"cannot decode the image {path}: {reason}"
        raise ValueError(msg) from error


def _rgb(image: "Image.Image") -> "Image.Image":
    """8 bits a channel, over white where transparent; Pillow alone would clip and uncover."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in {"I", "F"}:
        msg = (
            f"pixels of mode {image.mode} have no fixed range; save it with 8 or 16 bits a channel"
        )
        raise ValueError(msg)
    if not image.has_transparency_data:
        return image.convert("RGB")
    over = image.convert("RGBA")
    white = Image.new("RGBA", over.size, "white")
    return Image.alpha_composite(white, over).convert("RGB")


DATASET = DataSet(
    name="folder",
    summary="your own images: --data-dir with a sub-folder per class, or train/ and test/ of these",
    open=open_image_folder,
    licence="not stated: the images are those of whoever ran the study",
)
