"""One section of a report: a heading, a table and sentences, and how its cells are written."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Row = Mapping[str, Any]

MISSING = "—"
TELLING = 100
"""Seconds or minutes up to which a time is not told in the next longer unit."""
FORMATS = {
    "loss": (1, 3, ""),
    "accuracy": (100, 2, "%"),
    "precision": (1, 3, ""),
    "recall": (1, 3, ""),
}
"""Metric to what a value is multiplied by to be shown, its decimals, and its unit."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading with a table, sentences, or both."""

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    sentences: tuple[str, ...] = ()


def grouped(rows: Iterable[Row], *names: str) -> Iterable[tuple[tuple[Any, ...], list[Row]]]:
    """Rows with equal values in the named columns, in order of appearance."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups.items()


def model_name(row: Row, side: str = "") -> str:
    """A model's family and role; with a side, those of `a_` or `b_` of a pair."""
    return f"{row[f'{side}family']} {row[f'{side}role']}"


def present(values: Iterable[float | None]) -> list[float]:
    """The values that are numbers."""
    return [value for value in values if value is not None and math.isfinite(value)]


def spread(values: Sequence[float | None], metric: str) -> str:
    """Mean ± sample standard deviation over seeds; no ± with one."""
    known = present(values)
    if not known:
        return MISSING
    scale, digits, unit = FORMATS[metric]
    text = f"{scale * np.mean(known):.{digits}f}"
    if len(known) > 1:
        text += f" ± {scale * np.std(known, ddof=1):.{digits}f}"
    partial = f" ({len(known)} of {len(values)} seeds)" if len(known) < len(values) else ""
    return f"{text}{unit}{partial}"


def total(values: Iterable[float | None]) -> str:
    """The sum of the values that are numbers, without decimals."""
    known = present(values)
    return f"{sum(known):,.0f}" if known else MISSING


def count(value: int | None) -> str:
    """A whole number, with commas between thousands."""
    return MISSING if value is None else f"{value:,}"


def percent(value: float | None, digits: int = 2) -> str:
    """A fraction from 0 to 1 in percent."""
    return f"{100 * value:.{digits}f}%" if present([value]) and value is not None else MISSING


def duration(seconds: float) -> str:
    """A length of time with no more digits than matter."""
    if seconds < TELLING:
        return f"{seconds:.0f} s"
    if seconds < TELLING * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def points(difference: float | None) -> str:
    """A difference of two fractions in percentage points, with its sign."""
    if difference is None or not math.isfinite(difference):
        return MISSING
    return f"{100 * difference:+z.2f}"
