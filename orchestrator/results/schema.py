"""The tables of a study on disk: their columns with types, which may be empty, and their check."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import pyarrow as pa
import pyarrow.compute as pc
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from orchestrator.results import rows
from orchestrator.results.data_dictionary import described
from orchestrator.results.study_record import WORDS
from search_spaces.baseline import Params
from trainables.names import check_family, check_trial

SCHEMA_VERSION = 1

ENUM = pa.dictionary(pa.int32(), pa.string())
TIME = pa.timestamp("us", tz="UTC")

# The kind of the event that the test part was opened; its detail is the digest of the choice.
TEST_OPENED: Final = "test_opened"

# Of `trials`: where its last attempt ran; see `trainables.place.Place`.
PLACE: Final = (
    *("node", "device_name", "device_memory_bytes", "driver", "cuda", "cudnn", "device_speed"),
)
# Columns that studies of earlier versions lack, or have empty.
LATER: Final = {*PLACE} - {"node"} | {
    *("trained_parameters", "forward_flops_per_image", "parameters", "file"),
    *("validation_f1", "objective", "registered"),
}

METRICS = ("loss", "accuracy", "precision", "recall")
ROLES = ("baseline", "tuned")

_TYPES: Final[Mapping[Any, pa.DataType]] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    datetime: TIME,
    rows.Name: ENUM,
    rows.Int16: pa.int16(),
    rows.Int32: pa.int32(),
    rows.NewCount: pa.int64(),
    rows.Probabilities: pa.list_(pa.float32()),
}


def _schema(table: str, row: type) -> pa.Schema:
    """The columns of a table by the type of its rows: what may be None there may be empty."""
    columns = []
    for name, hint in get_type_hints(row, include_extras=True).items():
        kind, *others = (hint,) if hint in _TYPES else get_args(hint)
        columns.append(described(table, pa.field(name, _TYPES[kind], nullable=bool(others))))
    return pa.schema(columns)


FIXED_SCHEMAS: Mapping[str, pa.Schema] = {
    table: _schema(table, row)
    for table, row in {
        "epochs": rows.EpochRow,
        "rungs": rows.RungRow,
        "events": rows.EventRow,
        "final_epochs": rows.FinalEpochRow,
        "predictions": rows.PredictionRow,
        "comparison": rows.ComparisonRow,
    }.items()
}
# Besides these a table has the hyperparameters of its study, before `params_json`, the last one.
_OF_FAMILIES: Final = {
    "trials": _schema("trials", rows.TrialRow),
    "final": _schema("final", rows.FinalRow),
}
TABLES: Final = (*_OF_FAMILIES, *FIXED_SCHEMAS)


def columns_of_all() -> dict[str, pa.Schema]:
    """The columns of each table that do not depend on the families."""
    return {**_OF_FAMILIES, **FIXED_SCHEMAS}


def parameter_type(distribution: BaseDistribution) -> pa.DataType:
    """The column type of a hyperparameter, from what it may be."""
    if not isinstance(distribution, CategoricalDistribution):
        return pa.int64() if isinstance(distribution, IntDistribution) else pa.float64()
    kinds = {type(choice) for choice in distribution.choices} - {type(None)}
    if kinds in ({bool}, {int}):
        return _TYPES[kinds.pop()]
    return pa.float64() if kinds <= {int, float} else ENUM


def schemas(spaces: Iterable[Mapping[str, BaseDistribution]]) -> dict[str, pa.Schema]:
    """The full schema of every table of a study, with one `param_<name>` column a dimension.

    Raises:
        ValueError: A name stands for values of different types in two families.
    """
    types: dict[str, pa.DataType] = {}
    for name, distribution in chain.from_iterable(space.items() for space in spaces):
        kind = parameter_type(distribution)
        if types.setdefault(name, kind) != kind:
            raise ValueError(
                f"hyperparameter {name!r} must have one type in all families, "
                f"but got {types[name]} and {kind}"
            )
    full = {}
    params = [pa.field(f"param_{name}", types[name]) for name in sorted(types)]
    for table, (*own, last) in _OF_FAMILIES.items():
        full[table] = pa.schema([*own, *(described(table, field) for field in params), last])
    return {**full, **FIXED_SCHEMAS}


def parameter_columns(params: Params) -> dict[str, Any]:
    """The `param_*` and `params_json` columns of a row."""
    columns = {f"param_{name}": value for name, value in params.items()}
    return {**columns, "params_json": json.dumps(dict(params), sort_keys=True)}


def to_table(content: Sequence[Mapping[str, object]], schema: pa.Schema) -> pa.Table:
    """Rows as a table; a missing column is null, an unknown one a `ValueError`."""
    unknown = sorted({name for row in content for name in row} - set(schema.names))
    if unknown:
        raise ValueError(f"columns must be in the schema, but got {', '.join(unknown)}")
    return pa.Table.from_pylist([dict(row) for row in content], schema=schema)


def check_table(path: Path, name: str, table: pa.Table) -> None:
    """Checks the columns of a stored table, their types, and what is in them, before it is read.

    A results folder may be somebody else's, or damaged: what passes can be read without surprise.

    Raises:
        ValueError: It is not what a study writes.
    """
    for violation in _violations(name, table):
        raise ValueError(f"{name}.parquet must be as a study writes it, but {path} {violation}")


def _violations(name: str, table: pa.Table) -> Iterator[str]:
    for expected in columns_of_all()[name]:
        column, found = expected.name, table.column_names.count(expected.name)
        if found != 1:
            if found or column not in LATER:
                yield f"has {found} columns {column}"
            continue
        values = table[column]
        if values.type != expected.type:
            yield f"has {column} as {values.type}, not as {expected.type}"
        elif values.null_count and not expected.nullable and column not in LATER:
            yield f"lacks {column} in {values.null_count} rows"
        else:
            yield from violations_of_values(column, values)


def violations_of_values(column: str, values: pa.ChunkedArray) -> Iterator[str]:
    """What is in a column that no study writes there, whatever the others have."""
    nested = pa.types.is_list(values.type)
    if nested:
        values = pc.list_flatten(values)
    if check := _CHECKS.get(column):
        for value in pc.unique(values).drop_null().to_pylist():
            try:
                check(value)
            except (ValueError, RecursionError) as error:
                yield f"has a wrong {column}: {error}"
    elif pa.types.is_floating(values.type):
        if (nested and values.null_count) or pc.all(pc.is_finite(values)).as_py() is False:
            yield f"has a number that is not finite as {column}"
    elif pa.types.is_integer(values.type) and pc.any(pc.less(values, 0)).as_py():
        yield f"has a negative number as {column}"


def _check_params(text: str) -> None:
    params = json.loads(text)
    if not isinstance(params, dict) or not all(
        value is None or isinstance(value, bool | int | float | str) for value in params.values()
    ):
        raise ValueError(f"it must be names with plain values, but is {text[:WORDS]!r}")


def _check_role(text: str) -> None:
    roles = (*ROLES, "search")
    if text not in roles:
        raise ValueError(f"it must be one of {', '.join(roles)}, but is {text[:WORDS]!r}")


_CHECKS: Final[Mapping[str, Callable[[Any], object]]] = {
    "trial_id": check_trial,
    **dict.fromkeys(("family", "a_family", "b_family"), check_family),
    "params_json": _check_params,
    **dict.fromkeys(("role", "a_role", "b_role"), _check_role),
    "seed": int,  # one of a trial may be any number
}
