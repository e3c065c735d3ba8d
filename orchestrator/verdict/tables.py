"""Files of predictions as columns, whatever wrote them: CSV, Parquet, Arrow, JSON, NumPy."""

import csv
import io
import json
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

Array = npt.NDArray[Any]
Columns = dict[str, Array]
"""Name to values, [rows] or, of one number a class, [rows, classes]."""

PICKLES: Final = frozenset({".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".ckpt", ".h5"})
NO_NAME: Final = ("", "unnamed: 0", "__index_level_0__")
"""Of the column that pandas writes of an index without a name."""
THE_WHOLE: Final = "predictions"
"""The name of what a file has without names."""


def read_columns(path: Path) -> Columns:
    """The columns of a file.

    Raises:
        ValueError: It is none of these files, damaged, or empty.
        OSError: It cannot be read.
    """
    if path.is_dir():
        return _read_dataset(path)
    if not path.is_file():
        raise ValueError(f"a file of predictions must exist, but {path} does not")
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        raise ValueError(
            f"{path} may hold code that would run when it is read ({suffix}), so it is not read; "
            "save it with numpy.savez(FILE, predictions=..., label_ids=...) or as a table"
        )
    if suffix not in READERS:
        raise ValueError(f"a file of predictions must end in {', '.join(READERS)}, but is {path}")
    if not path.stat().st_size:
        raise ValueError(f"a file of predictions must have rows, but {path} is empty")
    try:
        columns = READERS[suffix](path)
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, pa.ArrowException,
            RecursionError, MemoryError) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(
            f"{path} must be a whole {suffix} file, but cannot be read: {reason}"
        ) from error
    flat = [name for name, values in columns.items() if not values.ndim]
    if flat:
        raise ValueError(f"{path} must have one value an image, but {flat[0]} is a single one")
    if not columns or not all(len(values) for values in columns.values()):
        raise ValueError(f"a file of predictions must have rows, but {path} has none")
    return columns


def of_frame(frame: pd.DataFrame) -> Columns:
    """A table as columns; lists become rows of a matrix where they are equally long."""
    names = [str(name).strip() for name in frame.columns]
    _check_once(names)
    return {name: _as_array(frame.iloc[:, number].to_numpy()) for number, name in enumerate(names)}


def _read_text(path: Path) -> Columns:
    """CSV or text between tabs, semicolons or commas; every cell a text, so `007` stays `007`."""
    text = path.read_text(encoding="utf-8-sig")
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = next((mark for mark in "\t;" if mark in first and "," not in first), ",")
    cells = first.split(separator)
    if len(cells) == 1 and len(first.split()) > 1 and _are_numbers(first.split()):
        separator, cells = r"\s+", first.split()  # as numpy.savetxt writes
    headless = _are_numbers(cells) and (len(cells) == 1 or not all(map(str.isdigit, cells)))
    if not headless:
        _check_once([cell.strip().strip('"') for cell in cells])
    with warnings.catch_warnings(record=True) as cut:
        warnings.simplefilter("always", pd.errors.ParserWarning)
        frame = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            header=None if headless else 0,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=True,
            index_col=False,
            engine="python" if separator == r"\s+" else "c",
        )
    if cut:
        _check_widths(text, separator, len(frame.columns))
    if headless:
        whole = frame.to_numpy()
        return {THE_WHOLE: whole[:, 0] if whole.shape[1] == 1 else whole.astype(np.float64)}
    return of_frame(frame)


def _check_widths(text: str, separator: str, width: int) -> None:
    """Rejects values that no name stands above, which pandas leaves out."""
    for number, row in enumerate(csv.reader(io.StringIO(text), delimiter=separator), 1):
        if any(row[width:]):
            raise ValueError(
                f"line {number} has {len(row)} values, and the first line {width}; a value with a "
                f"{separator!r} in it must stand in quotation marks"
            )


def _check_once(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"each column must be named once, but {', '.join(map(repr, twice))} is not"
        )


def _are_numbers(cells: list[str]) -> bool:
    try:
        [float(cell) for cell in cells]
    except ValueError:
        return False
    return bool(cells)


def _read_arrow(path: Path) -> Columns:
    with pa.memory_map(str(path)) as source:
        try:
            return _of_arrow(pa.ipc.open_file(source).read_all())
        except pa.ArrowInvalid:
            source.seek(0)
            return _of_arrow(pa.ipc.open_stream(source).read_all())


def _of_arrow(table: pa.Table) -> Columns:
    return of_frame(table.to_pandas(ignore_metadata=True))


def _read_dataset(folder: Path) -> Columns:
    """What `datasets.Dataset.save_to_disk` writes."""
    parts = sorted(folder.glob("data-*.arrow"))
    if not (folder / "state.json").is_file() or not parts:
        raise ValueError(
            f"a folder must be a study's results (study.json) or a data set that `datasets` saved "
            f"(state.json, data-*.arrow), but {folder} is neither"
        )
    found = [_read_arrow(part) for part in parts]
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def _read_json(path: Path) -> Columns:
    """Records, lines of records, or a table as pandas and MLflow write it, in any orientation."""
    text = path.read_text(encoding="utf-8-sig")
    try:
        content = json.loads(text)
    except ValueError:
        content = [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(content, list):
        return of_frame(pd.DataFrame.from_records(content))
    if not isinstance(content, Mapping):
        raise TypeError("it is no table")
    if {"columns", "data"} <= set(content):  # split, as `mlflow.log_table` and evaluations
        return of_frame(pd.DataFrame(content["data"], columns=content["columns"]))
    values = list(content.values())
    if not values:
        return {}
    if all(isinstance(value, list) for value in values):
        return of_frame(pd.DataFrame(content))
    if not all(isinstance(value, Mapping) for value in values):
        raise TypeError("it is no table")
    if set(values[0]) == set(values[-1]) and len(values[0]) < len(values):
        by_image = pd.DataFrame.from_dict(dict(content), orient="index")
        return of_frame(by_image.reset_index(names="image"))
    return of_frame(pd.DataFrame(content).reset_index(drop=True))


def _read_npy(path: Path) -> Columns:
    array = np.load(path, allow_pickle=False)
    if array.dtype.names:
        return {name: np.asarray(array[name]) for name in array.dtype.names}
    return {THE_WHOLE: array}


def _read_npz(path: Path) -> Columns:
    # A file of ours, since NumPy leaves its own open where the archive is broken.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _as_array(values: Array) -> Array:
    """Lists of numbers as a matrix, also where a CSV has them as texts such as `[0.1 0.9]`."""
    if values.dtype != object or not len(values):
        return values
    first = values[0]
    if isinstance(first, str) and first.startswith("[") and first.endswith("]"):
        values = np.array([_numbers_of(text) for text in values] + [None], dtype=object)[:-1]
        first = values[0]
    if not isinstance(first, list | tuple | np.ndarray):
        return values
    lengths = {len(each) if isinstance(each, list | tuple | np.ndarray) else -1 for each in values}
    if len(lengths) > 1:
        raise ValueError(
            f"lists of numbers must be equally long, but have {sorted(lengths)} values"
        )
    return np.stack([np.asarray(each) for each in values])


def _numbers_of(text: str) -> Array:
    inner = text.strip().removeprefix("[").removesuffix("]").replace(",", " ")
    return np.array([float(word) for word in inner.split()])


READERS: Final[Mapping[str, Callable[[Path], Columns]]] = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), _read_text),
    ".parquet": lambda path: _of_arrow(pq.ParquetFile(path).read()),
    **dict.fromkeys((".arrow", ".feather"), _read_arrow),
    **dict.fromkeys((".json", ".jsonl"), _read_json),
    ".npy": _read_npy,
    ".npz": _read_npz,
}
