"""The searches of a study: one per family, or one per family and share of the training images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from orchestrator.config.stored_settings import AnySettings


@dataclass(frozen=True, kw_only=True)
class Search:
    """One family, searched with one share of the training images.

    Its name is the family's, at smaller shares than the largest with the share: `cnn-f0.1`. Its
    trials are `<name>-<nnn>`.
    """

    name: str
    family: str
    train_fraction: float


def list_searches(
    families: Iterable[str], train_fractions: Sequence[float], *, per_fraction: bool
) -> list[Search]:
    """A study's searches, family by family, the largest share first."""
    largest, *smaller = sorted(train_fractions, reverse=True)
    return [
        Search(
            name=family if fraction == largest else f"{family}-f{fraction:g}",
            family=family,
            train_fraction=fraction,
        )
        for family in families
        for fraction in [largest, *(smaller if per_fraction else ())]
    ]


def searches_of(families: Iterable[str], settings: AnySettings) -> list[Search]:
    """The searches of families by a study's settings."""
    per_fraction = settings.tune_per_fraction
    return list_searches(families, settings.train_fractions, per_fraction=per_fraction)


def search_for(searches: Iterable[Search], family: str, train_fraction: float) -> Search:
    """The search whose winner is re-trained on a share of the training images.

    It is the search at that share; where there is none, the family's one, or else a `ValueError`.
    """
    own = [search for search in searches if search.family == family]
    if not own:
        raise ValueError(
            f"families of final.parquet must be those of study.json, but one is {family!r}"
        )
    return next((s for s in own if s.train_fraction == train_fraction), own[0])


def search_of(trial_id: str) -> str:
    """The name of the search that a trial belongs to."""
    return trial_id.rpartition("-")[0]


def baseline_of(search: str) -> str:
    """The trial id of a search's baseline."""
    return f"{search}-000"


def trial_order(trial_id: str) -> tuple[str, int, str]:
    """What trials are sorted by: `cnn-1000` comes after `cnn-999`."""
    search, _, number = trial_id.rpartition("-")
    return (search, int(number), trial_id) if number.isdecimal() else (trial_id, -1, trial_id)


def label_by_search(table: pa.Table) -> pa.Table:
    """A table of search trials with the name of each row's search as its `family`."""
    return _with_family(table, [search_of(name) for name in table["trial_id"].to_pylist()])


def label_finals_by_search(final: pa.Table, searches: Sequence[Search]) -> pa.Table:
    """`final.parquet` with the name of the search that decided each row as its `family`."""
    keys = zip(final["family"].to_pylist(), final["train_fraction"].to_pylist(), strict=True)
    return _with_family(final, [search_for(searches, *key).name for key in keys])


def _with_family(table: pa.Table, names: Sequence[str]) -> pa.Table:
    index = table.schema.get_field_index("family")
    return table.set_column(index, "family", pa.array(names, table.schema.field(index).type))
