"""What each table of a report must hold: title to cells, named by row and column."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from recomputing.study import Recomputed

Key = tuple[str, ...]
Cells = Mapping[Key, list[float] | str]
"""Names of the row and the column to the numbers in the cell, none for a dash, or to its text."""
Maker = Callable[[Recomputed, str], Cells]
TABLES: list[tuple[str, int, Maker]] = []
"""How a title begins, how many columns name a row, and what makes the other cells."""
UNITS = {"loss": 1, "accuracy": 100, "precision": 1, "recall": 1}


def table(title: str, keys: int) -> Callable[[Maker], Maker]:
    """Registers what makes the cells of a table."""

    def register(make: Maker) -> Maker:
        TABLES.append((title, keys, make))
        return make

    return register


def fraction_in(title: str) -> float:
    """The train fraction that a title names."""
    return float(title.split("train fraction ")[1].split(":", maxsplit=1)[0])


def spread(values: pd.Series, scale: float) -> list[float]:
    """Mean and, of several, sample standard deviation."""
    return [scale * values.mean(), *([scale * values.std()] if len(values) > 1 else [])]


def scaled(numbers: tuple[float, ...], metric: str = "accuracy", sign: int = 1) -> list[float]:
    """A difference and its interval as they are shown, seen from the other side for sign -1."""
    found, low, high = (sign * UNITS[metric] * each for each in numbers)
    return [found, *sorted((low, high))]


def known(value: Any, scale: float = 1) -> list[float]:
    """The value, or nothing where there is none."""
    return [] if value is None or pd.isna(value) else [scale * value]
