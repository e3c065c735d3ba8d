"""A study as stored on disk, and what must be true of its files: each violation a sentence."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.analysis.section import grouped
from orchestrator.config.stored_settings import StoredSettings
from orchestrator.results import files, schema
from orchestrator.results.code_version import code_sha256
from orchestrator.results.going_on import advice_for_table
from orchestrator.results.manifest import stamp
from orchestrator.results.rows import (
    ComparisonRow,
    EpochRow,
    EventRow,
    FinalEpochRow,
    FinalRow,
    RungRow,
    TrialRow,
)
from orchestrator.results.states import ENDED
from orchestrator.results.study_record import Choices, StudyRecord
from orchestrator.results.study_results import by_sequence
from orchestrator.stats.pairwise import compare

Key = TypeVar("Key", bound=str | tuple[Any, ...])
Check = Callable[["Tables"], Iterable[str]]

# What the checks read of `study.json`.
ENTRIES: Final = (
    *("outcome", "settings", "spaces", "baselines", "dataset", "weights", "runs"),
    *("choice", "choice_sha256", "halted"),
)
ROUNDING: Final = 1e-12


class UnusableError(ValueError):
    """A check needs a table that cannot be read, or whose columns are not what they must be."""


def _rows(name: str) -> cached_property[list[Any]]:
    def rows(tables: "Tables") -> list[Any]:
        found = tables.table(name).to_pylist()
        return by_sequence(found) if name in {"epochs", "final_epochs"} else list(found)

    return cached_property(rows)


@dataclass(frozen=True, kw_only=True)
class Tables:
    """A study as stored on disk; the rows of each table, of epochs by sequence.

    Attributes:
        study: `study.json`.
        usable: The tables that can be read and have their columns, by name.
        violations: Those of the others, a sentence each.
    """

    folder: Path
    study: StudyRecord
    usable: Mapping[str, pa.Table]
    violations: Sequence[str]

    trials: ClassVar[cached_property[list[TrialRow]]] = _rows("trials")
    epochs: ClassVar[cached_property[list[EpochRow]]] = _rows("epochs")
    rungs: ClassVar[cached_property[list[RungRow]]] = _rows("rungs")
    events: ClassVar[cached_property[list[EventRow]]] = _rows("events")
    final: ClassVar[cached_property[list[FinalRow]]] = _rows("final")
    final_epochs: ClassVar[cached_property[list[FinalEpochRow]]] = _rows("final_epochs")

    @property
    def settings(self) -> StoredSettings:
        """The study's, as resolved."""
        return self.study.settings

    @property
    def choice(self) -> Choices:
        """Each search's winner; empty where there is none."""
        return self.study.choice or {}

    def table(self, name: str) -> pa.Table:
        """A table by its name; an `UnusableError` where `violations` says why it cannot be used."""
        if name not in self.usable:
            raise UnusableError(f"{name}.parquet cannot be used")
        return self.usable[name]

    @cached_property
    def compared_again(self) -> list[ComparisonRow]:
        """The rows of `comparison.parquet` as the stored predictions give them."""
        tested, predicted = self.table("final"), self.table("predictions")
        rows = compare(tested, predicted, registered=self.study.registered).to_pylist()
        return list(rows)

    @cached_property
    def is_of_this_code(self) -> bool:
        """Whether the models were compared, as far as is known, by the code that runs here."""
        recorded = self.study.environment.get("numpy")  # whose random numbers draw the images
        try:
            code = code_sha256(self.settings.families, self.study.dataset.name)
        except ValueError:  # a family that is not here
            return False
        return self.study.code_sha256 == code and recorded == np.__version__

    @cached_property
    def by_trial(self) -> Mapping[str, list[EpochRow]]:
        """Trial to its rows of `epochs.parquet`, by sequence."""
        return {trial_id: rows for (trial_id,), rows in grouped(self.epochs, "trial_id")}


def read(folder: Path) -> Tables:
    """Reads a study, or raises a `ValueError`; a table that cannot be used is a violation."""
    study = files.read_study(folder)
    usable, violations = {}, []
    for name in schema.TABLES:
        try:
            table = files.read_any_table(folder, name)
            found = list(_violations(name, table, study.spaces))
        except ValueError as error:
            advice = advice_for_table(folder.resolve(), name)
            found = [f"{name}.parquet must be readable, but is not: {error}; {advice}"]
        violations += found
        if not found:
            usable[name] = table
    return Tables(folder=folder, study=study, usable=usable, violations=violations)


def check_tables(tables: Tables) -> Iterator[str]:
    """Each table is there with its columns in their types, all numbers finite."""
    yield from tables.violations


def check_study_json(tables: Tables) -> Iterator[str]:
    """`study.json` has what a study that has ended has, and what its schema promises."""
    version = tables.study.raw.get("schema_version")
    if version != schema.SCHEMA_VERSION:
        yield f"study.json must have schema version {schema.SCHEMA_VERSION}, but has {version}"
    for name in ENTRIES:
        if name not in tables.study.raw:
            yield f"study.json must say {name}, but does not"


def check_stamps(tables: Tables) -> Iterator[str]:
    """Each table was written for this study's split, data and weights, and so were its rows."""
    name = tables.study.name
    for table_name, table in tables.usable.items():
        metadata = table.schema.metadata or {}
        for key, value in {"study": name, **stamp(tables.study)}.items():
            found = metadata.get(key.encode(), b"").decode()
            if found != value:
                yield f"{table_name}.parquet must be stamped with {key} {value}, but has {found}"
        for other in sorted(set(pc.unique(table["study"]).to_pylist()) - {name}, key=str):
            yield f"{table_name}.parquet must have rows of {name} alone, but has some of {other}"


def check_ended(tables: Tables) -> Iterator[str]:
    """The study came to its end, and so has cleaned up."""
    outcome = tables.study.outcome
    if outcome not in ENDED:
        yield f"the study must have ended, but its outcome is {outcome}; go on with --resume"
    if (tables.folder / "checkpoints").exists():
        yield "no checkpoint must be left of a study that has ended, but checkpoints/ is there"
    for path in sorted(files.leftovers(tables.folder)):
        name = path.relative_to(tables.folder)
        yield f"no half-written file must be left, but {name} is there"


def contiguous(where: str, epochs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Each trial's epochs run from 1 without a gap, each once, in the order of the sequence."""
    for (trial_id,), rows in grouped(epochs, "trial_id"):
        found = [row["epoch"] for row in rows]
        names = (f"epoch {epoch} of {trial_id}" for epoch in found)
        yield from repeated(names, f"be in {where} once", " times")
        distinct = list(dict.fromkeys(found))
        if distinct != list(range(1, len(distinct) + 1)):
            yield f"the epochs of {trial_id} in {where} must run from 1, but are {found}"


def repeated(names: Iterable[str], rule: str, times: str = "") -> Iterator[str]:
    """A sentence for each name that is there more than once."""
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{name} must {rule}, but is {count}{times}"


def unmatched(
    expected: Iterable[Key], found: Iterable[Key], table: str, why: str, name: Callable[[Key], str]
) -> Iterator[str]:
    """A sentence for each key that is missing, then for each that must not be there, and why."""
    wanted, there = {*expected}, {*found}
    yield from (f"{name(k)} must be in {table}, but is missing" for k in sorted(wanted - there))
    yield from (f"{name(k)} must not be in {table}{why}" for k in sorted(there - wanted))


def differing(
    what: str,
    expected: Mapping[str, object],
    found: Mapping[str, object],
    why: str = "",
    rounding: float = ROUNDING,
) -> Iterator[str]:
    """A sentence for each entry that is not as expected."""
    for name, value in expected.items():
        if not same(value, found.get(name), rounding):
            yield f"{name} of {what} must be {value}{why}, but is {found.get(name)}"


def same(one: Any, other: Any, rounding: float = ROUNDING) -> bool:
    """Equal, except that another library or machine may round a number another way."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=rounding, abs_tol=rounding)
    return bool(one == other)


def _violations(name: str, table: pa.Table, spaces: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """What is wrong with a table whatever the study: columns, types, and numbers that are none."""
    columns = {column.name: column for column in schema.columns_of_all()[name]}
    if name in {"trials", "final"}:
        own = {f"param_{dimension}" for space in spaces.values() for dimension in space}
        columns |= dict.fromkeys(sorted(own))
    for column, expected in columns.items():
        found = table.column_names.count(column)
        if found != 1:
            if found or column not in schema.LATER:
                yield f"{name}.parquet must have a column {column}, but has {found or 'none'}"
            continue
        values = table[column]
        lacking = 0 if expected is None or expected.nullable else values.null_count
        if expected is not None and values.type != expected.type:
            yield f"{name}.parquet must have {column} as {expected.type}, but has {values.type}"
        elif lacking and column not in schema.LATER:
            yield f"{name}.parquet must say {column} in each row, but {lacking} lack it"
        elif not _finite(values):
            yield f"{name}.parquet must have finite numbers as {column}, but has others"


def _finite(values: pa.ChunkedArray) -> bool:
    if pa.types.is_list(values.type):
        values = pc.list_flatten(values)
        if values.null_count:
            return False
    floating = pa.types.is_floating(values.type)
    return not floating or pc.all(pc.is_finite(values)).as_py() is not False
