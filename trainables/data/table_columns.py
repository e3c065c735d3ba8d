"""Which columns of a table are images, labels, parts and groups: by type, metadata and content."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from trainables.data.dataset import NamedColumns
from trainables.data.layout import MIN_CLASSES, PART_WORDS
from trainables.data.one_hot import check_one_hot, flag_columns
from trainables.data.other_layouts import IMAGE_ENDINGS, words
from trainables.data.table_files import TableFile
from trainables.data.table_paths import SAMPLE, ImagePaths

LABEL_WORDS: Final = frozenset(
    {"label", "labels", "class", "class_name", "category", "target", "species"}
)
PART_COLUMN_WORDS: Final = frozenset(
    {"split", "part", "subset", "set", "partition", "fold", "usage"}
)
"""What columns are called that say which part an image is of."""
MOST_OTHER_WORDS: Final = 0.2
"""Share of the rows of a column of parts, if not called so, that may say none, to be refused."""
REPEATED: Final = 2
"""Images that each value of a column of labels has at least, on average."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns that are used.

    Attributes:
        image: The column of images.
        embedded: Whether it holds the images themselves, not paths to them.
        label: The column of labels; of several those that are one class each, between commas.
        one_hot: These several, of which one is 1 in each row; none where one has all labels.
        part: The column that says which part an image is of; None where none does.
        group: The column of groups; None where each image is on its own.
        classes: The names that labels are indices into; None where labels are names themselves.
    """

    image: str
    embedded: bool
    label: str
    part: str | None
    group: str | None
    classes: tuple[str, ...] | None
    one_hot: tuple[str, ...] = ()


def find_columns(
    tables: Sequence[TableFile], named: NamedColumns, paths: ImagePaths, *, parts: bool
) -> Columns:
    """Finds the columns, the same in all tables.

    Args:
        tables: Of a data set.
        named: What the user says.
        paths: Finds the files that paths are.
        parts: Whether to look for a column of parts too.

    Raises:
        ValueError: A column is not there, or more than one may be meant.
    """
    first = tables[0]
    for table in tables:
        _check_alike(first, table)
    for name in filter(None, (named.image, named.label, named.group)):
        _check_there(first, name)
    image = named.image or _image(first, named, paths)
    if paths.at(image, first.name) is not None or image.lower().endswith(IMAGE_ENDINGS):
        raise ValueError(
            f"the first line of {first.name} must name the columns, but has the path {image}"
        )
    found = [named.group, image, named.label]
    part = _part(tables, set(found)) if parts else None
    labels = [named.label] if named.label else _labels(tables, {*found, part})
    label = ", ".join(labels)
    if len({image, label, named.group} - {None}) < 2 + (named.group is not None):
        raise ValueError(
            f"images, labels and groups must be columns of their own, but are {image}, {label}"
            + ("" if named.group is None else f" and {named.group}")
        )
    for name in filter(None, (*labels, named.group)):
        _check_plain(first, name)
    embedded = _is_image(first.schema.field(image).type)
    if len(labels) > 1:
        check_one_hot(tables, labels, None if embedded else image)
    return Columns(
        image=image,
        embedded=embedded,
        label=label,
        part=part,
        group=named.group,
        classes=None if len(labels) > 1 else _class_names(tables, label),
        one_hot=tuple(labels) if len(labels) > 1 else (),
    )


def part_of(value: Any) -> str | None:
    """The part that a word means, if it means one."""
    return PART_WORDS.get(value.strip().lower()) if isinstance(value, str) else None


def _image(table: TableFile, named: NamedColumns, paths: ImagePaths) -> str:
    """By the metadata; else by the type; else by what its values are: paths, or names of files."""
    others = [name for name in table.schema.names if name not in {named.label, named.group}]
    described = [name for name in others if table.features.get(name, {}).get("_type") == "Image"]
    typed = [name for name in others if _is_image(table.schema.field(name).type)]
    found = described or typed
    for way in paths.ways:
        found = found or [name for name in others if _are_files(table, name, way)]
    _check_found(table, others if not found else (), paths)
    what = "images, or paths of image files from the folder of the table"
    return _one(table, found, "image", what)


def _check_found(table: TableFile, names: Sequence[str], paths: ImagePaths) -> None:
    """Says of a column whose values are called as images are that they are no files.

    Raises:
        ValueError: One of `names` is such a column.
    """
    for name in names:
        if _is_text(table.schema.field(name).type):
            first = next(filter(None, table.column(name)), "")
            if first.lower().endswith(IMAGE_ENDINGS):
                raise ValueError(
                    f"the images of {table.name} must be files below {paths.place}, but column "
                    f"{name!r} has {first!r} and others that are none"
                )


def _labels(tables: Sequence[TableFile], used: set[str | None]) -> list[str]:
    """By the metadata; else by its name; else the only one whose values come again and again.

    Several where all that may be labels are of 0 and 1 each, as a column for each class is.

    Raises:
        ValueError: There is none, or more than one may be meant.
    """
    table = tables[0]
    others = [name for name in table.schema.names if name not in used]
    described = [n for n in others if table.features.get(n, {}).get("_type") == "ClassLabel"]
    spoken = [name for name in others if name.lower() in LABEL_WORDS]
    if described or spoken:
        return [_one(table, described or spoken, "label", "labels")]
    plain = [name for name in others if not pa.types.is_nested(table.schema.field(name).type)]
    flagged = flag_columns(tables, plain)
    flags = [name for name, values in flagged.items() if len(values) > 1]
    more = [n for n in others if n not in flagged and _are_labels(tables, n)]
    if len(flags) < MIN_CLASSES:
        return [_one(table, [*more, *flags], "label", "labels")]
    if more:
        raise ValueError(
            f"one column of {table.name} must have labels, but {', '.join(more)} may, and so may "
            f"{', '.join(flags)} together, which are of 0 and 1; name it with --label-column, or "
            f"leave out {', '.join(more)}"
        )
    return flags


def _part(tables: Sequence[TableFile], used: set[str | None]) -> str | None:
    """The column all of whose values are words for parts, two different ones at least."""
    first = tables[0]
    texts = [
        n for n in first.schema.names if n not in used and _is_text(first.schema.field(n).type)
    ]
    found = []
    for name in texts:
        values = [value for table in tables for value in table.column(name)]
        meant = [part_of(value) for value in values]
        parts = {*meant} - {None}
        called = parts and PART_COLUMN_WORDS & {*words(name)}
        nearly_all = len(parts) > 1 and meant.count(None) < MOST_OTHER_WORDS * len(meant)
        if called or nearly_all:
            others = [v for v, part in zip(values, meant, strict=True) if part is None]
            _check_parts(first, name, others, len(values))
        if nearly_all:
            found.append(name)
    if len(found) > 1:
        raise ValueError(
            f"one column at most must say which part an image is of, but {', '.join(found)} of "
            f"{first.name} do; remove all but one"
        )
    return found[0] if found else None


def _check_parts(table: TableFile, name: str, others: Sequence[Any], rows: int) -> None:
    """Rejects rows that say no part where others do.

    Raises:
        ValueError: There are some.
    """
    if others:
        once = dict.fromkeys(others)
        shown = ", ".join("nothing" if each is None else repr(each) for each in once)[:200]
        raise ValueError(
            f"each row must say train, val or test in column {name!r} of {table.name}, as "
            f"{rows - len(others):,} do, but {len(others):,} say {shown}; if these are labels, say "
            f"--label-column {name}"
        )


def _one(table: TableFile, found: Sequence[str], what: str, meaning: str) -> str:
    """The only candidate.

    Raises:
        ValueError: There is none, or more than one.
    """
    if len(found) == 1:
        return found[0]
    which = f"{', '.join(found)} may" if found else "none does"
    columns = ", ".join(f"{each.name} ({each.type})" for each in table.schema)
    raise ValueError(
        f"one column of {table.name} must have {meaning}, but {which}; name it with "
        f"--{what}-column, of {columns}"
    )


def _check_alike(first: TableFile, table: TableFile) -> None:
    """Rejects a column that a table has twice, or that it has otherwise than the first table."""
    names = table.schema.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"{table.name} must have each column once, but has {', '.join(twice)} again"
        )
    one, other = ({each.name: _kind(each.type) for each in t.schema} for t in (first, table))
    if one != other:
        differing = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
        shown = (
            f"{name} ({one.get(name, 'not there')} and {other.get(name, 'not there')})"
            for name in differing
        )
        raise ValueError(
            f"all tables must have the same columns, but {first.name} and {table.name} differ in "
            f"{', '.join(shown)}"
        )


def _kind(kind: pa.DataType) -> str:
    """What a column is for us, whichever way it is written."""
    if _is_image(kind):
        return "images"
    if _is_text(kind):
        return "text"
    return "whole numbers" if pa.types.is_integer(kind) else str(kind)


def _check_there(table: TableFile, name: str) -> None:
    if name not in table.schema.names:
        raise ValueError(
            f"{table.name} has no column {name!r}; choose from {', '.join(table.schema.names)}"
        )


def _check_plain(table: TableFile, name: str) -> None:
    """Rejects a column of lists and other things that are no names."""
    kind = table.schema.field(name).type
    if pa.types.is_nested(kind) or _is_image(kind):
        raise ValueError(
            f"a column of labels or groups must have numbers or texts, but {name} has {kind}"
        )


def _class_names(tables: Sequence[TableFile], label: str) -> tuple[str, ...] | None:
    """What the metadata say that numbers mean, the same in all tables."""
    said = {}
    for table in tables:
        feature = table.features.get(label, {})
        names = feature.get("names") if feature.get("_type") == "ClassLabel" else None
        if not isinstance(names, list | None):
            raise ValueError(f"the metadata of {table.name} must list the classes of {label}")
        said[table.name] = None if names is None else tuple(map(str, names))
    if len(set(said.values())) > 1:
        raise ValueError(
            f"all tables must give {label} the same classes, but {', '.join(said)} do not"
        )
    return said[tables[0].name]


def _is_image(kind: pa.DataType) -> bool:
    """Bytes, or the struct of bytes and path that `datasets` makes of an image."""
    if pa.types.is_struct(kind):
        names = [kind.field(i).name for i in range(kind.num_fields)]
        return "bytes" in names and _is_image(kind.field("bytes").type)
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(test(kind) for test in tests)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in tests)


def _are_files(table: TableFile, name: str, way: Callable[[str, str], str | None]) -> bool:
    """Whether the first values are texts, and most of them files."""
    if not _is_text(table.schema.field(name).type):
        return False
    values = [value for value in table.column(name) if value][:SAMPLE]
    return sum(way(value, table.name) is not None for value in values) * 2 > len(values)


def _are_labels(tables: Sequence[TableFile], name: str) -> bool:
    kind = tables[0].schema.field(name).type
    if not (_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        return False
    values = [value for table in tables for value in table.column(name) if value is not None]
    return 1 < len(set(values)) <= len(values) / REPEATED
