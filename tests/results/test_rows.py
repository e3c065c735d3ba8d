"""The types of rows say what the schema says, so that no reader trusts a null."""

from datetime import datetime
from typing import get_type_hints

import pyarrow as pa
import pytest

from orchestrator.results import rows, schema

ROWS = {
    "trials": rows.TrialRow,
    "final": rows.FinalRow,
    "epochs": rows.EpochRow,
    "rungs": rows.RungRow,
    "events": rows.EventRow,
    "final_epochs": rows.FinalEpochRow,
    "predictions": rows.PredictionRow,
    "comparison": rows.ComparisonRow,
}


def python_type(column: pa.Field) -> object:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    kinds = (
        (pa.types.is_list, list[float]),
        (pa.types.is_string, str),
        (pa.types.is_boolean, bool),
        (pa.types.is_integer, int),
        (pa.types.is_floating, float),
        (pa.types.is_timestamp, datetime),
    )
    (found,) = (python for is_kind, python in kinds if is_kind(kind))
    return found | None if column.nullable or column.name in schema.LATER else found


@pytest.mark.parametrize("table", ROWS)
def test_a_row_has_the_columns_of_its_table_in_their_types(table: str) -> None:
    columns = schema.columns_of_all()[table]
    expected = {column.name: python_type(column) for column in columns}
    if table in {"trials", "final"}:
        expected["params_json"] = str
    assert get_type_hints(ROWS[table]) == expected


def test_every_table_has_a_type_of_rows() -> None:
    assert set(ROWS) == set(schema.TABLES)


def test_a_measured_pair_has_the_columns_of_a_comparison() -> None:
    known, measured = map(get_type_hints, (rows.ComparisonRow, rows.MeasuredRow))
    assert {name: measured[name] for name in known} == {
        **known,
        **dict.fromkeys(("difference", "ci_low", "ci_high"), float),
    }
    assert measured.keys() == known.keys()
