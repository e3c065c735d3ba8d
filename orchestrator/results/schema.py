"""The tables of a study on disk: their columns with types, and which may be empty."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import pyarrow as pa
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from orchestrator.results.data_dictionary import described
from search_spaces.baseline import Params

SCHEMA_VERSION = 1

ENUM = pa.dictionary(pa.int32(), pa.string())
TIME = pa.timestamp("us", tz="UTC")

# The kind of the event that the test part was opened; its detail is the digest of the choice.
TEST_OPENED: Final = "test_opened"

# Columns that studies of earlier versions lack, or have empty.
LATER: Final = frozenset(
    {
        *("trained_parameters", "forward_flops_per_image", "parameters", "file"),
        *("validation_f1", "objective", "registered"),
        *("device_name", "device_memory_bytes", "driver", "cuda", "cudnn", "device_speed"),
    }
)

# Of `trials`: where its last attempt ran; see `trainables.place.Place`.
PLACE: Final = (
    *("node", "device_name", "device_memory_bytes", "driver", "cuda", "cudnn", "device_speed"),
)

METRICS = ("loss", "accuracy", "precision", "recall")
ROLES = ("baseline", "tuned")

# A pair of name and type has a value in each row; a column that may be empty is a `pa.field`.
Column: TypeAlias = tuple[str, pa.DataType] | pa.Field


def _schema(table: str, columns: Iterable[Column]) -> pa.Schema:
    fields = (
        column if isinstance(column, pa.Field) else pa.field(*column, nullable=False)
        for column in columns
    )
    return pa.schema([described(table, each) for each in fields])


_EPOCH_METRICS: list[Column] = [
    ("train_loss", pa.float64()),
    ("train_accuracy", pa.float64()),
    ("validation_loss", pa.float64()),
    ("validation_accuracy", pa.float64()),
    ("validation_precision", pa.float64()),
    ("validation_recall", pa.float64()),
    pa.field("validation_f1", pa.float64()),
    pa.field("objective", pa.float64()),
    ("learning_rate", pa.float64()),
    ("epoch_seconds", pa.float64()),
    ("images_per_second", pa.float64()),
    pa.field("device_memory_peak_bytes", pa.int64()),
]

_EPOCHS: list[Column] = [
    ("study", ENUM),
    ("family", ENUM),
    ("trial_id", pa.string()),
    ("epoch", pa.int32()),
    ("sequence", pa.int64()),
    ("attempt", pa.int32()),
    *_EPOCH_METRICS,
    ("reported_at", TIME),
    pa.field("device_name", ENUM),
]

_TRIALS: list[Column] = [
    ("study", ENUM),
    ("family", ENUM),
    ("trial_id", pa.string()),
    ("role", ENUM),
    ("status", ENUM),
    pa.field("stop_reason", pa.string()),
    ("epochs_run", pa.int32()),
    ("attempts", pa.int32()),
    pa.field("best_epoch", pa.int32()),
    pa.field("validation_loss", pa.float64()),
    pa.field("validation_accuracy", pa.float64()),
    pa.field("validation_precision", pa.float64()),
    pa.field("validation_recall", pa.float64()),
    pa.field("validation_f1", pa.float64()),
    pa.field("objective", pa.float64()),
    ("device_seconds", pa.float64()),
    ("train_fraction", pa.float64()),
    ("seed", pa.int64()),
    pa.field("node", pa.string()),
    ("device", pa.string()),
    pa.field("device_name", pa.string()),
    pa.field("device_memory_bytes", pa.int64()),
    pa.field("driver", pa.string()),
    pa.field("cuda", pa.string()),
    pa.field("cudnn", pa.string()),
    pa.field("device_speed", pa.float64()),
    pa.field("started_at", TIME),
    pa.field("ended_at", TIME),
    pa.field("error", pa.string()),
]

_FINAL: list[Column] = [
    ("study", ENUM),
    ("family", ENUM),
    ("role", ENUM),
    ("seed", pa.int64()),
    ("trial_id", pa.string()),
    ("train_fraction", pa.float64()),
    ("train_images", pa.int64()),
    ("validation_images", pa.int64()),
    ("epoch", pa.int32()),
    ("validation_loss", pa.float64()),
    ("validation_accuracy", pa.float64()),
    pa.field("objective", pa.float64()),
    *[(f"test_{metric}", pa.float64()) for metric in METRICS],
    ("test_precision_micro_at_half", pa.float64()),
    ("test_recall_micro_at_half", pa.float64()),
    ("last_epoch", pa.int32()),
    *[(f"test_{metric}_last_epoch", pa.float64()) for metric in METRICS],
    ("test_precision_micro_at_half_last_epoch", pa.float64()),
    ("test_recall_micro_at_half_last_epoch", pa.float64()),
    ("classes_never_predicted", pa.int32()),
    ("test_images", pa.int64()),
    ("parameters", pa.int64()),
    pa.field("trained_parameters", pa.int64()),  # studies of before it have rows without
    pa.field("forward_flops_per_image", pa.int64()),
    ("train_seconds", pa.float64()),
    ("device_seconds", pa.float64()),
    ("device", pa.string()),
    pa.field("device_name", pa.string()),
]

PARAMS_JSON: Final = pa.field("params_json", pa.string(), nullable=False)

FIXED_SCHEMAS: Mapping[str, pa.Schema] = {
    "epochs": _schema("epochs", _EPOCHS),
    "rungs": _schema(
        "rungs",
        [
            ("study", ENUM),
            ("sequence", pa.int64()),
            ("family", ENUM),
            ("trial_id", pa.string()),
            ("epoch", pa.int32()),
            ("rung", pa.int32()),
            ("value", pa.float64()),
            pa.field("cutoff", pa.float64()),
            ("decision", ENUM),
        ],
    ),
    "events": _schema(
        "events",
        [
            ("study", ENUM),
            ("at", TIME),
            ("kind", ENUM),
            pa.field("family", ENUM),
            pa.field("trial_id", pa.string()),
            ("detail", pa.string()),
        ],
    ),
    "final_epochs": _schema(
        "final_epochs",
        [*_EPOCHS, ("role", ENUM), ("seed", pa.int64()), ("train_fraction", pa.float64())],
    ),
    "predictions": _schema(
        "predictions",
        [
            ("study", ENUM),
            ("family", ENUM),
            ("role", ENUM),
            ("seed", pa.int64()),
            ("train_fraction", pa.float64()),
            ("image_index", pa.int32()),
            ("label", pa.int16()),
            ("predicted", pa.int16()),
            ("probabilities", pa.list_(pa.float32())),
            pa.field("file", ENUM),
        ],
    ),
    "comparison": _schema(
        "comparison",
        [
            ("study", ENUM),
            ("train_fraction", pa.float64()),
            pa.field("seed", pa.int64()),
            ("a_family", ENUM),
            ("a_role", ENUM),
            ("b_family", ENUM),
            ("b_role", ENUM),
            ("metric", ENUM),
            pa.field("difference", pa.float64()),
            pa.field("ci_low", pa.float64()),
            pa.field("ci_high", pa.float64()),
            pa.field("p_value", pa.float64()),
            pa.field("p_value_holm", pa.float64()),
            ("n_images", pa.int64()),
            ("n_seeds", pa.int32()),
            pa.field("registered", pa.bool_()),
        ],
    ),
}


TABLES: Final = ("trials", "final", *FIXED_SCHEMAS)


def columns_of_all() -> dict[str, pa.Schema]:
    """The columns of each table that do not depend on the families."""
    return _with_parameters([])


def parameter_type(distribution: BaseDistribution) -> pa.DataType:
    """The column type of a hyperparameter, from what it may be."""
    if isinstance(distribution, FloatDistribution):
        return pa.float64()
    if isinstance(distribution, IntDistribution):
        return pa.int64()
    assert isinstance(distribution, CategoricalDistribution), distribution
    kinds = {type(choice) for choice in distribution.choices}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    if kinds <= {int, float}:
        return pa.float64()
    return ENUM


def schemas(spaces: Iterable[Mapping[str, BaseDistribution]]) -> dict[str, pa.Schema]:
    """The full schema of every table of a study, with one `param_<name>` column a dimension.

    Args:
        spaces: The search space of each family, name to distribution.

    Raises:
        ValueError: A name stands for values of different types in two families.
    """
    types: dict[str, pa.DataType] = {}
    for space in spaces:
        for name, distribution in space.items():
            kind = parameter_type(distribution)
            if types.setdefault(name, kind) != kind:
                raise ValueError(
                    f"hyperparameter {name!r} must have one type in all families, "
                    f"but got {types[name]} and {kind}"
                )
    params = [pa.field(f"param_{name}", types[name]) for name in sorted(types)]
    return _with_parameters(params)


def _with_parameters(columns: list[pa.Field]) -> dict[str, pa.Schema]:
    trials, final = (
        _schema(name, [*own, *columns, PARAMS_JSON])
        for name, own in (("trials", _TRIALS), ("final", _FINAL))
    )
    return {"trials": trials, "final": final, **FIXED_SCHEMAS}


def parameter_columns(params: Params) -> dict[str, Any]:
    """The `param_*` and `params_json` columns of a row."""
    columns = {f"param_{name}": value for name, value in params.items()}
    return {**columns, "params_json": json.dumps(dict(params), sort_keys=True)}


def to_table(rows: Sequence[Mapping[str, object]], schema: pa.Schema) -> pa.Table:
    """Rows as a table; a missing column is null, an unknown one an error.

    Raises:
        ValueError: A row has a column that the schema lacks.
    """
    known = set(schema.names)
    for row in rows:
        unknown = sorted(set(row) - known)
        if unknown:
            raise ValueError(f"columns must be in the schema, but got {', '.join(unknown)}")
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
