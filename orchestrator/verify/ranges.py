"""What must be true of each value on its own: its range by its unit, and what readers refuse."""

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.results import schema
from orchestrator.verify.tables import Tables
from trainables.epoch_rows import ROUNDING

Range = tuple[str, float, float]

FROM_0: Final = ("at least 0", 0.0, math.inf)
FROM_1: Final = ("at least 1", 1.0, math.inf)
LOSS: Final = ("at least 0", -ROUNDING, math.inf)
SHARE: Final = ("between 0 and 1", -ROUNDING, 1 + ROUNDING)
# A unit that is not here has no range.
OF_UNIT: Final[Mapping[str, Range]] = {
    "nats": LOSS,
    **dict.fromkeys(("fraction, 0 to 1", "probability"), SHARE),
    **dict.fromkeys(("count", "bytes", "FLOP", "s", "device-s", "images/s"), FROM_0),
    **dict.fromkeys(("from 0", "class, from 0"), FROM_0),
    **dict.fromkeys(("from 1", "epoch, from 1"), FROM_1),
}
# Of columns whose unit says less, or that have none.
OF_COLUMN: Final[Mapping[str, Range]] = {
    "attempts": FROM_1,
    "sequence": FROM_1,
    "learning_rate": FROM_0,
}


def check_ranges(tables: Tables) -> Iterator[str]:
    """Each value lies in the range of its unit, and is one that the readers of a table take."""
    for name, table in tables.usable.items():
        for column in schema.columns_of_all()[name]:
            if column.name not in table.column_names:
                continue  # of a later version
            limits = OF_COLUMN.get(column.name, OF_UNIT.get(_unit(column)))
            if limits is not None:
                yield from _outside(name, column.name, table, limits)
            else:
                found = schema.violations_of_values(column.name, table[column.name])
                yield from (f"{name}.parquet must be as a study writes it, but {v}" for v in found)


def clock_notes(tables: Tables) -> Iterator[str]:
    """What ended before it began: valid, since a clock may be set back while a study runs."""
    runs = enumerate(tables.study.runs, 1)
    spans = [
        *((f"run {n}", _moment(run.started_at), _moment(run.ended_at)) for n, run in runs),
        *(
            (row["trial_id"], row["started_at"], row["ended_at"])
            for row in (tables.trials if "trials" in tables.usable else [])
        ),
    ]
    found = [what for what, began, ended in spans if began and ended and ended < began]
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        yield f"ended_at of {found[0]}{more} is before started_at, as where a clock was set back"


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone() if text else None


def _unit(column: pa.Field) -> str:
    unit: bytes = (column.metadata or {}).get(b"unit", b"")
    return unit.decode()


def _outside(name: str, column: str, table: pa.Table, limits: Range) -> Iterator[str]:
    """A sentence on a column's values that lie outside, which names the first of them."""
    rule, low, high = limits
    nested = pa.types.is_list(table.schema.field(column).type)
    values = (pc.list_flatten(table[column]) if nested else table[column]).to_numpy()
    wrong = np.flatnonzero((values < low) | (values > high))
    if len(wrong):
        number = int(wrong[0]) * table.num_rows // len(values)  # each row has as many
        ids = table["trial_id"] if "trial_id" in table.column_names else None
        where = f"row {number} (from 0)" if ids is None else ids[number].as_py()
        yield (
            f"{column} in {name}.parquet must be {rule}, but {len(wrong)} are not: of {where} it "
            f"is {values[wrong[0]]}"
        )
