"""Further columns of the images: what slices and groups are made of."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from orchestrator.verdict.faults import some
from orchestrator.verdict.matching import Matched
from orchestrator.verdict.roles import NAMES
from orchestrator.verdict.said import Texts, read_table
from orchestrator.verdict.slices import MOST_VALUES, cut

ALL: Final = "all"
NONE: Final = "none"


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
