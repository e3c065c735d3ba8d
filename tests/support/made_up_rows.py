"""Rows of a made-up study in short, the rest filled in, and a study's folder made of them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from made_up_trials import row_of
from optuna.distributions import BaseDistribution

from orchestrator.analysis.frames import frame
from orchestrator.results import files
from orchestrator.results import schema as results
from orchestrator.stats.predictions import PredictedRun

Row = dict[str, Any]
Rows = Sequence[Mapping[str, Any]]

NAME = "made up"
START = datetime(2026, 5, 4, 12, tzinfo=UTC)


def table(
    name: str, rows: Rows | pa.Table = (), spaces: Iterable[Mapping[str, BaseDistribution]] = ()
) -> pa.Table:
    """A table of a study from rows, where it is none yet; what they leave out is null or blank."""
    if isinstance(rows, pa.Table):
        return rows
    schema = results.schemas(spaces)[name]
    blank = {column.name: _blank(column.type) for column in schema if not column.nullable}
    if "params_json" in blank:
        blank["params_json"] = "{}"
    return results.to_table([{**blank, "study": NAME, **row} for row in rows], schema)


def framed(name: str, rows: Rows | pa.Table = ()) -> pd.DataFrame:
    """The same as analyses read it."""
    return frame(table(name, rows))


def _blank(kind: pa.DataType) -> Any:
    """What stands where there must be a value."""
    if pa.types.is_timestamp(kind):
        return START
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return 0
    return [] if pa.types.is_list(kind) else ""


def trial(
    trial_id: str,
    status: str = "completed",
    epochs: int = 5,
    accuracy: float | None = None,
    **more: Any,
) -> Row:
    """A row of `trials.parquet`: 20 device-seconds (10 wall seconds) an epoch, 4 s to start."""
    ended = START + timedelta(seconds=4 + 10 * epochs)
    return {
        **names_of(trial_id),
        "role": "baseline" if trial_id.endswith("-000") else "search",
        "status": status,
        "epochs_run": epochs,
        "attempts": 1,
        "validation_accuracy": accuracy,
        "validation_loss": 1.0,
        "train_fraction": 1.0,
        "device_seconds": 20.0 * epochs,
        "started_at": START,
        "ended_at": None if status == "running" else ended,
        **more,
    }


def epoch(trial_id: str, number: int, accuracy: float = 0.5, **more: Any) -> Row:
    """A row of `epochs.parquet`."""
    return {**names_of(trial_id), "attempt": 1, **row_of(number, accuracy, 1 - accuracy), **more}


def rung(trial_id: str, epoch: int, value: float, decision: str = "continue", **more: Any) -> Row:
    """A row of `rungs.parquet`."""
    at = {"epoch": epoch, "rung": epoch, "value": value, "decision": decision}
    return {**names_of(trial_id), **at, **more}


def event(kind: str, detail: str, minute: int = 0, **more: Any) -> Row:
    """A row of `events.parquet`."""
    return {"at": START + timedelta(minutes=minute), "kind": kind, "detail": detail, **more}


def final_run(
    role: str = "tuned", seed: int = 0, fraction: float = 1.0, family: str = "cnn", **more: Any
) -> Row:
    """A row of `final.parquet`; without more columns, what those of `final_epochs` have too."""
    trial_id = f"{family}-{role}-s{seed}-f{fraction:g}"
    run = {"role": role, "seed": seed, "train_fraction": fraction}
    return {**names_of(trial_id), **run, **more}


def predicted_run(
    labels: Sequence[int] | np.ndarray,
    probabilities: Any,
    *,
    family: str = "cnn",
    role: str = "tuned",
    seed: int = 0,
    fraction: float = 1.0,
) -> PredictedRun:
    """A final run's rows of `predictions.parquet` as arrays, from its [images, classes]."""
    probabilities = np.asarray(probabilities, dtype=np.float64)
    return PredictedRun(
        family=family,
        role=role,
        seed=seed,
        fraction=fraction,
        labels=np.asarray(labels),
        predicted=probabilities.argmax(axis=1),
        probabilities=probabilities,
    )


def names_of(trial_id: str) -> Row:
    """What every row of a trial has."""
    return {"family": trial_id.partition("-")[0], "trial_id": trial_id}


def write_study(
    folder: Path, content: Mapping[str, Any], tables: Mapping[str, Rows | pa.Table]
) -> Path:
    """Writes a study's folder: `study.json` and tables."""
    folder.mkdir(parents=True, exist_ok=True)
    stamps = {"study": content["name"], "git_commit": "abc"}
    for name, rows in tables.items():
        files.write_table(folder, name, table(name, rows), stamps)
    files.write_text(folder / "study.json", json.dumps(content, indent=2))
    return folder


def that_may_be_empty(schema: pa.Schema) -> pa.Schema:
    """A schema whose columns may all be empty, as in the files of older studies."""
    return pa.schema([column.with_nullable(True) for column in schema], schema.metadata)
