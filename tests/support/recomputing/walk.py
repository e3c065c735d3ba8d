"""Holds every cell of every table of a report against what the stored tables give."""

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recomputing import of_page, of_search, of_tests
from recomputing.intervals import METRICS, difference, mcnemar, p_of_means
from recomputing.study import KEY, Recomputed, sides_of

Tables = Mapping[str, pd.DataFrame]
"""Key of each section to its table."""
COMPARISON = (*of_tests.TABLES, *of_search.TABLES, of_page.transfer)
PAGE = (*COMPARISON, *of_page.TABLES)
NUMBER = re.compile(r"(?<![\w.])([+-]?\d[\d,]*(?:\.(\d+))?)(%?)(?!\w)")


def check_comparison(folder: Path, shown: Tables) -> tuple[int, list[str]]:
    """How many cells a comparison has, with `comparison.parquet`, and which are wrong."""
    r = Recomputed(folder)
    count, problems = check(dict(each for make in COMPARISON for each in make(r)), shown)
    found = [*_stored(r)]
    wrong = [f"{what} is {is_}, not {again}" for what, is_, again in found if not same(is_, again)]
    return count + len(found), problems + wrong


def _stored(r: Recomputed) -> Iterator[tuple[str, Any, Any]]:
    """Each number of `comparison.parquet` and test metric: what it is, as it is, as it must be."""
    for row in r.final.to_dict("records"):
        again = r.of_images[tuple(row[name] for name in KEY)]
        for name in METRICS:
            yield f"test_{name} of {row['trial_id']}", row[f"test_{name}"], again[name].mean()
    for row in r.comparison.itertuples():
        keys = sides_of(row)
        sides = [r.seeds[key][row.metric] for key in keys]
        own, again = [row.difference, row.ci_low, row.ci_high], difference(*sides)
        if row.metric == "accuracy":
            own += [row.p_value, row.p_value_holm]
            p = p_of_means if pd.isna(row.seed) else mcnemar
            older = pd.isna(row.seed) and pd.isna(row.p_value)  # these have no p of means
            again += [None if older else p(*sides), r.holm[frozenset(keys)]]
        for each in zip(own, again, strict=True):
            yield (f"of {keys}, {row.metric}", *each)


def tables_of_json(found: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables of what `python -m orchestrator.compare RESULTS --json` prints."""
    tables = {each["key"]: pd.DataFrame(each["table"]) for each in found["sections"]}
    if (crossings := tables.get("data/crossings")) is not None:  # JSON has no infinity
        crossings.loc[crossings.low.notna() & crossings.high.isna(), "high"] = np.inf
    return tables


def expected_page(folder: Path) -> dict[str, pd.DataFrame]:
    """Key of each section of a study's page to its table."""
    r = Recomputed(folder)
    if r.study.get("outcome") not in {"completed", "incomplete"}:
        r.comparison = r.comparison[:0]  # what is stored may be of a choice made before
    return dict(each for make in PAGE for each in make(r))


def check(expected: Tables, shown: Tables) -> tuple[int, list[str]]:
    """How many cells tables have, and which are not what is expected."""
    nothing = pd.DataFrame()
    found = [
        each
        for key in {**expected, **shown}
        for each in _cells(key, shown.get(key, nothing), expected.get(key, nothing))
    ]
    return len(found), [problem for problem in found if problem]


def _cells(key: str, shown: pd.DataFrame, expected: pd.DataFrame) -> Iterator[str | None]:
    """What is wrong with each cell, None for nothing."""
    if len(shown) != len(expected):
        yield f"{key} has {len(shown)} rows, not {len(expected)}"
    elif len(shown) and set(shown) != set(expected):
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
    own = [np.append(table.select_dtypes("number"), len(table)) for table in tables.values()]
    values = np.outer([1, 100, -100], np.concatenate(own)).ravel()
    numbers = [each for line in sentences for each in NUMBER.finditer(line)]
    wrong = [each[0] for each in numbers if not any(is_rounding(each, v) for v in values)]
    return len(numbers), [f"no table has the {number} of the answer" for number in wrong]


def page_tables(text: str) -> dict[str, list[list[str]]]:
    """A page's tables by their ids: rows of cells as a reader sees them, headings first."""
    tables = {}
    for name, inside in re.findall(r'<table\b[^>]* id="(.*?)">(.*?)</table>', text, re.DOTALL):
        rows = [re.findall(r"(?s)<t[dh]\b.*?>(.*?)</t", row) for row in inside.split("<tr")[1:]]
        tables[name] = [[one_line(html.unescape(cell)) for cell in row] for row in rows]
    return tables


def markdown_tables(text: str) -> list[list[list[str]]]:
    """The same of a document, in their order."""
    blocks = re.sub(r"^\| ---.*\n", "", text, flags=re.MULTILINE).split("\n\n")
    lines = [block.split("\n") for block in blocks if block.startswith("| ")]
    cells = [[re.split(r"(?<!\\)\|", line)[1:-1] for line in block] for block in lines]
    return [[[one_line(re.sub(r"\\([|`])", r"\1", c)) for c in row] for row in t] for t in cells]


def one_line(text: str) -> str:
    """Text with one space between words."""
    return " ".join(text.split())
