"""Tables: typed, whole from the first write, and readable by pandas, polars and DuckDB."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from made_up_record import record
from made_up_rows import rung
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from orchestrator.results import files
from orchestrator.results import schema as results
from orchestrator.results.manifest import Manifest
from orchestrator.trials.table_writer import TableWriter

SPACE = {
    "learning_rate": FloatDistribution(1e-5, 1e-2, log=True),
    "batch_size": CategoricalDistribution((32, 64)),
    "optimizer": CategoricalDistribution(("adam", "sgd")),
    "weight_decay": CategoricalDistribution((0.0, 1e-4)),
    "frozen_stages": IntDistribution(0, 4),
}


def test_hyperparameters_become_typed_columns() -> None:
    schema = results.schemas([SPACE])["trials"]
    assert schema.field("param_learning_rate").type == pa.float64()
    assert schema.field("param_batch_size").type == pa.int64()
    assert schema.field("param_optimizer").type == results.ENUM
    assert schema.field("param_weight_decay").type == pa.float64()
    assert schema.field("param_frozen_stages").type == pa.int64()


def test_one_name_with_two_types_is_refused() -> None:
    with pytest.raises(ValueError, match="'batch_size' must have one type in all families"):
        results.schemas([SPACE, {"batch_size": FloatDistribution(1, 2)}])


def test_an_empty_table_has_its_full_schema(tmp_path: Path) -> None:
    for name, schema in results.schemas([SPACE]).items():
        files.write_table(tmp_path, name, results.to_table([], schema), {"study": "x"})
        assert list(pd.read_parquet(tmp_path / f"{name}.parquet").columns) == schema.names


def test_missing_columns_are_null_and_unknown_ones_an_error() -> None:
    schema = results.FIXED_SCHEMAS["rungs"]
    assert results.to_table([{"trial_id": "cnn-000"}], schema)["cutoff"].to_pylist() == [None]
    with pytest.raises(ValueError, match="columns must be in the schema, but got valeu"):
        results.to_table([{"valeu": 1}], schema)


def test_parameters_are_kept_as_columns_and_as_json() -> None:
    columns = results.parameter_columns({"width": 32, "optimizer": "adam"})
    assert columns["param_width"] == 32
    assert json.loads(columns["params_json"]) == {"optimizer": "adam", "width": 32}


def test_files_say_what_made_them_and_leave_no_temporary(tmp_path: Path) -> None:
    table = results.to_table([], results.FIXED_SCHEMAS["rungs"])
    files.write_table(tmp_path, "rungs", table, {"study": "mine"})
    metadata = files.read_table(tmp_path, "rungs").schema.metadata
    assert metadata[b"study"] == b"mine"
    assert metadata[b"schema_version"] == b"1"
    assert [path.name for path in tmp_path.iterdir()] == ["rungs.parquet"]


def test_a_text_that_cannot_be_encoded_leaves_the_old_file_and_no_half(tmp_path: Path) -> None:
    files.write_text(tmp_path / "page.html", "old")
    with pytest.raises(UnicodeEncodeError):
        files.write_text(tmp_path / "page.html", "caf\udce9")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("page.html", "old")]


def test_what_is_nowhere_else_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr("os.fsync", lambda file: synced.append(os.fstat(file).st_size))
    made = Manifest(tmp_path, record({"name": "mine"}).raw, lambda: None)
    assert synced == [(tmp_path / "study.json").stat().st_size]
    assert made.study.name == "mine"


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"final.parquet must exist in a study's folder"):
        files.read_table(tmp_path, "final")


def test_the_writer_writes_at_the_start_and_at_the_end_and_acts_afterwards_and_what_was_removed(
    tmp_path: Path,
) -> None:
    rows: list[dict[str, object]] = []
    seen: list[int] = []
    writer = TableWriter(tmp_path, results.FIXED_SCHEMAS, {})
    writer.add("rungs", lambda: list(rows))
    with writer.running():
        assert len(pd.read_parquet(tmp_path / "rungs.parquet")) == 0
        rows.append({"study": "mine", "sequence": 1, **rung("cnn-000", 1, 0.5)})
        writer.changed("rungs")
        writer.afterwards(lambda: seen.append(len(pd.read_parquet(tmp_path / "rungs.parquet"))))
    assert len(pd.read_parquet(tmp_path / "rungs.parquet")) == 1
    assert seen == [1]
    (tmp_path / "rungs.parquet").unlink()
    writer.write()
    assert len(pd.read_parquet(tmp_path / "rungs.parquet")) == 1


MAY_BE_EMPTY = {
    "trials": {
        *("stop_reason", "best_epoch", "started_at", "ended_at", "error"),
        *results.PLACE,
        *(f"validation_{metric}" for metric in results.METRICS),
        *("validation_f1", "objective"),
        *(f"param_{name}" for name in SPACE),
    },
    "epochs": {"device_memory_peak_bytes", "validation_f1", "objective", "device_name"},
    "rungs": {"cutoff"},
    "events": {"family", "trial_id"},
    "final": {
        *("trained_parameters", "forward_flops_per_image", "objective", "device_name"),
        *(f"param_{name}" for name in SPACE),
    },
    "final_epochs": {"device_memory_peak_bytes", "validation_f1", "objective", "device_name"},
    "predictions": {"file"},
    "comparison": {
        "seed",
        "difference",
        "ci_low",
        "ci_high",
        "p_value",
        "p_value_holm",
        "registered",
    },
}


@pytest.mark.parametrize("name", results.TABLES)
def test_only_columns_that_may_be_empty_are_written_without_a_value(
    name: str, tmp_path: Path
) -> None:
    schema = results.schemas([SPACE])[name]
    row = {column.name: some_value(column.type) for column in schema}
    for column in schema:
        table = results.to_table([row, {**row, column.name: None}], schema)
        if column.name in MAY_BE_EMPTY[name]:
            files.write_table(tmp_path, name, table, {})
        else:
            with pytest.raises(pa.ArrowInvalid, match=f"must say {column.name} in each row"):
                files.write_table(tmp_path, name, table, {})


@pytest.mark.parametrize("name", results.TABLES)
def test_a_table_is_read_by_pandas_polars_and_duckdb(name: str, tmp_path: Path) -> None:
    schema = results.schemas([SPACE])[name]
    full = {column.name: some_value(column.type) for column in schema}
    rows = [full, {**full, **dict.fromkeys(MAY_BE_EMPTY[name])}]
    files.write_table(tmp_path, name, results.to_table(rows, schema), {})
    path = str(tmp_path / f"{name}.parquet")
    query = duckdb.sql(f"SELECT * FROM '{path}'")
    for found in (pd.read_parquet(path), pl.read_parquet(path).to_pandas(), query.df()):
        assert list(found.columns) == schema.names
        empty = found.isna().sum()
        assert set(empty[empty > 0].index) == MAY_BE_EMPTY[name]


def some_value(kind: pa.DataType) -> Any:
    """A value of a column's type."""
    if pa.types.is_list(kind):
        return [0.5, 0.5]
    if pa.types.is_timestamp(kind):
        return datetime(2026, 1, 1, tzinfo=UTC)
    if pa.types.is_boolean(kind):
        return True
    return "x" if pa.types.is_dictionary(kind) or pa.types.is_string(kind) else 1


def test_a_table_the_writer_does_not_know_is_ignored(tmp_path: Path) -> None:
    writer = TableWriter(tmp_path, results.FIXED_SCHEMAS, {})
    writer.changed("rungs")
    writer.write()
    assert list(tmp_path.iterdir()) == []
