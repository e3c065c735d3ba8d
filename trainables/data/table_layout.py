"""Tables of images, laid out as a folder of classes is: their classes, parts, groups and faults.

Either a folder of Parquet files as Hugging Face has them (`data/train-00000-of-00001.parquet`), a
folder that `datasets.save_to_disk` wrote, or one CSV or Parquet file of paths or of images.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Final

import numpy as np

from trainables.data.dataset import NamedColumns
from trainables.data.layout import (
    LEAST,
    PART_WORDS,
    PARTS,
    WHOLE,
    Layout,
    Part,
    case_notes,
    with_test,
)
from trainables.data.other_layouts import words
from trainables.data.table_columns import PART_COLUMN_WORDS, Columns, find_columns
from trainables.data.table_faults import (
    empty_parts,
    few_rows,
    undivided_part,
    wrong_classes,
    wrong_groups,
    wrong_rows,
)
from trainables.data.table_files import RowsFolder, TableFile, hash_of, open_table
from trainables.data.table_paths import ImagePaths
from trainables.data.table_places import Tables
from trainables.data.table_rows import Row, labelled_parts, read_rows, usable

GROUP_WORDS: Final = frozenset(
    {"patient", "subject", "person", "individual", "group", "burst", "session", "scene", "video"}
)
"""What columns are called whose values may have to be kept together."""


def find_table_layout(tables: Tables, named: NamedColumns) -> Layout:
    """Reads all but the images; whatever is wrong with single rows is among the faults.

    Raises:
        ValueError: A table cannot be read, or it is not clear which columns are meant.
    """
    folder = tables.folder
    opened = {
        part: [tables.made.get(name) or open_table(folder, name) for name in names]
        for part, names in tables.parts.items()
    }
    every = [table for some in opened.values() for table in some]
    paths = ImagePaths(folder)
    columns = find_columns(every, named, paths, parts=[*opened] == [WHOLE])
    notes, rows = [_described(every, columns)], []
    for part, some in opened.items():
        for table in some:
            own = [*read_rows(table, part, columns)]
            if not columns.embedded:
                files = paths.of_column([row.name for row in own], table.name)
                notes += _completed(files, table.name)
                own = [replace(row, name=files[row.name]) for row in own]
            rows += own
    rows, unlabelled = labelled_parts(rows)
    notes += [f"No image of {part} has a label: that part is left out." for part in unlabelled]
    faults = [
        *empty_parts(opened),
        *wrong_rows(rows, folder, embedded=columns.embedded),
    ]
    rows = usable(rows, faults)
    classes = _classes(rows, columns)
    notes += case_notes(classes)
    unused = 0 if columns.classes is None else len(columns.classes) - len(classes)
    if unused:
        notes.append(
            f"{unused:,} of the {len(columns.classes or ()):,} classes that the metadata name have "
            "no image: they are left out."
        )
    parts = _parts(rows, classes, grouped=columns.group is not None)
    undivided = undivided_part(parts)
    least = {**LEAST, **({} if undivided is None else {undivided: LEAST[WHOLE]})}
    few = partial(few_rows, least)
    faults += wrong_classes(parts, classes, columns, few)
    if columns.group is not None:
        notes.append(_groups_said(rows, columns.group))
        faults += wrong_groups(rows, parts, classes, columns.group)
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
        tables={t.name: hash_of(folder, t.name) for t in every if folder.is_file(t.name)},
        embedded=columns.embedded,
    )


def _completed(files: Mapping[str, str], table: str) -> Iterator[str]:
    """That paths were not taken as they are written, with an example of it."""
    home = table.rpartition("/")[0]
    other = {path: file for path, file in files.items() if file not in {path, f"{home}/{path}"}}
    if other:
        path = next(iter(other))
        yield (
            f"{len(other):,} paths of {table} are found elsewhere than they say: {path!r} is "
            f"{other[path]}."
        )


def _classes(rows: Sequence[Row], columns: Columns) -> tuple[str, ...]:
    """The classes that have an image, in the order of the metadata or of their names."""
    used = {row.label for row in rows if row.label is not None}
    if columns.classes is not None:
        return tuple(name for name in columns.classes if name in used)
    return tuple(sorted(used, key=_in_order))


def _in_order(name: str) -> tuple[int, str]:
    """Numbers by size, other names by their letters; never equal for two names."""
    return (int(name), name) if re.fullmatch(r"-?\d{1,18}", name) else (0, name)


def _parts(rows: Sequence[Row], classes: Sequence[str], *, grouped: bool) -> dict[str, Part]:
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


def _described(tables: Sequence[TableFile], columns: Columns) -> str:
    """Which columns were taken, so that a reader can see what was found."""
    more = f" and {len(tables) - 1:,} more" if len(tables) > 1 else ""
    used = {
        "images": columns.image,
        "labels": None if columns.one_hot else columns.label,
        "parts": columns.part,
        "groups": columns.group,
    }
    listed = ", ".join(f"{what} are column {name!r}" for what, name in used.items() if name)
    if columns.one_hot:
        listed += f", labels are which of the columns {columns.label} is 1"
    return f"Read from {tables[0].name}{more}: {listed}."


def _groups_said(rows: Sequence[Row], column: str) -> str:
    groups = {row.group for row in rows} - {None}
    lone = sum(row.group is None for row in rows)
    others = f"; {lone:,} images have none and are each on their own" if lone else ""
    return f"{len(groups):,} groups by column {column!r}: each is in one part whole{others}."


def _hints(table: TableFile, columns: Columns, *, whole: bool) -> Iterator[str]:
    """Columns that are not used and may say of which part an image is, or what belongs together.

    No table says of which part its images are where they are a `whole`.
    """
    used = {columns.image, columns.label, columns.part, columns.group, *columns.one_hot}
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
