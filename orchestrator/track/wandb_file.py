"""The records in a `.wandb` file, which Weights & Biases keeps of a run and has no reader for.

A log as LevelDB writes it (https://github.com/google/leveldb/blob/main/doc/log_format.md) behind a
header of seven bytes, of one protocol buffer a record.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wandb.proto.wandb_internal_pb2 import Record

BLOCK_BYTES: Final = 32_768
HEADER_BYTES: Final = 7
FULL, LAST = 1, 4


def records(path: Path) -> Iterator[Record]:
    """The whole records of a file, which may be torn at its end."""
    data, at, parts = path.read_bytes(), HEADER_BYTES, b""
    while at + HEADER_BYTES <= len(data):
        left = BLOCK_BYTES - at % BLOCK_BYTES
        if left < HEADER_BYTES:  # no record begins there
            at += left
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        at += HEADER_BYTES + length
        if at > len(data):
            return
        parts += data[at - length : at]
        if kind in {FULL, LAST}:
            yield Record.FromString(parts)
            parts = b""


def is_whole(path: Path) -> bool:
    """Whether all of a run that has ended is in its file."""
    return any(record.WhichOneof("record_type") == "exit" for record in records(path))
