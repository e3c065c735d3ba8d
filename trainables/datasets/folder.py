"""Folder: your own images, one sub-folder per class, in any format that Pillow reads.

Either `<dir>/train/<class>/*` and `<dir>/test/<class>/*`, or `<dir>/<class>/*`, of which a
fixed fifth, stratified, is the test part. An image: `flowers/train/daisy/5547758.jpg`.
"""

import hashlib
import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
PARTS = ("train", "val", "test")
# What file managers and archives leave beside images.
JUNK = frozenset({"Thumbs.db", "desktop.ini", "__MACOSX", "$RECYCLE.BIN", "@eaDir"})
SHOWN = 5  # problems of a kind
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
    classes, training, test, notes = _find_parts(folder)
    names = (*training.names, *test.names)
    with ThreadPoolExecutor() as threads:
        hashes = threads.map(lambda name: hashlib.sha256(folder.read(name)).hexdigest(), names)
        files = dict(zip(names, hashes, strict=True))
    return OpenedDataSet(
        classes=classes,
        files=files,
        read_training=lambda: _read(folder, training, files, image_size),
        read_test=lambda: _read(folder, test, files, image_size),
        test_files=frozenset(test.names),
        check_test=lambda: _check(folder, test, files),
        image_counts=(len(training.names), len(test.names)),
        image_shape=(image_size, image_size, 3),
        duplicates=tuple(_duplicates(files, training, test)),
        notes=(*notes, f"Images are scaled and cropped to {image_size}x{image_size} pixels."),
    )


def _find_parts(folder: "Folder") -> tuple[tuple[str, ...], _Part, _Part, list[str]]:
    """Class names, training part, test part, and what was left out."""
    names, _ = folder.list()
    halves = [part for part in PARTS if part in names and _has_folders(folder, part)]
    if not {"train", "test"} & set(halves):
        return (*_split_by_seed(folder), [])
    if not {"train", "test"} <= set(halves):
        msg = f"train/ and test/ must both be in {folder.path}, but only {', '.join(halves)} is"
        if "val" in halves:
            msg += "; to have val/ as the test part, rename it to test/"
        raise ValueError(msg)
    left_out = []
    if "val" in halves:
        left_out = ["val/ was left out: validation images are taken out of train/."]
    return (*_split_by_folders(folder), left_out)


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
    names = [name for name in folder.list()[0] if name not in JUNK]
    if len(names) < MIN_CLASSES:
        found = f"only {names[0]!r}" if names else "none"
        msg = (
            f"at least {MIN_CLASSES} classes, a sub-folder each, must be in {folder.path}: {found}"
        )
        raise ValueError(msg)
    unfit = [name for name in names if not name.isprintable() or not _storable(name)]
    if unfit:
        msg = (
            f"a class must be named in printable UTF-8, but {folder.path} has "
            f"{', '.join(map(ascii, unfit))}"
        )
        raise ValueError(msg)
    return tuple(names)


def _storable(name: str) -> bool:
    """Whether a table can hold a name: one that is no UTF-8 on disk has surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _list_images(folder: "Folder", below: str, classes: Iterable[str], *, at_least: int) -> _Part:
    names: list[str] = []
    labels: list[int] = []
    wrong: list[str] = []
    for label, name in enumerate(classes):
        files, problems = _files_of_class(folder.child(f"{below}{name}"), at_least)
        names += [f"{below}{name}/{file}" for file in files]
        labels += [label] * len(files)
        wrong += problems
    if wrong:
        raise ValueError(_all_of(wrong))
    return _Part(names=tuple(names), labels=np.array(labels, dtype=np.int64))


def _files_of_class(folder: "Folder", at_least: int) -> tuple[list[str], list[str]]:
    """The names of a class's images, and what is wrong with its folder."""
    folders, files = ([name for name in names if name not in JUNK] for names in folder.list())
    wrong = [f"a class must hold images only, but {folder.at(f)} is a folder" for f in folders]
    others = [name for name in files if not folder.is_file(name)]
    wrong += [f"an image must be a file, but {folder.at(name)} is none" for name in others]
    wrong += [
        f"an image must be named in UTF-8, but {folder.path} has {name!a}"
        for name in files
        if not _storable(name)
    ]
    if len(files) < at_least:
        wrong.append(f"at least {at_least} images must be in {folder.path}, but found {len(files)}")
    return [name for name in files if name not in others], wrong


def _duplicates(files: Mapping[str, str], training: _Part, test: _Part) -> Iterator[str]:
    """Images of the same bytes in training and test, or in two classes; a sentence for each."""
    first = {files[name]: name for name in reversed(training.names)}
    both = [name for name in test.names if files[name] in first]
    if both:
        yield (
            f"{len(both)} of {len(test.names)} test images are also in the training part, e.g. "
            f"{both[0]} is {first[files[both[0]]]}"
        )
    labels: dict[str, dict[int, str]] = {}
    for part in (training, test):
        for name, label in zip(part.names, part.labels.tolist(), strict=True):
            labels.setdefault(files[name], {}).setdefault(label, name)
    twice = [names for names in labels.values() if len(names) > 1]
    if twice:
        one, other, *_ = twice[0].values()
        yield f"{len(twice)} image(s) stand in two classes: the same image is {one} and {other}"


def _check(folder: "Folder", part: _Part, files: Mapping[str, str]) -> None:
    """Decodes each image of a part and throws it away.

    Raises:
        ValueError: Some cannot be decoded; the message names them.
    """
    _for_each(part, lambda index: _image(folder, part.names[index], files, 1))


def _image(
    folder: "Folder", name: str, files: Mapping[str, str], image_size: int
) -> npt.NDArray[np.uint8]:
    return _decode(folder.read(name, sha256=files[name]), image_size, folder.at(name))


def _for_each(part: _Part, do: Callable[[int], object]) -> None:
    """Calls for each image, several at a time; all that fail are told in one error."""

    def problem(index: int) -> str | None:
        try:
            do(index)
        except ValueError as error:
            return str(error)
        return None

    with warnings.catch_warnings(), ThreadPoolExecutor() as threads:
        warnings.simplefilter("ignore")  # what Pillow warns of is decoded, or refused by us
        wrong = [text for text in threads.map(problem, range(len(part.names))) if text]
    if wrong:
        raise ValueError(_all_of(wrong))


def _all_of(problems: Sequence[str]) -> str:
    """Problems of one kind as one line."""
    more = len(problems) - SHOWN
    listed = "; ".join(problems[:SHOWN])
    return listed if more <= 0 else f"{listed}; and {more} more"


def _read(
    folder: "Folder", part: _Part, files: Mapping[str, str], image_size: int
) -> LabeledImages:
    """Decodes one part; images of shape [images, image_size, image_size, 3]."""
    images = np.empty((len(part.names), image_size, image_size, 3), dtype=np.uint8)

    def read_one(index: int) -> None:
        images[index] = _image(folder, part.names[index], files, image_size)

    _for_each(part, read_one)
    return LabeledImages(images=images, labels=part.labels)


def _rgb(image: "Image.Image") -> "Image.Image":
    """8 bits a channel, over white where transparent; Pillow alone would clip and uncover."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in {"I", "F"}:
        message = f"mode {image.mode} has no fixed range; save it with 8 or 16 bits a channel"
        raise ValueError(message)
    if not image.has_transparency_data:
        return image.convert("RGB")
    over = image.convert("RGBA")
    white = Image.new("RGBA", over.size, "white")
    return Image.alpha_composite(white, over).convert("RGB")


def _decode(content: bytes, size: int, name: str) -> npt.NDArray[np.uint8]:
    """The bytes of an image file as upright RGB, its middle square: uint8 [size, size, 3]."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    formats = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
    most_pixels = 100_000_000
    # Each of Pillow's formats has errors of its own, and all mean that the file is at fault.
    try:
        with Image.open(io.BytesIO(content), formats=formats) as image:
            if image.width * image.height > most_pixels:
                message = f"{image.width} x {image.height} pixels are more than {most_pixels:,}"
                raise ValueError(message)
            upright = ImageOps.exif_transpose(image)
            return np.asarray(ImageOps.fit(_rgb(upright), (size, size)))
    except UnidentifiedImageError as error:
        message = f"cannot decode the image {name}: not one of {', '.join(formats)}"
        raise ValueError(message) from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        message = f"cannot decode the image {name}: {reason}"
        raise ValueError(message) from error


DATASET = DataSet(
    name="folder",
    summary="your own images: --data-dir with a sub-folder per class, or train/ and test/ of these",
    open=open_image_folder,
    licence="not stated: the images are those of whoever ran the study",
    standalone=(_rgb, _decode),
)
