"""What a folder may be that is none of classes: for an answer that says what to name instead."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from trainables.data.junk import is_junk
from trainables.data.layout import MIN_CLASSES, PART_WORDS, SHOWN, Fault

if TYPE_CHECKING:
    from trainables.data.files import Folder

# By these, and by files without an ending, a folder of classes is distinguished from one of tables.
IMAGE_ENDINGS: Final = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp"),
    *(".tif", ".tiff", ".pbm", ".pgm", ".ppm", ".pnm"),
    *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".avif", ".heic", ".heif", ".hif"),
)
TEXT_TABLES: Final = (".csv", ".tsv", ".jsonl")
TABLE_ENDINGS: Final = (".parquet", ".arrow", ".feather", *TEXT_TABLES)
HINTS: Final[Mapping[tuple[str, ...], str]] = {
    TABLE_ENDINGS: "if a table lists the images, name that: {}",
    (".zip",): "what is in it is zip://::{}",
    (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z", ".rar"): "unpack {}, and look again",
    (
        *(".npz", ".npy", ".mat", ".h5", ".hdf5", ".tfrecord", ".tfrecords", ".tfrec", ".mdb"),
        *("-ubyte", "-ubyte.gz", ".bin", ".pkl", ".pickle", ".pt", ".pth"),
    ): "what is in {} is read by a data set of your own alone (STUDY_DATASET_PATH)",
    (".json", ".xml", ".yaml", ".yml", ".txt", ".xlsx", ".xls", ".ods"): "if {} has the labels, "
    "write them, and the path of each image, as a CSV file and name that",
}
"""Endings of files that are not looked into where folders are classes, to what to do with them."""
_NO_LABELS: Final = ("readme", "license", "licence", "copyright", "citation", "requirements")
_NO_PART: Final = frozenset(
    {
        *("", "data", "dataset", "set", "stage"),
        *("images", "image", "imgs", "img", "photos", "jpg", "png"),
    }
)
DEPTH: Final = 3
"""Folders below the one that is named, in which folders of classes are looked for."""
MOST_LISTED: Final = 100
"""Of them, at each depth."""


def words(name: str) -> list[str]:
    """The words that a name is made of, in small letters."""
    return re.split(r"[^a-z]+", name.lower())


def may_be_image(name: str) -> bool:
    """Whether a file may be an image, by its name."""
    return name.lower().endswith(IMAGE_ENDINGS) or "." not in name


def folders_in(folder: "Folder") -> list[str]:
    """Names of the folders in one, but for what a file manager left."""
    names, _ = folder.list()
    return [name for name in names if not is_junk(name)]


def part_named(name: str) -> str | None:
    """The part that a folder's name means and nothing else: `Training`, `test1`, `val_images`."""
    part, others = _part_and_others(name)
    return None if others else part


def _part_and_others(name: str) -> tuple[str | None, tuple[str, ...]]:
    """The part that one word of a name means, and the other words that mean something."""
    left = [word for word in words(name) if word not in _NO_PART]
    found = [word for word in left if word in PART_WORDS]
    if len(found) != 1:
        return None, tuple(left)
    return PART_WORDS[found[0]], tuple(word for word in left if word != found[0])


def _parts(names: Sequence[str]) -> list[str]:
    """Folders named as parts of one thing are, `cars_train` and `cars_test`; none without both."""
    groups: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for name in names:
        part, others = _part_and_others(name)
        if part is not None:
            groups[others][name] = part
    return [
        name
        for group in groups.values()
        if "train" in group.values() and len({*group.values()}) > 1
        for name in group
    ]


def part_notes(names: Sequence[str]) -> Iterator[str]:
    """That folders named as parts are taken for classes, since others are beside them."""
    parts = _parts(names)
    if parts:
        yield f"The folders {', '.join(parts)} are taken for classes, as the others are."


def other_layout(folder: "Folder") -> Fault | None:
    """What a folder without `train/` and `test/` of classes is, if it is none of classes itself."""
    names = folders_in(folder)
    images = [name for name in names if any(map(may_be_image, folder.child(name).list()[1]))]
    parts = _parts(names)
    flat = [name for name in parts if name in images and not folders_in(folder.child(name))]
    if flat and {*images} <= {*parts}:
        return Fault(
            kind="part without classes",
            name=f"{flat[0]}/",
            sentence=f"parts must have a sub-folder for each class, but {', '.join(flat)} in "
            f"{folder.place} {'has' if len(flat) == 1 else 'have'} none{hint(folder, names)}",
        )
    if len(images) >= MIN_CLASSES:
        return None
    advice = _may_be([*_below(folder, names)]) or hint(folder, names)
    if len(names) >= MIN_CLASSES and not advice:
        return None
    found = (
        f"only {names[0]!r}" if len(names) == 1 else f"{len(images)} of {len(names)} have images"
    )
    return Fault(
        kind="few classes",
        name="./",
        sentence=f"at least {MIN_CLASSES} classes, a sub-folder each, must be in {folder.place}: "
        f"{found if names else 'none'}{advice}",
    )


def hint(folder: "Folder", names: Sequence[str]) -> str:
    """What to do with the first file, in a folder or its sub-folders, that may have the data."""
    files = [*folder.list()[1]]
    files += [f"{name}/{file}" for name in names for file in folder.child(name).list()[1]]
    files = [f for f in files if not f.rpartition("/")[2].lower().startswith(_NO_LABELS)]
    files.sort(key=lambda file: "train" not in words(file))  # a contest's table of the test is bare
    for endings in HINTS:
        for file in files:
            if file.lower().endswith(endings):
                return advice_for(folder.at(file))
    return ""


def advice_for(path: str) -> str:
    """What to do with a file that is no image, by its ending, as the end of a sentence."""
    found = (text for endings, text in HINTS.items() if path.lower().endswith(endings))
    return next((f"; {text.format(path)}" for text in found), "")


def _may_be(nearer: Sequence[str]) -> str:
    if not nearer:
        return ""
    more = f", or {len(nearer) - SHOWN} more" if nearer[SHOWN:] else ""
    listed = ", or in ".join(nearer[:SHOWN])
    which = "that" if len(nearer) == 1 else "one of these"
    return f"; the classes may be the folders in {listed}{more}: name {which}"


def _below(folder: "Folder", names: Sequence[str]) -> Iterator[str]:
    """Paths of folders below one that have folders of images, or parts with such."""
    waiting = [folder.child(name) for name in names]
    for _ in range(DEPTH):
        level, waiting = waiting[:MOST_LISTED], []
        for place in level:
            inside = [place.child(name) for name in folders_in(place)]
            with_images = [each for each in inside if any(map(may_be_image, each.list()[1]))]
            in_parts = [each for each in inside if part_named(each.name) and folders_in(each)]
            if len(in_parts) >= MIN_CLASSES or (
                len(with_images) >= MIN_CLASSES
                and not all(part_named(each.name) for each in with_images)
            ):
                yield place.path
            else:
                waiting += inside
