"""The columns of a trial's epochs: which row is the best, and which cannot have been measured."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

Row = TypeVar("Row", bound=Mapping[str, Any])

# What is measured as an epoch, and the highest that it can be; nothing can be below 0.
HIGHEST: Final = {
    **dict.fromkeys(("train_loss", "validation_loss"), math.inf),
    **dict.fromkeys(("train_accuracy", "validation_accuracy"), 1.0),
    **dict.fromkeys(("validation_precision", "validation_recall", "validation_f1"), 1.0),
}
ROUNDING: Final = 1e-6

OBJECTIVES: Final = {
    "accuracy": "validation_accuracy",
    "balanced_accuracy": "validation_recall",
    "macro_f1": "validation_f1",
}
"""What a study may compare epochs and trials by, to the column that has it: balanced accuracy is
the mean of the classes' recalls."""


def objective(row: Mapping[str, Any]) -> Any:
    """What an epoch, or the best one of a trial, is compared by.

    Rows that do not say it are of studies that knew accuracy alone.
    """
    found = row.get("objective")
    return row["validation_accuracy"] if found is None else found


def best_row(rows: Sequence[Row]) -> Row:
    """The row of the highest objective; ties by lower validation loss, then the earlier epoch."""
    return max(rows, key=lambda row: (objective(row), -row["validation_loss"]))


def impossible(row: Mapping[str, Any]) -> str:
    """What in an epoch's columns cannot be measured, so that the trial has diverged; else empty."""
    for name in HIGHEST.keys() & row.keys():
        value, highest = row[name], HIGHEST[name]
        if not (math.isfinite(value) and -ROUNDING <= value <= highest + ROUNDING):
            limits = "at least 0" if highest == math.inf else f"from 0 to {highest:g}"
            return f"{name} must be finite and {limits}, but is {value} in epoch {row['epoch']}"
    return ""
