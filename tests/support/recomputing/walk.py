"""Holds every cell of every table of a report against what the stored tables give."""

import re
from collections.abc import Iterable, Iterator, Mapping
from math import isclose
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from recomputing import of_figures, of_record, of_search, of_tests
from recomputing.search_results import Recomputed
from recomputing.settling import settle
from recomputing.tested import stored

Tables = Mapping[str, pd.DataFrame]
"""Key of each section to its table."""
COMPARISON: Final = (
    *(of_tests.results, of_tests.reference, of_tests.differences, of_tests.data),
    *(
        of_tests.calibration,
        of_tests.ensembles,
        of_tests.classes,
        of_tests.doubtful,
        of_search.given,
        of_search.choice,
        of_search.luck,
    ),
    *(of_search.time, of_search.saved, of_search.other_settings, of_search.rungs),
    *(of_search.ranks, of_record.transfer, settle),
)
PAGE: Final = (
    *(*COMPARISON, of_record.settings, of_record.failures, of_figures.finals, of_figures.curves),
    *(of_figures.confusion, of_figures.hyperparameters, of_figures.busy),
)
NUMBER: Final = re.compile(r"(?<![\w.])([+-]?\d[\d,]*(?:\.(\d+))?)(%?)(?!\w)")


def check_comparison(folder: Path, shown: Tables) -> tuple[int, list[str]]:
    """How many cells a comparison has, with `comparison.parquet`, and which are wrong."""
    r = Recomputed(folder)
    count, problems = check(dict(each for make in COMPARISON for each in make(r)), shown)
    found = stored(r)
    wrong = [f"{what} is {is_}, not {again}" for what, is_, again in found if not same(is_, again)]
    return count + len(found), problems + wrong


def tables_of_json(found: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables of what `python -m orchestrator.compare RESULTS --json` prints."""
    tables = {each["key"]: pd.DataFrame(each["table"]) for each in found["sections"]}
    for crossings in (own for key, own in tables.items() if key == "data/crossings"):
        # JSON has no infinity.
        crossings.loc[crossings.low.notna() & crossings.high.isna(), "high"] = np.inf
    return tables


def expected_page(folder: Path, draws: int = 2000) -> dict[str, pd.DataFrame]:
    """Key of each section of a study's page to its table."""
    r = Recomputed(folder, draws)
    if not r.ended:  # what is stored may be of a choice made before
        r.comparison = r.comparison[:0]
    return dict(each for make in PAGE for each in make(r))


def check(expected: Tables, shown: Tables) -> tuple[int, list[str]]:
    """How many cells tables have, and which are not what is expected."""
    found = [
        each
        for key in {**expected, **shown}
        for each in _cells(key, shown.get(key, pd.DataFrame()), expected.get(key))
    ]
    return len(found), [problem for problem in found if problem]


def _cells(key: str, shown: pd.DataFrame, expected: pd.DataFrame | None) -> Iterator[str | None]:
    """What is wrong with each cell, None for nothing."""
    if not len(shown) and (expected is None or not len(expected)):
        return
    if expected is None:
        yield f"nothing computes {key}"
    elif len(shown) != len(expected):
        yield f"{key} has {len(shown)} rows, not {len(expected)}"
    elif set(shown) != set(expected):
        yield f"{key} has columns {sorted(shown)}, not {sorted(expected)}"
    else:
        for row, again in zip(*(t.to_dict("records") for t in (shown, expected)), strict=True):
            for name, cell in row.items():
                wrong = f"{key}: {name} of {[*row.values()][:3]} is {cell!r}, not {again[name]!r}"
                yield None if same(cell, again[name]) else wrong


def same(shown: Any, value: Any) -> bool:
    """Whether a cell is a value; of one that is text already, its rounding."""
    if isinstance(value, list):
        return isinstance(shown, list) and len(shown) == len(value) and all(map(same, shown, value))
    if value is None or pd.isna(value):
        return shown is None or shown == "—" or bool(pd.isna(shown))
    if isinstance(value, str):
        return bool(shown == value)
    if isinstance(shown, str):
        found = NUMBER.fullmatch(shown)
        return bool(found) and is_rounding(found, value)
    return shown is not None and isclose(shown, value, rel_tol=1e-6, abs_tol=1e-7)


def is_rounding(number: re.Match[str], value: float) -> bool:
    """Whether a number as it is written, of a fraction in percent, is the rounding of a value."""
    written = float(number[1].replace(",", ""))
    half = 0.5 * 10.0 ** -len(number[2] or "")
    return abs(written - value * (100 if number[3] else 1)) <= half * (1 + 1e-6) + 1e-12


def check_answer(sentences: Iterable[str], tables: Tables) -> tuple[int, list[str]]:
    """How many numbers sentences have, and which are in none of the tables.

    Fractions of these may be told in percent or in points.
    """
    values = [
        float(cell)
        for table in tables.values()
        for cell in (*table.select_dtypes("number").to_numpy().ravel(), len(table))
        if pd.notna(cell)
    ]
    values += [sign * scale * value for value in values for sign, scale in ((1, 100), (-1, 100))]
    numbers = [each for line in sentences for each in NUMBER.finditer(line)]
    wrong = [each[0] for each in numbers if not any(is_rounding(each, v) for v in values)]
    return len(numbers), [f"no table has the {number} of the answer" for number in wrong]
