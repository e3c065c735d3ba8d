"""Labels as a column for each class, of which one is 1 in each row."""

from collections.abc import Sequence
from typing import Final

from trainables.data.layout import SHOWN
from trainables.data.table_files import TableFile

FLAGS: Final = {
    **dict.fromkeys(("0", "0.0", "false"), 0),
    **dict.fromkeys(("1", "1.0", "true"), 1),
}
"""What a column of 0 and 1 may say, in small letters."""


def flag_columns(tables: Sequence[TableFile], names: Sequence[str]) -> dict[str, set[int]]:
    """Those of `names` that have nothing but 0 and 1, and which of these they have."""
    found = {}
    for name in names:
        texts = {str(value).lower() for table in tables for value in table.column(name)}
        if texts <= FLAGS.keys():
            found[name] = {FLAGS[text] for text in texts}
    return found


def check_one_hot(tables: Sequence[TableFile], names: Sequence[str], image: str | None) -> None:
    """Rejects columns of which not exactly one is 1 in each row.

    Args:
        tables: Of a data set.
        names: The columns.
        image: That of paths; None where rows have no other name than their number.

    Raises:
        ValueError: They are no classes; the first rows that are not are named.
    """
    wrong = [
        (table, row, total)
        for table in tables
        for row, total in enumerate(map(sum, _rows(table, names)))
        if total != 1
    ]
    if wrong:
        several = sum(total > 1 for *_, total in wrong)
        paths = {} if image is None else {table.name: table.column(image) for table in tables}
        shown = (
            f"{paths[table.name][row] if paths else f'row {row + 1} of {table.name}'} ({total})"
            for table, row, total in wrong[:SHOWN]
        )
        raise ValueError(
            f"one column of {tables[0].name} must have the class of each image, or exactly one of "
            f"{', '.join(names)} be 1 in each row, but none is in {len(wrong) - several:,} rows "
            f"and several are in {several:,}: {', '.join(shown)}{', ...' * bool(wrong[SHOWN:])}; "
            "leave them out, or write the class of each image into one column"
        )


def labels_of(table: TableFile, names: Sequence[str]) -> list[str]:
    """The column that is 1, of each row."""
    return [names[row.index(1)] for row in _rows(table, names)]


def _rows(table: TableFile, names: Sequence[str]) -> list[tuple[int, ...]]:
    columns = ([FLAGS[str(value).lower()] for value in table.column(name)] for name in names)
    return [*zip(*columns, strict=True)]
