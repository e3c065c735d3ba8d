"""Holds every number of a report against what the tables give."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import recomputing.forecast
import recomputing.sentences  # noqa: F401 (registers its rules)
from recomputing.cells import TABLES
from recomputing.rules import NAMES, STUDIES, STUDY, one_of
from recomputing.shown import ANY_NUMBER, Table, agrees, read_markdown, read_page
from recomputing.stored import STORED, stored_cells
from recomputing.studies import Studies
from recomputing.study import Recomputed

Found = Iterator[tuple[int, str | None]]
"""How many numbers were held against the tables, and what is wrong, if anything."""


def check_comparison(folder: Path) -> tuple[int, list[str]]:
    """How many numbers `comparison.md` and `comparison.parquet` hold, and what is wrong."""
    r = Recomputed(folder)
    tables, sentences = read_markdown((folder / "comparison.md").read_text(encoding="utf-8"))
    return _summed([*_pairs(r), *check_tables(tables, r), *check_sentences(sentences, r)])


def check_report(folder: Path) -> tuple[int, list[str]]:
    """How many numbers `report.html` holds, and what is wrong with them."""
    r = Recomputed(folder)
    tables, sentences = read_page((folder / "report.html").read_text(encoding="utf-8"))
    return _summed([*check_tables(tables, r), *check_sentences(sentences, r)])


def check_studies(folders: Sequence[Path], page: Path) -> tuple[int, list[str]]:
    """How many numbers the page of several studies holds, and what is wrong with them."""
    studies = Studies(folders)
    tables, sentences = read_page(page.read_text(encoding="utf-8"))
    names = [*studies.sides, *studies.families]
    kinds = {
        **dict.fromkeys(("a", "b"), one_of(studies.sides)),
        "model": rf"{one_of(studies.families)} (?:baseline|tuned)",
    }
    stored = [line for side in studies.sides.values() for line in _strings(side.study)]
    return _summed(
        [
            *(each for table in tables for each in studies.check(table, check_cells)),
            *STUDIES.walk(sentences, studies, kinds, [*names, *filter(_is_sentence, stored)]),
        ]
    )


def check_sentences(sentences: list[str], r: Recomputed) -> Found:
    """All text of one study's report."""
    families = {*r.searches, *r.families}
    kinds = {
        **dict.fromkeys(("a", "b"), one_of(families)),
        **dict.fromkeys(("model", "rival"), rf"{one_of(families)} (?:baseline|tuned)"),
        **dict.fromkeys(("true", "guess"), one_of(r.classes)),
        "trial": rf"{one_of(families)}-\d+".replace(r"(?![\w-])", ""),
    }
    stored = filter(_is_sentence, _strings(r.study))
    words = [str(r.study["name"]), *families, *r.trials.trial_id, *stored]
    return STUDY.walk(sentences, r, kinds, words)


def check_tables(tables: list[Table], r: Recomputed) -> Found:
    """All tables of one study's report."""
    for table in tables:
        own = [(keys, make) for start, keys, make in TABLES if table.title.startswith(start)]
        if table.title.startswith(STORED):
            yield from stored_cells(table, r)
        elif own:
            keys, make = own[0]
            yield from check_cells(_numbered(table), keys, make(r, table.title))
        else:
            yield 0, f"nothing computes the table {table.title!r}"


def check_cells(table: Table, keys: int, expected: Mapping[tuple[str, ...], Any]) -> Found:
    """The cells of a table behind the columns that name its rows."""
    spaced = {tuple(" ".join(each.split()) for each in key): v for key, v in expected.items()}
    for key, cell in table.cells(keys):
        values = spaced.get(key)
        if isinstance(values, str):
            right = cell == " ".join(values.split())
            yield 1, None if right else f"{table.title}: {key} is {cell!r}, not {values!r}"
            continue
        found = ANY_NUMBER.findall(NAMES.sub("", cell))
        numbers = values or ()
        right = (bool(found) or cell == "—") and len(found) == len(numbers)
        right = right and all(map(agrees, found, numbers))
        yield len(found), None if right else f"{table.title}: {key} is {cell!r}, not {values}"


def _numbered(table: Table) -> Table:
    """A table with a column that counts its rows of one name where nothing else tells these."""
    if not table.title.startswith("Where the best rose"):
        return table
    seen: Counter[str] = Counter()
    rows = []
    for name, *cells in table.rows:
        rows.append([name, str(seen[name]), *cells])
        seen[name] += 1
    return Table(table.title, [table.columns[0], "", *table.columns[1:]], rows)


def _pairs(r: Recomputed) -> Found:
    for what, stored, again in r.stored_pairs():
        yield 1, None if abs(stored - again) < 1e-6 else f"{what} is {stored}, not {again}"


def _summed(found: list[tuple[int, str | None]]) -> tuple[int, list[str]]:
    return sum(count for count, _ in found), [problem for _, problem in found if problem]


def _is_sentence(text: str) -> bool:
    return len(text.split()) > 3


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
