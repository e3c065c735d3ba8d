"""The tables of a study as pandas reads them."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

TABLES = (
    *("trials", "epochs", "rungs", "events"),
    *("final", "final_epochs", "predictions", "comparison"),
)


class Tables:
    """What a study's folder holds.

    Attributes:
        folder: The study's.
        study: `study.json`.
        trials: `trials.parquet` and so on, by name; `search` is the name of each row's search.
    """

    def __init__(self, folder: Path, draws: int = 2000) -> None:
        self.folder, self.draws = folder, draws
        self.study: dict[str, Any] = json.loads((folder / "study.json").read_text())
        self.settings = self.study["settings"]
        self.families: list[str] = self.settings["families"]
        for name in TABLES:
            setattr(self, name, _read(folder / f"{name}.parquet"))
        for table in (self.trials, self.epochs, self.rungs):
            table["search"] = [trial.rpartition("-")[0] for trial in table.trial_id]
        fractions = sorted(self.settings["train_fractions"], reverse=True)
        searched = fractions if self.settings.get("tune_per_fraction") else fractions[:1]
        self.searches: dict[str, tuple[str, float]] = {
            family if fraction == fractions[0] else f"{family}-f{fraction:g}": (family, fraction)
            for family in self.families
            for fraction in searched
        }

    def search_behind(self, family: str, fraction: float) -> str:
        """The search whose winner is re-trained on a share of the images."""
        own = {share: name for name, (whose, share) in self.searches.items() if whose == family}
        return own.get(fraction, family)

    @property
    def images(self) -> dict[float, int]:
        """Fraction to training images."""
        return self.final.groupby("train_fraction").train_images.first().to_dict()

    def at(self, fraction: str) -> float:
        """A train fraction by how it is printed."""
        return {f"{each:g}": each for each in self.images}[fraction]

    def with_images(self, images: str) -> float:
        """The train fraction that is so many images."""
        return {f"{each:,}": fraction for fraction, each in self.images.items()}[images]


def _read(path: Path) -> pd.DataFrame:
    table = pd.read_parquet(path) if path.is_file() else pd.DataFrame()
    for column in table.select_dtypes("category"):
        table[column] = table[column].astype(object)
    return table
