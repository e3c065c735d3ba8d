"""The tables of a study as pandas reads them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

TABLES = (
    *("trials", "epochs", "rungs", "events"),
    *("final", "final_epochs", "predictions", "comparison"),
)
Keyed = Iterator[tuple[str, pd.DataFrame]]
"""Keys of sections with their tables."""


class Tables:
    """What a study's folder holds.

    Attributes:
        study: `study.json`.
        searches: Name of each search to its family and its share of the training images.
        trials: `trials.parquet` and so on, by name; `search` is the name of each row's search.
    """

    def __init__(self, folder: Path, draws: int = 2000) -> None:
        self.draws = draws
        self.study: dict[str, Any] = json.loads((folder / "study.json").read_text("utf-8"))
        self.settings = self.study["settings"]
        self.families: list[str] = self.settings["families"]
        self.ended = self.study.get("outcome") in {"completed", "incomplete"}
        for name in TABLES:
            setattr(self, name, _read(folder / f"{name}.parquet"))
        fractions = sorted(self.settings["train_fractions"], reverse=True)
        fractions_searched = fractions if self.settings.get("tune_per_fraction") else fractions[:1]
        self.searches: dict[str, tuple[str, float]] = {
            family if fraction == fractions[0] else f"{family}-f{fraction:g}": (family, fraction)
            for family in self.families
            for fraction in fractions_searched
        }
        for table in (self.trials, self.epochs, self.rungs):
            table["search"] = [trial.rpartition("-")[0] for trial in table.trial_id]
        keys = zip(self.final.family, self.final.train_fraction, strict=True)
        self.final["search"] = [self.search_behind(*key) for key in keys]

    def search_behind(self, family: str, fraction: float) -> str:
        """The search whose winner is re-trained on a share of the images."""
        own = {share: name for name, (whose, share) in self.searches.items() if whose == family}
        return own.get(fraction, family)


def table(columns: str, rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """Rows under columns, between whose names there are commas."""
    return pd.DataFrame([*rows], columns=columns.split(","))


def over_seeds(runs: pd.DataFrame, by: Sequence[str], columns: Iterable[str]) -> pd.DataFrame:
    """Mean, spread and number of each model's runs, models as they appear."""
    rows = []
    for names, own in runs.groupby(list(by), sort=False):
        row: dict[str, Any] = dict(zip(by, names, strict=True))
        for name in columns:
            row |= {name: own[name].mean(), f"{name}_sd": own[name].std()}
            row[f"{name}_known"] = own[name].count()
        rows.append({**row, "seeds": len(own)})
    return pd.DataFrame(rows)


def _read(path: Path) -> pd.DataFrame:
    table = pd.read_parquet(path) if path.is_file() else pd.DataFrame()
    for column in table.select_dtypes("category"):
        table[column] = table[column].astype(object)
    return table
