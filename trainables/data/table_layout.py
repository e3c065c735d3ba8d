"""Tables of images, laid out as a folder of classes is: their classes, parts, groups and faults.

Either a folder of Parquet files as Hugging Face has them (`data/train-00000-of-00001.parquet`), a
folder that `datasets.save_to_disk` wrote, or one CSV or Parquet file of paths or of images.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, Final

import numpy as np

from trainables.data.dataset import NamedColumns
from trainables.data.files import Folder
from trainables.data.layout import (
    LEAST,
    MIN_CLASSES,
    PART_WORDS,
    PARTS,
    WHOLE,
    Fault,
    Layout,
    Part,
    alike,
    with_test,
)
from trainables.data.table_columns import (
    PART_COLUMN_WORDS,
    Columns,
    find_columns,
    part_of,
    words,
)
from trainables.data.table_files import RowsFolder, TableFile, hash_of, open_table
from trainables.data.table_places import Tables

GROUP_WORDS: Final = frozenset(
    {"patient", "subject", "person", "individual", "group", "burst", "session", "scene", "video"}
)
"""What columns are called whose values may have to be kept together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """One image: its name, its part and class, and what it must be beside.

    Attributes:
        name: A path as the table has it, or the table and the number of the row.
        part: Of `PARTS`, or `WHOLE`.
        label: The name of its class; None where there is none.
        group: Any value; None where it is on its own.
    """

    name: str
    part: str
    label: str | None
    group: Any


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
    rows = [row for part, some in opened.items() for t in some for row in _rows(t, part, columns)]
    notes = [_described(every, columns)]
    rows, unlabelled = _labelled_parts(rows)
    notes += [f"No image of {part} has a label: that part is left out." for part in unlabelled]
    faults = [
        *_empty_parts(opened),
        *_wrong_rows(rows, folder, embedded=columns.embedded),
    ]
    rows = _usable(rows, faults)
    classes = _classes(rows, columns)
    unused = 0 if columns.classes is None else len(columns.classes) - len(classes)
    if unused:
        notes.append(
            f"{unused:,} of the {len(columns.classes or ()):,} classes that the metadata name have "
            "no image: they are left out."
        )
    parts = _parts(rows, classes, grouped=columns.group is not None)
    undivided = _undivided(parts)
    least = {**LEAST, **({} if undivided is None else {undivided: LEAST[WHOLE]})}
    few = partial(few_rows, least)
    faults += _wrong_classes(parts, classes, columns, few)
    if columns.group is not None:
        notes.append(_groups_said(rows, columns.group))
        faults += _wrong_groups(rows, parts, classes, columns.group)
    if "val" in parts and not faults:
        notes.append(
            f"All {len(parts['val'].names):,} images of validation validate; none is taken out of "
            "training for that."
        )
    if undivided == "train" and not faults:
        parts |= with_test(parts["train"])
        notes.append("There is no test part: a fixed fifth of training, stratified, is one.")
    images = folder
    if columns.embedded:
        by_name = {table.name: table for table in every}
        images = RowsFolder(
            filesystem=folder.filesystem, path=folder.path, tables=by_name, column=columns.image
        )
    return Layout(
        folder=images,
        classes=classes,
        parts=parts,
        places=tuple(product(parts, classes)),
        faults=tuple(faults),
        left_out={"tables that are of no part": tables.left_out},
        notes=(*notes, *_hints(every[0], columns, whole=WHOLE in opened)),
        few=few,
        drawn=undivided is not None,
        tables={table.name: hash_of(folder, table.name) for table in every},
        embedded=columns.embedded,
    )


def few_rows(least: Mapping[str, int], part: str, name: str, count: int) -> Fault | None:
    """That a class has too few images, if it has.

    Args:
        least: How many a class must have, for each part.
        part: Of the data set.
        name: The class.
        count: How many images it has.
    """
    if count >= least[part]:
        return None
    return Fault(
        kind="few images",
        name=f"{part}/{name}/" if part else f"{name}/",
        sentence=f"at least {least[part]} images of {name!r} must be there"
        f"{f' to {part}' if part else ''}, but found {count}",
    )


def _rows(table: TableFile, part: str, columns: Columns) -> Iterator[_Row]:
    """The rows of one table, which is of one part where no column says more."""
    nothing = [None] * table.rows
    paths = nothing if columns.embedded else table.column(columns.image)
    labels = table.column(columns.label)
    groups = nothing if columns.group is None else table.column(columns.group)
    parts = nothing if columns.part is None else table.column(columns.part)
    for number, values in enumerate(zip(paths, labels, groups, parts, strict=True)):
        path, label, group, said = values
        yield _Row(
            name=f"{table.name}:{number}" if path is None else str(path),
            part=part if columns.part is None else part_of(said) or WHOLE,
            label=_label(label, columns.classes),
            group=group,
        )


def _label(value: Any, names: Sequence[str] | None) -> str | None:
    """The name of a class; None where there is none, as in a test part that is kept secret.

    Nor where the metadata name the classes, and this is none of them.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if names is None:
        return str(value)
    if isinstance(value, int):
        return names[value] if 0 <= value < len(names) else None
    return str(value) if str(value) in names else None


def _labelled_parts(rows: Sequence[_Row]) -> tuple[list[_Row], list[str]]:
    """The rows of parts in which any has a label, and the other parts; all where none has one."""
    labelled = {row.part for row in rows if row.label is not None}
    if not labelled:
        return [*rows], []
    others = dict.fromkeys(row.part for row in rows if row.part not in labelled)
    return [row for row in rows if row.part in labelled], [*others]


def _empty_parts(opened: Mapping[str, Sequence[TableFile]]) -> Iterator[Fault]:
    """Parts whose tables have no row."""
    for part, tables in opened.items():
        if not sum(table.rows for table in tables):
            named = ", ".join(table.name for table in tables)
            sentence = f"each table must have a row for each image, but {named} has none"
            yield Fault(kind="parts missing", name=f"{part}/" if part else "./", sentence=sentence)


def _usable(rows: Sequence[_Row], faults: Sequence[Fault]) -> list[_Row]:
    """Those without a fault; one image that stands in several rows counts once."""
    gone = {fault.name for fault in faults if fault.kind != "several rows"}
    once = {row.name: row for row in reversed(rows) if row.name not in gone}
    return [*reversed(once.values())]


def _classes(rows: Sequence[_Row], columns: Columns) -> tuple[str, ...]:
    """The classes that have an image, in the order of the metadata or of their names."""
    used = {row.label for row in rows if row.label is not None}
    if columns.classes is not None:
        return tuple(name for name in columns.classes if name in used)
    return tuple(sorted(used, key=_in_order))


def _in_order(name: str) -> tuple[int, str]:
    """Numbers by size, other names by their letters; never equal for two names."""
    return (int(name), name) if re.fullmatch(r"-?\d{1,18}", name) else (0, name)


def _parts(rows: Sequence[_Row], classes: Sequence[str], *, grouped: bool) -> dict[str, Part]:
    """The images of each part; `WHOLE` alone where there is one for training and no other."""
    labels = {name: index for index, name in enumerate(classes)}
    # One that is in no group is a group of its own.
    keys = [("", i) if row.group is None else ("group", row.group) for i, row in enumerate(rows)]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    of_part: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        of_part[row.part].append(index)
    parts = {
        part: Part(
            names=tuple(rows[i].name for i in of_part[part]),
            labels=np.array([labels[str(rows[i].label)] for i in of_part[part]], dtype=np.int64),
            groups=np.array([numbers[keys[i]] for i in of_part[part]], np.int64)
            if grouped
            else None,
        )
        for part in (WHOLE, *PARTS)
        if part in (of_part or {WHOLE})
    }
    return {WHOLE: parts["train"]} if parts.keys() == {"train"} else parts


def _undivided(parts: Mapping[str, Part]) -> str | None:
    """The part of which a fifth becomes the test part, where the tables have none."""
    return None if "test" in parts else next((p for p in (WHOLE, "train") if p in parts), None)


def _described(tables: Sequence[TableFile], columns: Columns) -> str:
    """Which columns were taken, so that a reader can see what was found."""
    more = f" and {len(tables) - 1:,} more" if len(tables) > 1 else ""
    used = {
        "images": columns.image,
        "labels": columns.label,
        "parts": columns.part,
        "groups": columns.group,
    }
    listed = ", ".join(f"{what} are column {name!r}" for what, name in used.items() if name)
    return f"Read from {tables[0].name}{more}: {listed}."


def _groups_said(rows: Sequence[_Row], column: str) -> str:
    groups = {row.group for row in rows} - {None}
    lone = sum(row.group is None for row in rows)
    others = f"; {lone:,} images have none and are each on their own" if lone else ""
    return f"{len(groups):,} groups by column {column!r}: each is in one part whole{others}."


def _hints(table: TableFile, columns: Columns, *, whole: bool) -> Iterator[str]:
    """Columns that are not used and may say of which part an image is, or what belongs together.

    No table says of which part its images are where they are a `whole`.
    """
    used = {columns.image, columns.label, columns.part, columns.group}
    for name in (name for name in table.schema.names if name not in used):
        named = {*words(name)}
        if whole and columns.part is None and named & {*PART_COLUMN_WORDS, *PART_WORDS}:
            yield (
                f"Column {name!r} is not used: which part an image is of would be said by a column "
                "of the words train, val and test alone."
            )
        if columns.group is None and GROUP_WORDS & named:
            yield (
                f"If images with the same {name!r} belong together, name that with --group-column "
                f"{name}: then each is on one side only."
            )


def _wrong_rows(rows: Sequence[_Row], folder: Folder, *, embedded: bool) -> Iterator[Fault]:
    """Rows without a label, images in several rows, paths that lead to no file."""
    counted = Counter(row.name for row in rows)
    for row in rows:
        place = folder.at(row.name)
        if row.label is None:
            sentence = f"each image must have a label, but {place} has none"
            yield Fault(kind="no label", name=row.name, sentence=sentence)
        elif counted[row.name] > 1:
            counted[row.name] = 0  # it is reported once
            sentence = f"each image must stand in one row, but {place} stands in several"
            yield Fault(kind="several rows", name=row.name, sentence=sentence)
        elif not embedded and not folder.is_file(row.name):
            sentence = f"each path must be that of an image file, but {place} is none"
            yield Fault(kind="no such file", name=row.name, sentence=sentence)


def _wrong_classes(
    parts: Mapping[str, Part],
    classes: Sequence[str],
    columns: Columns,
    few: Callable[[str, str, int], Fault | None],
) -> Iterator[Fault]:
    """Too few classes, or parts, or images in one."""
    if len(classes) < MIN_CLASSES:
        seen = f"only {classes[0]!r}" if classes else "none"
        sentence = (
            f"at least {MIN_CLASSES} classes must be in column {columns.label!r}, but found {seen}"
        )
        yield Fault(kind="few classes", name="./", sentence=sentence)
    for name in classes:
        if not name.isprintable():
            sentence = f"a class must be named in printable text, but one is {name!a}"
            yield Fault(kind="class name", name=f"{name!a}/", sentence=sentence)
    for name, sentence in alike(classes):
        yield Fault(kind="classes alike", name=f"{name!a}/", sentence=sentence)
    if not {WHOLE, "train"} & parts.keys():
        sentence = f"a part for training must be there, but only {', '.join(parts)} is"
        yield Fault(kind="parts missing", name="train/", sentence=sentence)
    for part, images in parts.items():
        counts = np.bincount(images.labels, minlength=len(classes)).tolist()
        found = (few(part, name, count) for name, count in zip(classes, counts, strict=True))
        yield from filter(None, found)


def _wrong_groups(
    rows: Sequence[_Row], parts: Mapping[str, Part], classes: Sequence[str], column: str
) -> Iterator[Fault]:
    """Groups in several parts, and classes in too few groups."""
    seen: dict[Any, set[str]] = defaultdict(set)
    for row in rows:
        if row.group is not None:
            seen[row.group].add(row.part)
    for group, own in seen.items():
        if len(own) > 1:
            sentence = (
                f"a group must lie in one part whole, but {column}={group} is in "
                f"{' and '.join(part for part in PARTS if part in own)}"
            )
            yield Fault(kind="group in two parts", name=str(group), sentence=sentence)
    few = [*_few_groups(parts, classes)]
    yield from few
    whole = _undivided(parts)
    if not few and whole is not None and parts[whole].names:
        try:
            with_test(parts[whole])
        except ValueError as error:
            yield Fault(kind="few groups", name="./", sentence=str(error))


def _few_groups(parts: Mapping[str, Part], classes: Sequence[str]) -> Iterator[Fault]:
    """Classes without a group each to train on, to validate and to test."""
    part = WHOLE if WHOLE in parts else "train"
    images = parts.get(part)
    if images is None or images.groups is None:
        return
    least = 1 + ("val" not in parts) + ("test" not in parts)
    if part == _undivided(parts):
        least = 3  # as many as its fifth leaves at least, and one for that
    for label, name in enumerate(classes):
        count = len(np.unique(images.groups[images.labels == label]))
        if count < least:
            sentence = (
                f"each class must have images in at least {least} groups"
                f"{f' of {part}' if part else ''}, since each is on one side whole, but {name!r} "
                f"has them in {count}"
            )
            yield Fault(kind="few groups", name=f"{name}/", sentence=sentence)
