"""Reader of a stored study: `study.json`, and each table when it is first asked for."""

import os
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import pyarrow as pa

from orchestrator.config.searches import Search
from orchestrator.config.stored_settings import StoredSettings
from orchestrator.results import fetched, files, schema
from orchestrator.results import rows as row_types
from orchestrator.results.study_record import Choice, StudyRecord

if TYPE_CHECKING:
    import pandas as pd

Arrived = TypeVar("Arrived", row_types.EpochRow, row_types.FinalEpochRow, row_types.RungRow)


def load_study(results: str | os.PathLike[str]) -> "StudyResults":
    """Loads a stored study, running or ended, of this version or an earlier one.

    Args:
        results: Its folder, or the address that it was published to (a copy is brought here).

    Raises:
        ValueError: No study is stored there.
    """
    study = StudyResults(fetched.local_folder(os.fspath(results)))
    study.study  # noqa: B018 (is it one?)
    return study


class StudyResults:
    """Results of a stored study; a table is read once, so load it again for news.

    The tables are `pandas.DataFrame`s with the columns of `docs/COLUMNS.md`, without rows where
    they are not there yet: `trials`, `epochs`, `rungs`, `events`, `final`, `final_epochs`,
    `predictions` and `comparison`.

    Attributes:
        folder: The study's.
    """

    def __init__(self, folder: Path) -> None:
        """Takes the folder; nothing is read yet."""
        self.folder = folder
        self._tables: dict[str, pa.Table] = {}

    @cached_property
    def study(self) -> StudyRecord:
        """The content of `study.json`; a `ValueError` where the folder is no study."""
        return files.read_study(self.folder)

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.study.name

    @property
    def settings(self) -> StoredSettings:
        """Settings of the study: see `docs/SETTINGS.md`."""
        return self.study.settings

    @property
    def choice(self) -> dict[str, Choice]:
        """The winner of each search, by its name; empty while the search goes on."""
        return self.study.choice or {}

    @property
    def answer(self) -> str | None:
        """First sentence of `comparison.md`, the answer; None where there is none."""
        path = self.folder / "comparison.md"
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        # The lines that mark a demo stand above it, each behind a `>`.
        found = re.search(r"^\*\*(.+)\*\*$", text.partition("\n## ")[0], re.MULTILINE)
        return found and found[1]

    def __getattr__(self, name: str) -> "pd.DataFrame":
        """A table."""
        if name not in schema.TABLES:
            raise AttributeError(name)
        frame: pd.DataFrame = self.table_or_empty(name).to_pandas()
        return frame

    def __repr__(self) -> str:
        """Which study it is."""
        return f"load_study({str(self.folder)!r})"

    @cached_property
    def searches(self) -> list[Search]:
        """One per family, or one per family and share of the training images."""
        return self.study.searches

    def has(self, name: str) -> bool:
        """Whether a table is there; before its first write it is not."""
        return (self.folder / f"{name}.parquet").is_file()

    def table(self, name: str) -> pa.Table:
        """A table by its name, e.g. `trials`; a `ValueError` where it is not there, or damaged."""
        if name not in self._tables:
            self._tables[name] = files.read_table(self.folder, name)
            if name in {"epochs", "rungs"}:
                self._check_known(name)
        return self._tables[name]

    def _check_known(self, name: str) -> None:
        """Checks that the trials of a table are in `trials.parquet`, which is written before it."""
        names = set(self._tables[name]["trial_id"].to_pylist())
        for _ in range(2):  # a running study may have written both meanwhile
            unknown = sorted(names - set(self.table_or_empty("trials")["trial_id"].to_pylist()))
            if not unknown:
                return
            self._tables.pop("trials", None)
        raise ValueError(
            f"trials.parquet must have each trial of {name}.parquet, but in {self.folder} "
            f"lacks {unknown[0]}"
        )

    def table_or_empty(self, name: str) -> pa.Table:
        """A table, without rows where it is not there yet; a `ValueError` where it is damaged."""
        if name in self._tables or self.has(name):
            return self.table(name)
        return schema.columns_of_all()[name].empty_table()

    @overload
    def rows(self, name: Literal["trials"]) -> list[row_types.TrialRow]: ...
    @overload
    def rows(self, name: Literal["epochs"]) -> list[row_types.EpochRow]: ...
    @overload
    def rows(self, name: Literal["events"]) -> list[row_types.EventRow]: ...
    @overload
    def rows(self, name: Literal["final"]) -> list[row_types.FinalRow]: ...
    @overload
    def rows(self, name: Literal["final_epochs"]) -> list[row_types.FinalEpochRow]: ...
    @overload
    def rows(self, name: Literal["comparison"]) -> list[row_types.ComparisonRow]: ...

    def rows(self, name: str) -> Any:
        """The rows of a table in their order on disk, as `table_or_empty` has them."""
        return self.table_or_empty(name).to_pylist()


def by_sequence(rows: Iterable[Arrived]) -> list[Arrived]:
    """Rows of `epochs`, `final_epochs` or `rungs` in the order in which they came."""
    return sorted(rows, key=lambda row: row["sequence"])
