"""Rows as pandas tables, and what runs that differ in their seed alone have in common."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from orchestrator.config.searches import label_by_search
from orchestrator.results.study_record import StudyRecord


def in_order(table: pa.Table, names: Iterable[str], column: str = "family") -> pa.Table:
    """A table with its rows by family, or search, in this order."""
    places = {name: place for place, name in enumerate(names)}
    own = [places.get(name, len(places)) for name in table[column].to_pylist()]
    return table.take(np.argsort(own, kind="stable"))


def by_search(study: StudyRecord, tables: Mapping[str, pa.Table]) -> dict[str, pd.DataFrame]:
    """The tables of the search, whose families are the names of searches, in the study's order."""
    names = [search.name for search in study.searches]
    return {
        name: frame(in_order(label_by_search(tables[name]), names))
        for name in ("trials", "epochs", "rungs")
    }


def frame(table: pa.Table) -> pd.DataFrame:
    """A stored table with names as plain text, not as categories.

    Where there are accuracies, all rows have an `objective`; see `epoch_rows.objective`.
    """
    found: pd.DataFrame = table.to_pandas()
    if "validation_accuracy" in found:
        accuracy = found["validation_accuracy"]
        found["objective"] = found.get("objective", accuracy).fillna(accuracy)
    return found.astype(dict.fromkeys(found.select_dtypes("category"), object))


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, column to value."""
    return cast("list[dict[str, Any]]", table.to_dict("records"))


def over_seeds(runs: pd.DataFrame, by: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """The mean and the spread of each model's runs, models in their order of appearance.

    Columns `by` tell models apart, `columns` are of numbers.

    Returns:
        A row a model: `by`, `seeds`, and for each column its mean under its own name, and with
        `_sd` its sample standard deviation (missing with one seed), `_known` how many are numbers.
    """
    runs = runs.reset_index(drop=True)  # tables that were put together may have it twice
    numbers = runs[list(columns)].astype(float).replace([np.inf, -np.inf], np.nan)
    groups = runs[list(by)].join(numbers).groupby(list(by), sort=False, observed=True)
    found = groups.agg(["mean", "std", "count"])
    ends = ("", "_sd", "_known")
    found.columns = pd.Index([f"{name}{end}" for name in columns for end in ends])
    return found.assign(seeds=groups.size()).reset_index()
