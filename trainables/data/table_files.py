"""Files of tables: Parquet, Arrow (also as Feather), CSV and JSON Lines, by column and row."""

import csv
import hashlib
import io
import json
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.json import read_json

from trainables.data.files import Folder, one_line_errors

CSV: Final = {".csv": ",;\t", ".tsv": "\t"}
"""Endings of text tables, and what may stand between their values."""
ARROW_FILE: Final = b"ARROW1"
"""What an Arrow file begins with, and a stream does not."""
BLOCKS_KEPT: Final = 4
"""Blocks of rows held at a time; images are read in their order, by several threads."""
CHUNK: Final = 1 << 24


@dataclass(frozen=True, kw_only=True, eq=False)
class TableFile:
    """One file, of which no image is read yet.

    Attributes:
        name: Its path below the data set's folder.
        schema: Its columns, with the metadata that `datasets` writes.
        starts: First row of each block, and the number of rows at the end.
        read: Reads some columns of one block.
    """

    name: str
    schema: pa.Schema
    starts: Sequence[int]
    read: Callable[[int, Sequence[str]], pa.Table]

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.starts[-1]

    @property
    def features(self) -> Mapping[str, Mapping[str, Any]]:
        """What `datasets` says of the columns; nothing where another program wrote the file."""
        stored = (self.schema.metadata or {}).get(b"huggingface")
        if stored is None:
            return {}
        try:
            described = json.loads(stored)["info"]["features"]
            return {name: each for name, each in described.items() if isinstance(each, dict)}
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ValueError(
                f"the metadata `huggingface` of {self.name} must be what `datasets` writes"
            ) from error

    def column(self, name: str) -> list[Any]:
        """All values of a column."""
        with one_line_errors(self.name):
            blocks = (self.read(block, [name]) for block in range(len(self.starts) - 1))
            return [value for block in blocks for value in block[name].to_pylist()]


def open_table(folder: Folder, name: str) -> TableFile:
    """Opens one file by the end of its name.

    Raises:
        ValueError: It is no such table, or damaged.
    """
    with one_line_errors(folder.at(name)):
        if name.lower().endswith(".parquet"):
            return _parquet(folder, name)
        if name.lower().endswith((".arrow", ".feather")):
            return in_memory(name, _arrow(folder, name))
        if name.lower().endswith(".jsonl"):
            return in_memory(name, read_json(pa.BufferReader(folder.content(name))))
        return in_memory(name, _text(folder, name))


def hash_of(folder: Folder, name: str) -> str:
    """SHA-256 of a file that may be larger than memory.

    Raises:
        ValueError: It cannot be read.
    """
    digest = hashlib.sha256()
    with one_line_errors(folder.at(name)), folder.filesystem.open(folder.at(name), "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def check_unchanged(folder: Folder, hashes: Mapping[str, str]) -> None:
    """Checks that files are what they were when they were opened.

    Raises:
        ValueError: One is not.
    """
    for name, sha256 in hashes.items():
        found = hash_of(folder, name)
        if found != sha256:
            raise ValueError(
                f"{folder.at(name)} has changed: expected SHA-256 {sha256}, found {found}"
            )


def _parquet(folder: Folder, name: str) -> TableFile:
    file = pq.ParquetFile(folder.filesystem.open(folder.at(name), "rb"))
    starts = [0]
    for group in range(file.metadata.num_row_groups):
        starts.append(starts[-1] + file.metadata.row_group(group).num_rows)
    lock = Lock()  # its file has one position

    def read(block: int, columns: Sequence[str]) -> pa.Table:
        with lock:
            return file.read_row_group(block, columns=list(columns))

    return TableFile(name=name, schema=file.schema_arrow, starts=starts, read=read)


def _arrow(folder: Folder, name: str) -> pa.Table:
    """A stream, as `datasets` saves it, or a file; of a local one only what is used is read."""
    local = "file" in folder.filesystem.protocol
    path = folder.at(name)
    source = pa.memory_map(path) if local else pa.BufferReader(folder.content(name))
    is_file = source.read(len(ARROW_FILE)) == ARROW_FILE
    source.seek(0)
    reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
    return reader.read_all()


def _text(folder: Folder, name: str) -> pa.Table:
    """A CSV file with a line of names; all values are text, and an empty one is none."""
    try:
        text = folder.content(name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"a table must be written in UTF-8, but is not: {error}") from error
    between = max(CSV[name[name.rindex(".") :].lower()], key=text.partition("\n")[0].count)
    read = csv.reader(io.StringIO(text, newline=""), delimiter=between, strict=True)
    names, *rows = [row for row in read if row] or [[]]
    names = [each.strip() for each in names]
    if len(set(names)) < len(names) or not all(names) or not names:
        index = names[:1] == [""] and all(names[1:])
        hint = "; the first is an index of pandas: leave it out by to_csv(..., index=False)"
        raise ValueError(
            f"its first line must name each column, once, but is {names}{hint * index}"
        )
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            raise ValueError(f"row {number} must have {len(names)} values, but has {len(row)}")
    columns = [[row[i].strip() or None for row in rows] for i in range(len(names))]
    return pa.table([pa.array(each, pa.string()) for each in columns], names=names)


def in_memory(name: str, table: pa.Table) -> TableFile:
    """A table that is read already."""
    batches = [pa.Table.from_batches([batch]) for batch in table.to_batches()]
    starts = [0]
    for batch in batches:
        starts.append(starts[-1] + batch.num_rows)
    return TableFile(
        name=name,
        schema=table.schema,
        starts=starts,
        read=lambda block, columns: batches[block].select(list(columns)),
    )


def image_bytes(value: Any) -> bytes:
    """The encoded image in a cell: bytes, or what `datasets` makes of an image.

    Raises:
        ValueError: There is none.
    """
    content = value.get("bytes") if isinstance(value, dict) else value
    if content is None and isinstance(value, dict) and value.get("path") is not None:
        raise ValueError(f"the row has the path {value['path']!r} of an image, not its bytes")
    return content or b""


@dataclass(frozen=True, kw_only=True)
class RowsFolder(Folder):
    """Images in rows of tables, read by name as files are: `train.parquet:12`, counted from 0.

    Attributes:
        tables: File name to the file.
        column: The column of images.
    """

    tables: Mapping[str, TableFile]
    column: str
    _kept: "OrderedDict[tuple[str, int], pa.ChunkedArray]" = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def content(self, name: str) -> bytes:
        """The bytes of one image."""
        file, _, number = name.rpartition(":")
        table, row = self.tables[file], int(number)
        block = bisect_right(table.starts, row) - 1
        with self._lock:
            values = self._kept.get((file, block))
            if values is None:
                values = table.read(block, [self.column])[self.column]
                self._kept[file, block] = values
                if len(self._kept) > BLOCKS_KEPT:
                    self._kept.popitem(last=False)
        return image_bytes(values[row - table.starts[block]].as_py())
