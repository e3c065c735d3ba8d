"""Finds out what a path is, and reads it."""

from pathlib import Path

from orchestrator.audit import read_csv, read_optuna, read_ray
from orchestrator.audit.foreign import RawStudy, reading
from orchestrator.called import text_of
from orchestrator.config.trackers import is_journal


def read(path: Path, *, study: str | None, metric: str | None) -> RawStudy:
    """Reads an Optuna journal or database, a folder of Ray Tune, or a CSV file.

    Args:
        path: Of it.
        study: One of a file of Optuna's; None for all.
        metric: The objective of a study that has several; else not needed here.

    Raises:
        ValueError: It is none of these, or damaged.
        OSError: It cannot be read.
    """
    if path.is_dir():
        if (path / "study.json").is_file():
            raise ValueError(
                f"PATH must be somebody else's study, but {path} is one of this project's; "
                f"for these: {text_of('verify')} {path}"
            )
        form, reader = "a folder of Ray Tune", read_ray.read_ray
    elif not path.is_file():  # a pipe would be read for ever
        wrong = "is neither" if path.exists() else "does not exist"
        raise ValueError(f"PATH must be a file or a folder, but {path} {wrong}")
    elif read_optuna.is_sqlite(path) or is_journal(path):
        with reading(path, "PATH must be a file of Optuna's"):
            return read_optuna.read_optuna(path, study=study, metric=metric)
    else:
        form, reader = "a CSV file with a heading", read_csv.read_csv
    if study is not None:
        raise ValueError(f"--study must go with a file of Optuna's, but got {study!r} with {form}")
    with reading(path, f"PATH must be {form}"):
        return reader(path)
