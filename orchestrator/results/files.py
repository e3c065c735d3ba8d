"""Files of a study: written whole, and read back."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.results.schema import SCHEMA_VERSION, TABLES, check_table
from orchestrator.results.study_record import StudyRecord

# What a study writes over, or removes at its end.
OWN: Final = (
    *(f"{name}.parquet" for name in TABLES),
    *("checkpoints", "comparison.md", "examples", "logs", "report.html", "tune", "winners"),
)


def write_table(folder: Path, name: str, table: pa.Table, metadata: Mapping[str, str]) -> None:
    """Writes `<folder>/<name>.parquet` whole: a temporary dot name first, then a rename.

    Raises:
        pyarrow.ArrowInvalid: A column that must have a value in each row lacks one.
    """
    for column in table.schema:  # Parquet's writer looks at all but lists
        lacking = table[column.name].null_count
        if lacking and not column.nullable:
            raise pa.ArrowInvalid(
                f"{name}.parquet must say {column.name} in each row, but {lacking} lack it"
            )
    stamped = table.replace_schema_metadata({**metadata, "schema_version": str(SCHEMA_VERSION)})
    with whole(folder / f"{name}.parquet") as temporary:
        pq.write_table(stamped, temporary, compression="zstd")


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Temporary path inside, renamed at the end if all went well; otherwise it is removed.

    Raises:
        OSError: It cannot be written; the error names the path, not the temporary one.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    except Exception as error:  # a full disk, for one, is not to be filled with halves
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def leftovers(folder: Path) -> list[Path]:
    """Temporary files that killed writers left in a study's folder; checkpoints have their own."""
    return [
        path
        for path in folder.rglob(".*.*")
        if path.is_file()
        and "checkpoints" not in path.relative_to(folder).parts
        and not path.is_symlink()
        and (path.suffix.removeprefix(".").isdigit() or path.name == ".model.safetensors")
    ]


def remove_leftovers(folder: Path) -> None:
    """Removes temporary files that killed writers left."""
    for path in leftovers(folder):
        path.unlink()


def keep_aside(path: Path) -> None:
    """Renames a damaged file, so that another can take its place."""
    taken = len(list(path.parent.glob(f"{path.name}.damaged-*")))
    path.rename(path.with_name(f"{path.name}.damaged-{taken + 1}"))


def write_text(path: Path, text: str, *, sync: bool = False) -> None:
    """Writes a text file whole: a temporary name that starts with a dot, then a rename.

    One that is to `sync` is on the disk itself before it has its name, so that it outlives power.
    """
    with whole(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def read_study(folder: Path) -> StudyRecord:
    """Reads `study.json`; a `ValueError` where the folder is no study, or the file is damaged."""
    path = folder / "study.json"
    if not path.is_file():
        raise ValueError(f"RESULTS must be a study's folder, but {folder} has no study.json")
    try:
        study = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"study.json must be JSON, but {path} is not: {error}; its settings, spaces and hashes "
            "are nowhere else, so restore it from a copy (the tables can still be read)"
        ) from error
    return StudyRecord.of(path, study).in_folder(folder)


def written_over(folder: Path) -> list[str]:
    """The names in a folder that a new study in it would write over."""
    return [name for name in OWN if os.path.lexists(folder / name)]


def studies_in(results_dir: Path, needed: Sequence[str]) -> list[tuple[Path, StudyRecord]]:
    """Folder and study of each that can be read and says what is needed, the latest first."""
    found = []
    for path in results_dir.glob("*/study.json"):
        # Not a study's, of an older version, or being written.
        with contextlib.suppress(ValueError, OSError):
            study = read_study(path.parent)
            study.check_said(path, needed)
            found.append((str(study.started_at), path.parent, study))
    return [(folder, study) for _, folder, study in sorted(found, reverse=True)]


def read_table(folder: Path, name: str) -> pa.Table:
    """Reads a table of a study.

    Raises:
        ValueError: There is none (the study did not get that far, or is none), or it is damaged.
    """
    table = read_any_table(folder, name)
    check_table(folder / f"{name}.parquet", name, table)
    return table


def read_any_table(folder: Path, name: str) -> pa.Table:
    """Reads a table, whatever its columns; a `ValueError` where there is no such Parquet file."""
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise ValueError(f"{name}.parquet must exist in a study's folder, but {path} does not")
    try:
        table = pq.ParquetFile(path).read()
        table.validate(full=True)  # else a flipped bit is found by whoever looks at that value
    except (pa.ArrowException, OSError, MemoryError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{name}.parquet must be a whole Parquet file, but {path} is not: {reason}"
        ) from error
    return table


def check_inside(folder: Path) -> None:
    """Checks that nothing in a study's folder leads out of it, before anything in it is written.

    Raises:
        ValueError: A link does: whatever is written or removed behind it is not the study's.
    """
    inside = folder.resolve()
    for parent, folders, names in os.walk(inside):
        for path in (Path(parent) / name for name in (*folders, *names)):
            # os.path, since Path.resolve raises of a link to itself.
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(inside):
                raise ValueError(
                    f"a study's folder must have no link that leads out of it, but {path} leads to "
                    f"{path.readlink()}; put what it leads to in its place"
                )


def check_writable(folder: Path) -> None:
    """Checks that a folder is writable; it need not exist, and nothing is left in it.

    What is going to be done is tried out in a place of its own, beside what exists of the folder:
    another study may be making the same folders at this moment.

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
        raise ValueError(
            f"the folder must be writable, but {folder} is not: {error.strerror or error}"
        ) from error


def write_output(path: Path, text: str) -> None:
    """Writes a text file whole where a flag says, and makes the folder that it lies in.

    Raises:
        ValueError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror or error}") from error


def check_output(flag: str, path: Path, *, overwrite: bool) -> None:
    """Checks that a file can be written where a flag says; its folder need not exist.

    Raises:
        ValueError: It is there and is not to be replaced, or its folder cannot be written.
    """
    if path.exists() and not overwrite:
        raise ValueError(f"{flag} must be new, or replaced with --overwrite, but {path} is there")
    check_writable(path.absolute().parent)
