"""The rows of tables: of each image its path, its part, its label and what it belongs with."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from trainables.data.layout import WHOLE, Fault
from trainables.data.one_hot import labels_of
from trainables.data.table_columns import Columns, part_of
from trainables.data.table_files import TableFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
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


def read_rows(table: TableFile, part: str, columns: Columns) -> Iterator[Row]:
    """The rows of one table, which is of one part where no column says more."""
    nothing = [None] * table.rows
    paths = nothing if columns.embedded else table.column(columns.image)
    labels = labels_of(table, columns.one_hot) if columns.one_hot else table.column(columns.label)
    groups = nothing if columns.group is None else table.column(columns.group)
    parts = nothing if columns.part is None else table.column(columns.part)
    for number, values in enumerate(zip(paths, labels, groups, parts, strict=True)):
        path, label, group, said = values
        yield Row(
            name=f"{table.name}:{number}" if path is None else str(path),
            part=part if columns.part is None else part_of(said) or WHOLE,
            label=_label(label, columns.classes),
            group=None if _is_missing(group) else group,
        )


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _label(value: Any, names: Sequence[str] | None) -> str | None:
    """The name of a class; None where there is none, as in a test part that is kept secret.

    Nor where the metadata name the classes, and this is none of them.
    """
    if _is_missing(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if names is None:
        return str(value)
    if isinstance(value, int):
        return names[value] if 0 <= value < len(names) else None
    return str(value) if str(value) in names else None


def labelled_parts(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """The rows of parts in which any has a label, and the other parts; all where none has one."""
    labelled = {row.part for row in rows if row.label is not None}
    if not labelled:
        return [*rows], []
    others = dict.fromkeys(row.part for row in rows if row.part not in labelled)
    return [row for row in rows if row.part in labelled], [*others]


def usable(rows: Sequence[Row], faults: Sequence[Fault]) -> list[Row]:
    """Those without a fault; one image that stands in several rows counts once."""
    gone = {fault.name for fault in faults if fault.kind != "several rows"}
    once = {row.name: row for row in reversed(rows) if row.name not in gone}
    return [*reversed(once.values())]
