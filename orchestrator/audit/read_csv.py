"""CSV files of trials: a row for each, or one for each of its epochs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from orchestrator.audit import names
from orchestrator.audit.foreign import (
    COMPLETED,
    FAILED,
    RUNNING,
    STOPPED,
    ForeignStudyError,
    RawStudy,
    RawTrial,
)

_STATES: Final = {
    **dict.fromkeys(("pruned", "stopped", "early_stopped", "killed"), STOPPED),
    **dict.fromkeys(("fail", "failed", "error", "errored", "crashed", "diverged"), FAILED),
    **dict.fromkeys(("running", "pending", "waiting", "scheduled"), RUNNING),
}
_EPOCH: Final = ("epoch", "training_iteration")


def read_csv(path: Path) -> RawStudy:
    """Reads a table of trials, whatever separates its columns.

    Raises:
        ForeignStudyError: It has no rows, or one column.
    """
    table = pd.read_csv(path, sep=None, engine="python", encoding="utf-8-sig")
    columns = [str(name) for name in table.columns]
    table.columns = pd.Index(columns)
    if table.empty or len(columns) == 1:
        raise ForeignStudyError(
            f"PATH must be a CSV file with two columns and a row at least, but {path} has "
            f"{len(columns)} and {len(table)}"
        )
    name, epoch = (names.first_of(columns, wanted) for wanted in (names.NAMES, _EPOCH))
    if name is None or table[name].is_unique:
        epoch = None
    by_trial: dict[object, tuple[str, list[dict[Any, Any]]]] = {}
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    for number, row in enumerate(rows):
        label = str(number if name is None or row[name] is None else row[name])
        by_trial.setdefault(label if epoch else number, (label, []))[1].append(row)
    return RawStudy(
        form="CSV file",
        path=path,
        trials=[_trial(label, own, columns, epoch) for label, own in by_trial.values()],
    )


def _trial(
    label: str, rows: Sequence[Mapping[Any, Any]], columns: Sequence[str], epoch: str | None
) -> RawTrial:
    curves = {}
    if epoch is not None:
        rows = sorted(rows, key=lambda row: float(row[epoch] or 0))
        by_column = {column: [row[column] for row in rows] for column in columns}
        curves = {
            column: [float(value) for value in values]
            for column, values in by_column.items()
            if all(isinstance(value, int | float) for value in values)
            and not all(isinstance(value, bool) for value in values)
        }
    state = names.first_of(columns, names.STATES)
    written = names.plain(str(rows[-1][state])) if state and rows[-1][state] is not None else ""
    return RawTrial(
        name=label,
        fields=rows[-1],
        curves=curves,
        state=_STATES.get(written) or _STATES.get(written.split("_")[-1], COMPLETED),
    )
