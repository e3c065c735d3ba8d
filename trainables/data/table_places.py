"""Which files at a place are the tables of a data set, and of which part each is."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from trainables.data.files import Folder
from trainables.data.junk import is_junk
from trainables.data.layout import PART_WORDS, PARTS, WHOLE
from trainables.data.nested_images import nested_tables
from trainables.data.other_layouts import (
    IMAGE_ENDINGS,
    TABLE_ENDINGS,
    TEXT_TABLES,
    advice_for,
    folders_in,
    may_be_image,
    part_named,
    words,
)
from trainables.data.table_files import TableFile

DEPTH: Final = 2
"""Folders below the one that is named in which Parquet files may be, as in `default/train/`."""
SHARD: Final = re.compile(r"-(\d+)-of-(\d+)\b")


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Which files are the tables of a data set.

    Attributes:
        folder: The folder of all of them.
        parts: Part to names below the folder, sorted; `WHOLE` alone where they do not say.
        left_out: Tables of no part, where the others are of one.
        made: By their names, those that no file has: folders are listed in them.
    """

    folder: Folder
    parts: Mapping[str, tuple[str, ...]]
    left_out: tuple[str, ...] = ()
    made: Mapping[str, TableFile] = field(default_factory=dict)


def find_tables(folder: Folder, file: str | None) -> Tables | None:
    """The tables at a place; None where it is a folder without any, or one of classes.

    Args:
        folder: A folder.
        file: A file in it that was named.

    Raises:
        ValueError: The file is no table, files are missing, or they may be of several data sets.
    """
    if file is not None:
        path = folder.at(file)
        if not file.lower().endswith(TABLE_ENDINGS):
            raise ValueError(
                f"images must be in a folder, or listed in a table that ends with "
                f"{', '.join(TABLE_ENDINGS)}, but got {path}{advice_for(path)}"
            )
        return Tables(folder=folder, parts={WHOLE: (file,)})
    _, files = folder.list()
    saved = {"dataset_dict.json", "state.json"} & set(files)
    names = _below(folder, ".arrow" if saved else ".parquet")
    if not names:
        return _listed_parts(folder) or _nested(folder)
    _check_shards(folder, names)
    parts: dict[str, list[str]] = {}
    for name in names:
        parts.setdefault(_part_of_file(name), []).append(name)
    left_out = parts.pop(WHOLE, []) if len(parts) > 1 else []
    together = sorted({_home(name) for some in parts.values() for name in some})
    if len(together) > 1:
        raise ValueError(
            f"the tables in {folder.place} must be of one data set, but lie in "
            f"{', '.join(each or '.' for each in together)}; name one of these folders"
        )
    return Tables(
        folder=folder,
        parts={part: tuple(parts[part]) for part in (WHOLE, *PARTS) if part in parts},
        left_out=tuple(left_out),
    )


def _listed_parts(folder: Folder) -> Tables | None:
    """Parts of images with a table each, as `datasets` has them (`train/metadata.csv`)."""
    parts: dict[str, list[str]] = {}
    for name in folders_in(folder):
        part, (_, files) = part_named(name), folder.child(name).list()
        if part is not None and any(file.lower().endswith(IMAGE_ENDINGS) for file in files):
            tables = [file for file in files if file.lower().endswith(TEXT_TABLES)]
            if len(tables) != 1:
                return None
            parts.setdefault(part, []).append(f"{name}/{tables[0]}")
    if "train" not in parts:
        return None
    return Tables(
        folder=folder, parts={part: tuple(parts[part]) for part in PARTS if part in parts}
    )


def _nested(folder: Folder) -> Tables | None:
    """Parts, or the whole, of classes that have their images in a folder of their own each."""
    tables = nested_tables(folder)
    if tables is None:
        return None
    return Tables(
        folder=folder,
        parts={part: (table.name,) for part, table in tables.items()},
        made={table.name: table for table in tables.values()},
    )


def _below(folder: Folder, ending: str) -> list[str]:
    """Names of the tables in a folder and below it; none where image files are below."""
    found: list[str] = []
    waiting = [""]
    for depth in range(DEPTH + 1):
        level, waiting = waiting, []
        for place in level:
            folders, files = folder.child(place).list() if place else folder.list()
            below = f"{place}/" if place else ""
            if depth and any(map(may_be_image, files)):
                return []
            found += [
                f"{below}{name}"
                for name in files
                if name.lower().endswith(ending) and not name.startswith("cache-")
            ]
            waiting += [f"{below}{name}" for name in folders if not is_junk(name)]
    return sorted(found)


def _check_shards(folder: Folder, names: Sequence[str]) -> None:
    """Rejects a table of which a file is missing.

    Raises:
        ValueError: It is `<n>-of-<count>`, and not all are there.
    """
    numbered: dict[tuple[str, int], set[int]] = {}
    for name in names:
        shard = SHARD.search(name)
        if shard:
            key = (name[: shard.start()], int(shard[2]))
            numbered.setdefault(key, set()).add(int(shard[1]))
    for (prefix, count), found in numbered.items():
        missing = sorted(set(range(count)) - found)
        if missing:
            raise ValueError(
                f"all {count} files {prefix}-*-of-{count:05} must be in {folder.place}, but of "
                f"these {len(missing)} are missing, number {missing[0]} first"
            )


def _part_of_file(name: str) -> str:
    """The part that a file's name, or a folder that it is in, says; `WHOLE` where none does."""
    for place in reversed(name.split("/")):
        for word in words(place.rpartition(".")[0] or place):
            if word in PART_WORDS:
                return PART_WORDS[word]
    return WHOLE


def _home(name: str) -> str:
    """The folder of a table's data set, above that of its part."""
    places = name.split("/")[:-1]
    if places and any(word in PART_WORDS for word in words(places[-1])):
        places = places[:-1]
    return "/".join(places)
