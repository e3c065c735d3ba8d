"""Further columns of the images, from a table or their files: slices and groups are made of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from orchestrator.verdict.faults import some
from orchestrator.verdict.matching import Matched
from orchestrator.verdict.roles import NAMES
from orchestrator.verdict.said import Texts, read_table, texts
from orchestrator.verdict.slices import MOST_VALUES, cut

ALL: Final = "all"
NONE: Final = "none"
SAMPLED: Final = 64
"""Pixels of the edge at which brightness is measured."""


def read_attributes(path: Path, matched: Matched, notes: list[str]) -> dict[str, Texts]:
    """The columns of a table, in the order of the images; None where it lacks an image.

    Raises:
        ValueError: It names no images, one twice, or none of those that were tested.
        OSError: It cannot be read.
    """
    table = read_table(path)
    key = next((name for known in NAMES["image"] for name in table if name.lower() == known), None)
    if key is None:
        raise ValueError(
            f"--attributes must name its images (column image), but {path} has {some([*table])}"
        )
    rows = {image: row for row, image in enumerate(table[key].tolist())}
    if len(rows) < len(table[key]):
        raise ValueError(f"--attributes must have each image once, but {path} has some more often")
    names = matched.images if set(matched.images) & set(rows) else matched.files
    places = [rows.get(name) for name in names]
    lacking = sum(place is None for place in places)
    if not names or lacking == len(names):
        raise ValueError(
            f"--attributes must have the images that were tested, but {path} has none of them"
        )
    if lacking:
        notes.append(f"{path} lacks {lacking:,} of {len(names):,} images.")
    return {
        name: np.array([None if place is None else values[place] for place in places], dtype=object)
        for name, values in table.items()
        if name != key
    }


def find_files(matched: Matched, folder: Path) -> dict[str, Path]:
    """Image to its file below a folder: named as the image is, or as the study says.

    Raises:
        ValueError: It is no folder, or has none of them.
    """
    if not folder.is_dir():
        raise ValueError(f"--images must be a folder, but {folder} is none")
    names = matched.files or matched.images
    paths = {image: folder / name for image, name in zip(matched.images, names, strict=True)}
    # Names come with predictions, which may be somebody else's.
    files, own = {i: path for i, path in paths.items() if path.is_file()}, folder.resolve()
    found = {i: path for i, path in files.items() if path.resolve().is_relative_to(own)}
    if not found:
        raise ValueError(
            f"--images must have files named as the images are, but {folder} has none of "
            f"{some(names)}"
        )
    return found


def measure(matched: Matched, files: dict[str, Path], notes: list[str]) -> dict[str, Texts]:
    """Brightness (0 to 255) and size (pixels of the longer edge) of each image with a file."""
    from PIL import Image  # noqa: PLC0415 (asked for by few)

    values = np.full((2, len(matched.images)), np.nan)
    broken = []
    for place, image in enumerate(matched.images):
        if image in files:
            try:
                with Image.open(files[image]) as opened:
                    edge = max(opened.size)
                    opened.thumbnail((SAMPLED, SAMPLED))
                    values[:, place] = np.asarray(opened.convert("L")).mean(), edge
            except (OSError, ValueError, Image.DecompressionBombError):
                broken.append(image)
    if broken:
        notes.append(f"{len(broken):,} files are no images that can be read: {some(broken)}.")
    lacking = len(matched.images) - len(files)
    if lacking:
        notes.append(f"Of {lacking:,} of {len(matched.images):,} images there is no file.")
    return dict(zip(("brightness", "size in pixels"), map(texts, values), strict=True))


def column_of(name: str, columns: Mapping[str, Texts], flag: str) -> Texts:
    """A column by its name.

    Raises:
        ValueError: There is none.
    """
    if name not in columns:
        there = some([*columns]) if columns else "there are none"
        raise ValueError(
            f"{flag} must name a column of predictions or --attributes ({there}), but is {name!r}"
        )
    return columns[name]


def chosen(
    names: Sequence[str], columns: Mapping[str, Texts], *, apart_from: str | None, notes: list[str]
) -> dict[str, Texts]:
    """The columns of which slices are made, by their names, or `all`, or `none`.

    With `all` the one that stands `apart_from` slices is left out; notes say which of those named
    has too many values, or one alone.

    Raises:
        ValueError: There is none of that name.
    """
    if ALL in names:
        return {name: values for name, values in columns.items() if name != apart_from}
    found = {name: column_of(name, columns, "--slices") for name in names if name != NONE}
    notes += [
        f"{name}: no slices, since it has one value or more than {MOST_VALUES} that are no numbers."
        for name, values in found.items()
        if not cut(values)
    ]
    return found
