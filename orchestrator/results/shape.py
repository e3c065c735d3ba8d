"""Check of the shape of stored tables, before anything is read from them.

A results folder may be somebody else's, or damaged: what passes here can be read without surprise.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.results import schema
from orchestrator.results.study_record import WORDS
from trainables.names import check_family, check_trial


def check_table(path: Path, name: str, table: pa.Table) -> None:
    """Checks a table of a study: its columns, their types, and what is in them.

    Raises:
        ValueError: It is not what a study writes.
    """
    for violation in _violations(name, table):
        raise ValueError(f"{name}.parquet must be as a study writes it, but {path} {violation}")


def _violations(name: str, table: pa.Table) -> Iterator[str]:
    for expected in schema.columns_of_all()[name]:
        column, found = expected.name, table.column_names.count(expected.name)
        if found != 1:
            if found or column not in schema.LATER:
                yield f"has {found} columns {column}"
            continue
        values = table[column]
        if values.type != expected.type:
            yield f"has {column} as {values.type}, not as {expected.type}"
        elif values.null_count and not expected.nullable and column not in schema.LATER:
            yield f"lacks {column} in {values.null_count} rows"
        else:
            yield from _violations_of_values(column, values)


def _violations_of_values(column: str, values: pa.ChunkedArray) -> Iterator[str]:
    if check := _CHECKS.get(column):
        for value in pc.unique(values).drop_null().to_pylist():
            try:
                check(value)
            except (ValueError, RecursionError) as error:
                yield f"has a wrong {column}: {error}"
    elif pa.types.is_floating(values.type):
        if pc.all(pc.is_finite(values)).as_py() is False:
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
    roles = (*schema.ROLES, "search")
    if text not in roles:
        raise ValueError(f"it must be one of {', '.join(roles)}, but is {text[:WORDS]!r}")


_CHECKS: Final[Mapping[str, Callable[[Any], object]]] = {
    "trial_id": check_trial,
    **dict.fromkeys(("family", "a_family", "b_family"), check_family),
    "params_json": _check_params,
    **dict.fromkeys(("role", "a_role", "b_role"), _check_role),
    "seed": int,  # one of a trial may be any number
}
