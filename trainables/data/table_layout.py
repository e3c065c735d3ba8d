"""Tables of images, laid out as a folder of classes is: their classes, parts, groups and faults.

Either a folder of Parquet files as Hugging Face has them (`data/train-00000-of-00001.parquet`), a
folder that `datasets.save_to_disk` wrote, or one CSV or Parquet file of paths or of images.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np

from trainables.data.class_folders import (
    JUNK,
    LEAST,
    MIN_CLASSES,
    PARTS,
    WHOLE,
    Fault,
    Layout,
    Part,
    with_test,
)
from trainables.data.dataset import NamedColumns
from trainables.data.files import Folder
from trainables.data.table_columns import PART_WORDS, Columns, find_columns, part_of
from trainables.data.table_files import ENDINGS, RowsFolder, TableFile, hash_of, open_table

DEPTH: Final = 2
"""Folders below the one that is named in which Parquet files may lie, as in `default/train/`."""
SHARD: Final = re.compile(r"-(\d+)-of-(\d+)\b")
# By these a folder of classes is told from one of tables.
IMAGE_ENDINGS: Final = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm"),
    *(".jp2", ".avif", ".heic", ".heif"),
)
GROUP_WORDS: Final = frozenset(
    {"patient", "subject", "person", "individual", "group", "burst", "session", "scene", "video"}
)
"""What columns are called whose values may have to be kept together."""
GROUPS: Final = {WHOLE: 3, "train": 2}
"""Groups of each class in a part: one each to train on, to validate and to test."""


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Which files are the tables of a data set.

    Attributes:
        folder: The folder of all of them.
        parts: Part to names below the folder, sorted; `WHOLE` alone where they do not say.
        left_out: Tables of no part, where the others are of one.
    """

    folder: Folder
    parts: Mapping[str, tuple[str, ...]]
    left_out: tuple[str, ...] = ()


def find_tables(folder: Folder, file: str | None) -> Tables | None:
    """The tables at a place; None where it is a folder without any, or one of classes.

    Args:
        folder: A folder.
        file: A file in it that was named.

    Raises:
        ValueError: The file is no table, files are missing, or they may be of several data sets.
    """
    if file is not None:
        if not file.lower().endswith(ENDINGS):
            message = (
                f"images must be in a folder, or listed in a table that ends with "
                f"{', '.join(ENDINGS)}, but got {folder.at(file)}"
            )
            raise ValueError(message)
        return Tables(folder=folder, parts={WHOLE: (file,)})
    _, files = folder.list()
    saved = {"dataset_dict.json", "state.json"} & set(files)
    names = _below(folder, ".arrow" if saved else ".parquet")
    if not names:
        return None
    _check_shards(folder, names)
    parts: dict[str, list[str]] = {}
    for name in names:
        parts.setdefault(_part_of_file(name), []).append(name)
    left_out = parts.pop(WHOLE, []) if len(parts) > 1 else []
    together = sorted({_home(name) for some in parts.values() for name in some})
    if len(together) > 1:
        message = (
            f"the tables in {folder.path} must be of one data set, but lie in "
            f"{', '.join(each or '.' for each in together)}; name one of these folders"
        )
        raise ValueError(message)
    return Tables(
        folder=folder,
        parts={part: tuple(parts[part]) for part in (WHOLE, *PARTS) if part in parts},
        left_out=tuple(left_out),
    )


def find_table_layout(tables: Tables, named: NamedColumns) -> Layout:
    """Reads all but the images; whatever is wrong with single rows is among the faults.

    Raises:
        ValueError: A table cannot be read, or it is not clear which columns are meant.
    """
    folder = tables.folder
    opened = {
        part: [open_table(folder, name) for name in names] for part, names in tables.parts.items()
    }
    every = [table for some in opened.values() for table in some]
    columns = find_columns(every, named, is_file=folder.is_file, parts=[*opened] == [WHOLE])
    rows = _Rows(folder, opened, columns)
    if columns.embedded:
        by_name = {table.name: table for table in every}
        folder = RowsFolder(
            filesystem=folder.filesystem, path=folder.path, tables=by_name, column=columns.image
        )
    return rows.layout(
        folder,
        files={table.name: hash_of(tables.folder, table.name) for table in every},
        left_out=tables.left_out,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """One image: its name, part, label and group as the table has them."""

    name: str
    part: str
    label: str | None
    group: Any


class _Rows:
    """All rows of a data set, and what is wrong with them."""

    def __init__(
        self, folder: Folder, tables: Mapping[str, Sequence[TableFile]], columns: Columns
    ) -> None:
        self._folder, self._columns = folder, columns
        self._tables = [table.name for some in tables.values() for table in some]
        self._names = next(iter(tables.values()))[0].schema.names
        rows = [row for part, some in tables.items() for t in some for row in self._read(part, t)]
        self._notes = [self._described()]
        labelled = {row.part for row in rows if row.label is not None}
        for part in dict.fromkeys(row.part for row in rows):
            if part not in labelled and labelled:
                self._notes.append(f"No image of {part} has a label: that part is left out.")
        self._rows = [row for row in rows if row.part in labelled or not labelled]
        self.faults = [*self._wrong_rows()]
        # One that stands twice counts once, so that a name is that of one image.
        gone = {fault.name for fault in self.faults if fault.kind != "several rows"}
        once = {row.name: row for row in reversed(self._rows) if row.name not in gone}
        self._rows = [*reversed(once.values())]
        self.classes = tuple(sorted({str(row.label) for row in self._rows}, key=_in_order))
        if columns.classes is not None:
            used = {row.label for row in self._rows}
            self.classes = tuple(name for name in columns.classes if name in used)
            unused = len(columns.classes) - len(self.classes)
            if unused:
                self._notes.append(
                    f"{unused:,} of the {len(columns.classes):,} classes that the metadata name "
                    "have no image: they are left out."
                )

    def _read(self, part: str, table: TableFile) -> Iterator[_Row]:
        columns = self._columns
        numbers = range(table.rows)
        labels = table.column(columns.label)
        groups = table.column(columns.group) if columns.group else [None] * table.rows
        parts: Sequence[Any] = table.column(columns.part) if columns.part else [part] * table.rows
        paths: Sequence[Any] = [None] * table.rows
        if not columns.embedded:
            paths = table.column(columns.image)
        for number, path, label, group, own in zip(
            numbers, paths, labels, groups, parts, strict=True
        ):
            yield _Row(
                name=f"{table.name}:{number}" if path is None else str(path),
                part=(part_of(own) or WHOLE) if columns.part else own,
                label=self._label(label),
                group=group,
            )

    def _label(self, value: Any) -> str | None:
        """The name of a class; None where there is none."""
        names = self._columns.classes
        if names is not None and isinstance(value, int):
            return names[value] if 0 <= value < len(names) else None
        if value is None or (isinstance(value, float) and np.isnan(value)):
            return None
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        return str(value)

    def _described(self) -> str:
        """Which columns were taken, so that a reader can see what was found."""
        columns = self._columns
        more = len(self._tables) - 1
        where = self._tables[0] + (f" and {more:,} more" if more else "")
        used = {"images": columns.image, "labels": columns.label}
        if columns.part is not None:
            used["parts"] = columns.part
        if columns.group is not None:
            used["groups"] = columns.group
        listed = ", ".join(f"{what} are column {name!r}" for what, name in used.items())
        return f"Read from {where}: {listed}."

    def _wrong_rows(self) -> Iterator[Fault]:
        counted = Counter(row.name for row in self._rows)
        for row in self._rows:
            place = self._folder.at(row.name)
            if row.label is None:
                sentence = f"each image must have a label, but {place} has none"
                yield Fault(kind="no label", name=row.name, sentence=sentence)
            elif counted[row.name] > 1:
                counted[row.name] = 0  # it is told once
                sentence = f"each image must stand in one row, but {place} stands in several"
                yield Fault(kind="several rows", name=row.name, sentence=sentence)
            elif not self._columns.embedded and not self._folder.is_file(row.name):
                sentence = f"each path must be that of an image file, but {place} is none"
                yield Fault(kind="no such file", name=row.name, sentence=sentence)

    def layout(
        self, folder: Folder, *, files: Mapping[str, str], left_out: Sequence[str]
    ) -> Layout:
        parts = self._parts()
        faults = [*self.faults, *self._wrong_whole(parts)]
        if parts.keys() == {"train", "val"} and not faults:
            parts |= with_test(parts["train"])
            self._notes.append(
                "There is no test part: a fixed fifth of train, stratified, is. val validates."
            )
        if self._columns.group is not None:
            names = {row.group for row in self._rows} - {None}
            lone = sum(row.group is None for row in self._rows)
            self._notes.append(
                f"{len(names):,} groups by column {self._columns.group!r}: each is in one part "
                "whole"
                + (f"; {lone:,} images have none and are each on their own." if lone else ".")
            )
        return Layout(
            folder=folder,
            classes=self.classes,
            parts=parts,
            places=tuple(product(parts, self.classes)),
            faults=tuple(faults),
            left_out={"tables that are of no part": tuple(left_out)},
            notes=(*self._notes, *self._hints()),
            few=few_rows,
            tables=files,
            embedded=self._columns.embedded,
        )

    def _hints(self) -> Iterator[str]:
        """Which column may say what belongs together, where nobody has named one."""
        if self._columns.group is None:
            used = {self._columns.image, self._columns.label, self._columns.part}
            for name in self._names:
                if name not in used and GROUP_WORDS & set(_words(name)):
                    yield (
                        f"If images with the same {name!r} belong together, name that with "
                        f"--group-column {name}: then each is on one side only."
                    )

    def _parts(self) -> dict[str, Part]:
        labels = {name: index for index, name in enumerate(self.classes)}
        groups = self._groups()
        found = {row.part for row in self._rows} or {WHOLE}
        parts: dict[str, Part] = {}
        for part in (WHOLE, *PARTS):
            own = [i for i, row in enumerate(self._rows) if row.part == part]
            if part in found:
                parts[part] = Part(
                    names=tuple(self._rows[i].name for i in own),
                    labels=np.array([labels[str(self._rows[i].label)] for i in own], np.int64),
                    groups=None if groups is None else groups[own],
                )
        if parts.keys() == {"train"}:
            return {WHOLE: parts["train"]}
        return parts

    def _groups(self) -> "np.ndarray[Any, np.dtype[np.int64]] | None":
        """A number for each group, shape [rows]; one without a group is one of its own."""
        if self._columns.group is None:
            return None
        numbers: dict[Any, int] = {}
        for index, row in enumerate(self._rows):
            numbers.setdefault(
                ("", index) if row.group is None else ("group", row.group), len(numbers)
            )
        return np.array(
            [
                numbers[("", index) if row.group is None else ("group", row.group)]
                for index, row in enumerate(self._rows)
            ],
            dtype=np.int64,
        )

    def _wrong_whole(self, parts: Mapping[str, Part]) -> Iterator[Fault]:
        """What is wrong with classes, parts and groups."""
        if len(self.classes) < MIN_CLASSES:
            found = f"only {self.classes[0]!r}" if self.classes else "none"
            sentence = (
                f"at least {MIN_CLASSES} classes must be in column {self._columns.label!r} of "
                f"{self._tables[0]}, but found {found}"
            )
            yield Fault(kind="few classes", name="./", sentence=sentence)
        for name in self.classes:
            if not name.isprintable():
                sentence = f"a class must be named in printable text, but one is {name!a}"
                yield Fault(kind="class name", name=f"{name!a}/", sentence=sentence)
        if not {WHOLE, "train"} & parts.keys():
            sentence = f"a part for training must be there, but only {', '.join(parts)} is"
            yield Fault(kind="parts missing", name="train/", sentence=sentence)
        for part, images in parts.items():
            counts = np.bincount(images.labels, minlength=len(self.classes)).tolist()
            for name, count in zip(self.classes, counts, strict=True):
                if count < LEAST[part]:
                    yield few_rows(part, name, count)
        yield from self._wrong_groups(parts)

    def _wrong_groups(self, parts: Mapping[str, Part]) -> Iterator[Fault]:
        if self._columns.group is None:
            return
        seen: dict[Any, set[str]] = {}
        for row in self._rows:
            if row.group is not None:
                seen.setdefault(row.group, set()).add(row.part)
        for group, own in seen.items():
            if len(own) > 1:
                sentence = (
                    f"a group must lie in one part whole, but {self._columns.group}={group} is in "
                    f"{' and '.join(part for part in PARTS if part in own)}"
                )
                yield Fault(kind="group in two parts", name=str(group), sentence=sentence)
        few = [*self._few_groups(parts)]
        yield from few
        if not few and WHOLE in parts:
            try:
                with_test(parts[WHOLE])
            except ValueError as error:
                yield Fault(kind="few groups", name="./", sentence=str(error))

    def _few_groups(self, parts: Mapping[str, Part]) -> Iterator[Fault]:
        for part, least in GROUPS.items():
            images = parts.get(part)
            if images is None or images.groups is None or (part == "train" and "val" in parts):
                continue
            for label, name in enumerate(self.classes):
                count = len(np.unique(images.groups[images.labels == label]))
                if count < least:
                    sentence = (
                        f"each class must have images in at least {least} groups"
                        f"{f' of {part}' if part else ''}, since each is on one side whole, but "
                        f"{name!r} has them in {count}"
                    )
                    yield Fault(kind="few groups", name=f"{name}/", sentence=sentence)


def few_rows(part: str, name: str, count: int) -> Fault:
    """That a class has too few images.

    Args:
        part: Of the data set.
        name: The class.
        count: How many images it has.
    """
    return Fault(
        kind="few images",
        name=f"{part}/{name}/" if part else f"{name}/",
        sentence=f"at least {LEAST[part]} images of {name!r} must be there"
        f"{f' to {part}' if part else ''}, but found {count}",
    )


def _in_order(name: str) -> tuple[int, str]:
    """Numbers by size, other names by their letters."""
    return (int(name), "") if re.fullmatch(r"-?\d{1,18}", name) else (0, name)


def _below(folder: Folder, ending: str) -> list[str]:
    """Names of the tables in a folder and below it; none where image files lie below."""
    found: list[str] = []
    waiting = [""]
    for depth in range(DEPTH + 1):
        level, waiting = waiting, []
        for place in level:
            folders, files = folder.child(place).list() if place else folder.list()
            below = f"{place}/" if place else ""
            if depth and any(name.lower().endswith(IMAGE_ENDINGS) for name in files):
                return []
            found += [
                f"{below}{name}"
                for name in files
                if name.endswith(ending) and not name.startswith("cache-")
            ]
            waiting += [f"{below}{name}" for name in folders if name not in JUNK]
    return sorted(found)


def _check_shards(folder: Folder, names: Sequence[str]) -> None:
    """Refuses a table of which a file is missing.

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
            message = (
                f"all {count} files {prefix}-*-of-{count:05} must be in {folder.path}, but of "
                f"these {len(missing)} are missing, number {missing[0]} first"
            )
            raise ValueError(message)


def _words(text: str) -> list[str]:
    return re.split(r"[^a-z]+", text.lower())


def _part_of_file(name: str) -> str:
    """The part that a file's name, or a folder that it is in, says; `WHOLE` where none does."""
    for place in reversed(name.split("/")):
        for word in _words(place.rpartition(".")[0] or place):
            if word in PART_WORDS:
                return PART_WORDS[word]
    return WHOLE


def _home(name: str) -> str:
    """The folder of a table's data set, above that of its part."""
    places = name.split("/")[:-1]
    if places and any(word in PART_WORDS for word in _words(places[-1])):
        places = places[:-1]
    return "/".join(places)
