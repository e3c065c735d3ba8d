"""A study's tables as CSV, for what cannot read Parquet."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from orchestrator.results import files, schema
from orchestrator.results.foreign_text import safe_cell


def tables_in(folder: Path) -> list[str]:
    """The tables that a study has so far."""
    return [name for name in schema.TABLES if (folder / f"{name}.parquet").is_file()]


def write_csv(folder: Path, name: str, path: Path) -> None:
    """Writes one table of a study, whole; a file that is there is replaced."""
    with files.whole(path) as temporary:
        csv.write_csv(_flat(files.read_table(folder, name)), temporary)


def _flat(table: pa.Table) -> pa.Table:
    """The table in types that CSV has: enums as text, lists as JSON text."""
    for index, field in enumerate(table.schema):
        column = table.column(index)
        if pa.types.is_dictionary(field.type) or pa.types.is_string(field.type):
            table = table.set_column(index, field.name, _safe(column))
        elif pa.types.is_list(field.type):
            table = table.set_column(index, field.name, _as_json(column))
    return table


def _safe(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts that no spreadsheet takes for formulas."""
    encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    texts = [None if text is None else safe_cell(text) for text in encoded.dictionary.to_pylist()]
    safe = pa.DictionaryArray.from_arrays(encoded.indices, pa.array(texts, pa.string()))
    return pa.chunked_array([safe.cast(pa.string())])


def _as_json(lists: pa.ChunkedArray) -> pa.ChunkedArray:
    """Lists of numbers as JSON text, e.g. `[0.25, 0.75]`."""
    texts = pc.binary_join(lists.cast(pa.list_(pa.string())), ", ")
    return pc.binary_join_element_wise("[", texts, "]", "")
