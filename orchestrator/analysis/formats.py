"""How the columns of tables are written: the kinds of cells that reports have."""

import math
from collections.abc import Callable

import numpy as np

from orchestrator.analysis import section
from orchestrator.analysis.section import FORMATS, MISSING, Format

SMALLEST_P = 0.0001
WHOLE = 100


def words(*columns: str) -> Format:
    """Names and other text, with a space between."""
    return Format(columns, lambda *values: " ".join(map(str, values)), numeric=False)


def number(column: str, form: str = ",.0f", *, scale: float = 1, before: str = "") -> Format:
    """A number, scaled, with what stands before it: a whole one, if nothing else is said."""
    return Format((column,), lambda value: f"{before}{scale * value:{form}}")


def alike(kind: Callable[[str], Format], *columns: str) -> dict[str, Format]:
    """Columns that are shown alike, each under its own name."""
    return {column.replace("_", " "): kind(column) for column in columns}


def rounded(column: str, *, scale: float = 1) -> Format:
    """A number with the three digits that count, or a whole one."""
    return Format((column,), lambda value: three_digits(scale * value))


def three_digits(value: float) -> str:
    """A whole number, or one below 100 with three digits."""
    return f"{value:,.0f}" if value >= WHOLE else f"{value:.3g}"


def share(column: str, digits: int = 2) -> Format:
    """A fraction in percent."""
    return Format((column,), lambda value: section.percent(value, digits))


def points(column: str) -> Format:
    """A difference of two fractions in percentage points, with its sign."""
    return Format((column,), section.points)


def p_value(column: str) -> Format:
    """A p-value with four decimals."""
    return Format((column,), lambda p: f"{p:.4f}" if p >= SMALLEST_P else f"below {SMALLEST_P}")


def spread(column: str, metric: str) -> Format:
    """Mean ± standard deviation over seeds, from the columns that `frames.over_seeds` gives."""
    scale, digits, unit = FORMATS[metric]

    def write(mean: float, deviation: float, known: int, seeds: int) -> str:
        text = f"{scale * mean:.{digits}f}"
        text += "" if math.isnan(deviation) else f" ± {scale * deviation:.{digits}f}"
        return f"{text}{unit}" + (f" ({known} of {seeds} seeds)" if known < seeds else "")

    return Format((column, f"{column}_sd", f"{column}_known", "seeds"), write)


def interval(column: str, metric: str) -> Format:
    """A difference with its interval, of an accuracy in percentage points.

    The interval is in `<column>_low` and `<column>_high`.
    """
    scale, digits, _ = FORMATS[metric]

    def write(*values: float) -> str:
        if not np.isfinite(values).all():
            return MISSING
        found, low, high = (f"{scale * value:+z.{digits}f}" for value in values)
        return f"{found} [{low}, {high}]"

    return Format((column, f"{column}_low", f"{column}_high"), write)
