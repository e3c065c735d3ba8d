"""A study on disk, read: `study.json`, and each table when it is first asked for."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.config.searches import Search, stored_searches
from orchestrator.results import files, schema

Rows = list[dict[str, Any]]


class StudyResults:
    """What a study's folder holds; a table is read once, so ask a new object for news.

    Attributes:
        folder: The study's.
    """

    def __init__(self, folder: Path) -> None:
        """Takes the folder; nothing is read yet."""
        self.folder = folder
        self._tables: dict[str, pa.Table] = {}

    @cached_property
    def study(self) -> Mapping[str, Any]:
        """The content of `study.json`.

        Raises:
            ValueError: The folder is no study.
        """
        return files.read_study(self.folder)

    @cached_property
    def searches(self) -> list[Search]:
        """One per family, or one per family and share of the training images."""
        return stored_searches(self.study["settings"])

    def has(self, name: str) -> bool:
        """Whether a table is there; before its first write it is not."""
        return (self.folder / f"{name}.parquet").is_file()

    def table(self, name: str) -> pa.Table:
        """A table by its name, e.g. `trials`.

        Raises:
            ValueError: It is not there, or damaged.
        """
        if name not in self._tables:
            self._tables[name] = files.read_table(self.folder, name)
            if name in {"epochs", "rungs"}:
                self._check_known(name)
        return self._tables[name]

    def _check_known(self, name: str) -> None:
        """Checks that the trials of a table are in `trials.parquet`, which is written before it.

        Raises:
            ValueError: One is not.
        """
        names = set(self._tables[name]["trial_id"].to_pylist())
        if names <= set(self.table_or_empty("trials")["trial_id"].to_pylist()):
            return
        self._tables.pop("trials", None)  # a running study may have written both meanwhile
        unknown = sorted(names - set(self.table_or_empty("trials")["trial_id"].to_pylist()))
        if unknown:
            raise ValueError(
                f"trials.parquet must have each trial of {name}.parquet, but in {self.folder} "
                f"lacks {unknown[0]}"
            )

    def table_or_empty(self, name: str) -> pa.Table:
        """A table, without rows where it is not there yet.

        Raises:
            ValueError: It is damaged.
        """
        return self.table(name) if self.has(name) else schema.columns_of_all()[name].empty_table()

    def rows(self, name: str) -> Rows:
        """The rows of a table in their order on disk; none where it is not there yet.

        Raises:
            ValueError: It is damaged.
        """
        rows: Rows = self.table_or_empty(name).to_pylist()
        return rows


def by_sequence(rows: Rows) -> Rows:
    """Rows of `epochs`, `final_epochs` or `rungs` in the order in which they came."""
    return sorted(rows, key=lambda row: int(row["sequence"]))
