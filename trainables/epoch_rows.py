"""The columns of a trial's epochs: which row is the best, and which cannot have been measured."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

# What is measured as an epoch, and the highest that it can be; nothing can be below 0.
HIGHEST: Final = {
    **dict.fromkeys(("train_loss", "validation_loss"), math.inf),
    **dict.fromkeys(("train_accuracy", "validation_accuracy"), 1.0),
    **dict.fromkeys(("validation_precision", "validation_recall"), 1.0),
}
ROUNDING: Final = 1e-6


def best_row(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The row of the highest validation accuracy; ties by lower loss, then the earlier epoch."""
    return max(rows, key=lambda row: (row["validation_accuracy"], -row["validation_loss"]))


def impossible(row: Mapping[str, Any]) -> str:
    """What in an epoch's columns cannot be measured, so that the trial has diverged; else empty."""
    for name in HIGHEST.keys() & row.keys():
        value, highest = row[name], HIGHEST[name]
        if not (math.isfinite(value) and -ROUNDING <= value <= highest + ROUNDING):
            limits = "at least 0" if highest == math.inf else f"from 0 to {highest:g}"
            return f"{name} must be finite and {limits}, but is {value} in epoch {row['epoch']}"
    return ""
