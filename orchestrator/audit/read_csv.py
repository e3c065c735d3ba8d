"""CSV files of trials: a row for each, or one for each of its epochs."""

from pathlib import Path
from typing import Any, Final

import pandas as pd

from orchestrator.audit import names
from orchestrator.audit.foreign import COMPLETED, FAILED, RUNNING, STOPPED, RawStudy, RawTrial

_STATES: Final = {
    STOPPED: ("pruned", "stopped", "early_stopped", "killed"),
    FAILED: ("fail", "failed", "error", "errored", "crashed", "diverged"),
    RUNNING: ("running", "pending", "waiting", "scheduled"),
}
_EPOCH: Final = ("epoch", "training_iteration")


def read_csv(path: Path) -> RawStudy:
    """Reads a table of trials, whatever separates its columns.

    Raises:
        ValueError: It is no table with a heading and rows.
    """
    try:
        table = pd.read_csv(path, sep=None, engine="python", encoding="utf-8-sig")
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"PATH must be a CSV file with a heading, but {path} cannot be read: {reason}"
        ) from error
    columns = [str(name) for name in table.columns]
    table.columns = pd.Index(columns)
    if table.empty or len(columns) == 1:
        raise ValueError(
            f"PATH must be a CSV file with two columns and a row at least, but {path} has "
            f"{len(columns)} and {len(table)}"
        )
    name, epoch = (names.first_of(columns, wanted) for wanted in (names.NAMES, _EPOCH))
    rows = [
        {key: None if pd.isna(value) else value for key, value in row.items()}
        for row in table.astype(object).to_dict("records")
    ]
    numbered = [
        (str(number if name is None or row[name] is None else row[name]), row)
        for number, row in enumerate(rows)
    ]
    by_trial: dict[str, list[dict[Any, Any]]] = {}
    several = name is not None and epoch is not None and not table[name].is_unique
    for number, (label, row) in enumerate(numbered):
        key = label if several else f"{number}"
        by_trial.setdefault(key, []).append(row)
    return RawStudy(
        form="CSV file",
        path=path,
        trials=[
            _trial(
                label if several else numbered[place][0], own, columns, epoch if several else None
            )
            for place, (label, own) in enumerate(by_trial.items())
        ],
    )


def _trial(
    label: str, rows: list[dict[Any, Any]], columns: list[str], epoch: str | None
) -> RawTrial:
    rows = rows if epoch is None else sorted(rows, key=lambda row: float(row[epoch] or 0))
    last = rows[-1]
    curves = {
        column: [float(row[column]) for row in rows]
        for column in columns
        if epoch is not None
        and all(isinstance(row[column], int | float) for row in rows)
        and not all(isinstance(row[column], bool) for row in rows)
    }
    state = names.first_of(columns, names.STATES)
    said = names.plain(str(last[state])) if state is not None and last[state] is not None else ""
    return RawTrial(
        name=label,
        fields=last,
        curves=curves,
        state=next(
            (own for own, words in _STATES.items() if set(words) & {said, said.split("_")[-1]}),
            COMPLETED,
        ),
    )
