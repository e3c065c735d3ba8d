"""What is wrong with the rows of tables: labels, paths, classes, parts and groups."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from trainables.data.files import Folder
from trainables.data.layout import MIN_CLASSES, PARTS, WHOLE, Fault, Part, alike, with_test
from trainables.data.table_columns import Columns
from trainables.data.table_files import TableFile
from trainables.data.table_rows import Row


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


def empty_parts(opened: Mapping[str, Sequence[TableFile]]) -> Iterator[Fault]:
    """Parts whose tables have no row."""
    for part, tables in opened.items():
        if not sum(table.rows for table in tables):
            named = ", ".join(table.name for table in tables)
            sentence = f"each table must have a row for each image, but {named} has none"
            yield Fault(kind="parts missing", name=f"{part}/" if part else "./", sentence=sentence)


def undivided_part(parts: Mapping[str, Part]) -> str | None:
    """The part of which a fifth becomes the test part, where the tables have none."""
    return None if "test" in parts else next((p for p in (WHOLE, "train") if p in parts), None)


def wrong_rows(rows: Sequence[Row], folder: Folder, *, embedded: bool) -> Iterator[Fault]:
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


def wrong_classes(
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


def wrong_groups(
    rows: Sequence[Row], parts: Mapping[str, Part], classes: Sequence[str], column: str
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
    whole = undivided_part(parts)
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
    if part == undivided_part(parts):
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
