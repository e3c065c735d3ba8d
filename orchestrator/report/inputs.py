"""What a report is made of: a study's tables as they lie on disk, and how the study stands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa

from orchestrator.analysis import frames
from orchestrator.analysis.confusion_examples import read_examples
from orchestrator.config.searches import label_by_search
from orchestrator.report.style import Look, family_looks
from orchestrator.results import schema
from orchestrator.results.rows import FinalRow, Model, TrialRow
from orchestrator.results.states import ENDED
from orchestrator.results.study_record import StudyRecord
from orchestrator.results.study_results import StudyResults
from orchestrator.stats.predictions import PredictedRun, split_runs
from orchestrator.stats.sample_efficiency import FEWEST_SIZES, Point, measure_curves
from orchestrator.status.study_status import StudyStatus, read_status


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """A study, read at one moment.

    Attributes:
        status: How it stands; nothing in it depends on the moment of reading.
        tables: Each table by name; one that is not there yet is empty.
        examples: Index of a test image to its PNG, of those that the study kept.
    """

    study: StudyRecord
    status: StudyStatus
    tables: Mapping[str, pa.Table]
    examples: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def families(self) -> list[str]:
        """Names, in the order of the settings."""
        return self.study.settings.families

    @cached_property
    def looks(self) -> dict[str, Look]:
        """How the marks of each family look, and those of each search, which look as its family."""
        looks = family_looks(self.families)
        return {search.name: looks[search.family] for search in self.study.searches}

    @cached_property
    def by_search(self) -> dict[str, pd.DataFrame]:
        """The tables of the search with the name of each row's search as its `family`."""
        return frames.by_search(self.study, self.tables)

    @cached_property
    def runs(self) -> list[PredictedRun]:
        """The final runs with what they said about the test images."""
        return split_runs(self.tables["predictions"], self.families)

    @cached_property
    def curves(self) -> dict[Model, list[Point]]:
        """Accuracy against training images; empty with fewer than two train fractions."""
        if len({run.fraction for run in self.runs}) < FEWEST_SIZES:
            return {}
        return measure_curves(self.tables["final"], self.runs)

    @cached_property
    def trials(self) -> list[TrialRow]:
        """The rows of `trials.parquet`, with the name of each one's search as its `family`."""
        return list(label_by_search(self.tables["trials"]).to_pylist())

    @cached_property
    def final(self) -> list[FinalRow]:
        """The rows of `final.parquet`."""
        return list(self.tables["final"].to_pylist())


def read(folder: Path) -> Inputs:
    """Reads the study in a folder, also one that runs at this moment.

    Raises:
        ValueError: The folder is no study, or a file in it is damaged.
        OSError: A file cannot be read.
    """
    results = StudyResults(folder)
    tables = {name: results.table_or_empty(name) for name in schema.TABLES}
    status = read_status(folder, now=None)  # the same files give the same report
    if status.state not in ENDED:  # what it says may be of a choice made before an extension
        tables["comparison"] = tables["comparison"].slice(0, 0)
    families = results.study.settings.families
    tables["final"] = frames.in_order(tables["final"], families)
    tables["comparison"] = frames.in_order(tables["comparison"], families, "a_family")
    examples = read_examples(folder)
    return Inputs(study=results.study, status=status, tables=tables, examples=examples)
