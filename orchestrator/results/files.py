"""How the files of a study are written whole and read back."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.results.schema import SCHEMA_VERSION


def write_table(folder: Path, name: str, table: pa.Table, metadata: Mapping[str, str]) -> None:
    """Writes `<folder>/<name>.parquet` whole: a temporary dot name first, then a rename.

    Raises:
        pyarrow.ArrowInvalid: A column that must have a value in each row lacks one.
    """
    for column in table.schema:  # Parquet's writer looks at all but lists
        lacking = table[column.name].null_count
        if lacking and not column.nullable:
            message = f"{name}.parquet must say {column.name} in each row, but {lacking} lack it"
            raise pa.ArrowInvalid(message)
    temporary = folder / f".{name}.parquet.{os.getpid()}"
    stamped = table.replace_schema_metadata({**metadata, "schema_version": str(SCHEMA_VERSION)})
    pq.write_table(stamped, temporary, compression="zstd")
    temporary.replace(folder / f"{name}.parquet")


def leftovers(folder: Path) -> list[Path]:
    """What killed writers left half written in a study's folder; checkpoints have their own."""
    return [
        path
        for path in folder.rglob(".*.*")
        if path.is_file()
        and "checkpoints" not in path.relative_to(folder).parts
        and (path.suffix.removeprefix(".").isdigit() or path.name == ".model.safetensors")
    ]


def remove_leftovers(folder: Path) -> None:
    """Removes what killed writers left half written."""
    for path in leftovers(folder):
        path.unlink()


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole: a temporary name that starts with a dot, then a rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def read_study(folder: Path) -> dict[str, Any]:
    """Reads `study.json`.

    Raises:
        ValueError: The folder is no study.
    """
    path = folder / "study.json"
    if not path.is_file():
        message = f"RESULTS must be a study's folder, but {folder} has no study.json"
        raise ValueError(message)
    try:
        study = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        message = f"study.json must be JSON, but {path} is not: {error}"
        raise ValueError(message) from error
    if not isinstance(study, dict) or not {"name", "settings"} <= study.keys():
        message = f"study.json must have a name and settings, but {path} has not"
        raise ValueError(message)
    return study


def read_table(folder: Path, name: str) -> pa.Table:
    """Reads a table of a study.

    Raises:
        ValueError: The study has no such table (it did not get that far, or is no study).
    """
    path = folder / f"{name}.parquet"
    if not path.is_file():
        message = f"{name}.parquet must exist in a study's folder, but {path} does not"
        raise ValueError(message)
    return pq.read_table(path)


def check_writable(folder: Path) -> None:
    """Refuses a folder that cannot be made or written; it need not exist, and leaves no trace.

    What is going to be done is tried out in a place of its own, beside what exists of the folder:
    another study may be making the same folders at this moment.

    Args:
        folder: Absolute.

    Raises:
        ValueError: It cannot be made or written.
    """
    try:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        with tempfile.TemporaryDirectory(prefix=".writable-", dir=existing) as trial:
            inside = Path(trial) / folder.relative_to(existing)
            inside.mkdir(parents=True, exist_ok=True)
            (inside / "file").write_bytes(b"x")
    except OSError as error:
        message = f"the folder must be writable, but {folder} is not: {error.strerror or error}"
        raise ValueError(message) from error
