"""A study's stored tables, and what more than one of the tables that are shown rests on."""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics

from recomputing.intervals import METRICS, Seeds, adjusted, difference, of_images

MODEL, ROLES = ["family", "role"], ("tuned", "baseline")
KEY = [*MODEL, "train_fraction", "seed"]
Keyed = Iterator[tuple[str, pd.DataFrame]]
"""Keys of sections with their tables."""
Key = tuple[Any, ...]
"""Family, role and fraction of a model; with a seed, of its run."""


class Recomputed:
    """A study's numbers, computed again from what its folder holds.

    Attributes:
        study: `study.json`.
        trials: `trials.parquet` and so on, by name; `search` is the name of each row's search.
        searches: Name of each search to its family and its share of the training images.
        can_win: Search to its trials that can win, the best first.
        sizes: Of the network of each model, with the most images.
        runs: Each run's predictions by image, fewest training images first.
        said: Each run's probabilities, [images, classes].
        of_images: What each image adds to each metric of a run.
        models: That were tested, in the order of the runs; of `fractions`, the largest first.
        classes: Their names, or numbers where there are none.
        tuned: Families of which a tuned model was tested with the most images, and its runs.
    """

    def __init__(self, folder: Path) -> None:
        self.study: dict[str, Any] = json.loads((folder / "study.json").read_text("utf-8"))
        self.settings = self.study["settings"]
        self.families: list[str] = self.settings["families"]
        for path in folder.glob("*.parquet"):
            own = pd.read_parquet(path)
            own = own.astype(dict.fromkeys(own.select_dtypes("category"), object))
            setattr(self, path.stem, own)

        fractions = sorted(self.settings["train_fractions"], reverse=True)
        fractions_searched = fractions if self.settings.get("tune_per_fraction") else fractions[:1]
        self.searches: dict[str, tuple[str, float]] = {
            family if fraction == fractions[0] else f"{family}-f{fraction:g}": (family, fraction)
            for family in self.families
            for fraction in fractions_searched
        }
        order = {"key": lambda own: own.map([*self.searches].index), "kind": "stable"}
        for name in ("trials", "epochs", "rungs"):
            rows = getattr(self, name)
            rows["search"] = [trial.rpartition("-")[0] for trial in rows.trial_id]
            setattr(self, name, rows.sort_values("search", **order))
        own = self.final.family + self.final.train_fraction.map("-f{:g}".format).astype(object)
        self.final["search"] = own.where(own.isin([*self.searches]), self.final.family)
        self.of_search = {name: self.trials[self.trials.search == name] for name in self.searches}
        able = self.trials.status.isin(["completed", "stopped"])
        best_first = self.trials[able & self.trials.validation_accuracy.notna()].sort_values(
            ["validation_accuracy", "validation_loss", "trial_id"], ascending=[False, True, True]
        )
        self.can_win = {name: best_first[best_first.search == name] for name in self.searches}

        most = self.final[self.final.train_fraction == self.final.train_fraction.max()]
        names = [*MODEL, "parameters", "trained_parameters", "forward_flops_per_image"]
        self.sizes = most.drop_duplicates(MODEL).reindex(columns=names)

        places = {family: place for place, family in enumerate(self.predictions.family.unique())}
        runs = self.predictions.sort_values("image_index").groupby(KEY)
        order = sorted(runs.groups, key=lambda key: (key[2], places[key[0]], key[1], key[3]))
        self.runs: dict[Key, pd.DataFrame] = {key: runs.get_group(key) for key in order}
        self.said = {k: np.stack(run.probabilities).astype(float) for k, run in self.runs.items()}
        self.of_images = {k: of_images(run, self.said[k]) for k, run in self.runs.items()}
        self.models: list[Key] = list(dict.fromkeys(key[:3] for key in order))
        self.fractions: list[float] = sorted({model[2] for model in self.models}, reverse=True)
        tuned = [model for model in self.models if model[1:] == ("tuned", self.fractions[0])]
        self.tuned = {model[0]: self.of(*model) for model in tuned}
        count = next((own.shape[1] for own in self.said.values()), 0)
        classes = (self.study.get("dataset") or {}).get("classes") or range(count)
        self.classes = [*map(str, classes)]

    @cached_property
    def steps(self) -> dict[str, pd.Series]:
        """The best of a search after each of its epochs, by the device-seconds spent by then.

        The best is missing before a trial that can win.
        """
        rows = self.epochs[self.epochs.trial_id.isin(self.trials.trial_id)].sort_values("sequence")
        seconds = self.trials.set_index("trial_id").device_seconds.fillna(0)
        cost = rows.trial_id.map(seconds / rows.trial_id.value_counts())
        able = rows.trial_id.isin(pd.concat(self.can_win.values()).trial_id)
        rows = rows.assign(cost=cost, value=rows.validation_accuracy.where(able))
        return {
            name: own.value.cummax().ffill().set_axis(own.cost.cumsum())
            for name in self.searches
            if len(own := rows[rows.search == name])
        }

    def of(self, *model: Any) -> list[Key]:
        """The runs of one model; with a seed, the one."""
        return [key for key in self.runs if key[: len(model)] == model]

    @cached_property
    def measured(self) -> pd.DataFrame:
        """The rows of `final.parquet` with metrics from the predictions; most images first."""
        keys = [*self.final[KEY].itertuples(index=False, name=None)]
        order = sorted(self.runs, key=lambda key: -key[2])
        place = [order.index(key) for key in keys]
        again = {f"test_{m}": [self.of_images[key][m].mean() for key in keys] for m in METRICS}
        return self.final.assign(**again, key=keys, place=place).sort_values("place")

    def networks(self, *model: Any) -> bytes:
        """What tells a model's networks from others: all they said."""
        return b"".join(self.said[key].tobytes() for key in self.of(*model))

    def is_repeated(self, key: Key, role: str = "baseline") -> bool:
        """Whether a model, or its run of a seed, has this role and is the other role's too."""
        family, own, *rest = key
        both = (self.networks(family, each, *rest) for each in ROLES)
        return own == role and len(set(both)) == 1

    @cached_property
    def seeds(self) -> dict[Key, dict[str, Seeds]]:
        """The metrics of each model and of each run."""
        of = self.of_images
        return {
            key: {m: Seeds(m, own[m], own["loss"]) for m in METRICS}
            for key in (*self.models, *self.runs)
            if (own := {m: np.stack([of[run][m] for run in self.of(*key)]) for m in METRICS})
        }

    @cached_property
    def points(self) -> dict[Key, list[float]]:
        """Each model's accuracy with its interval."""
        return {model: difference(self.seeds[model]["accuracy"]) for model in self.models}

    @cached_property
    def holm(self) -> dict[frozenset[Key], float]:
        """Two models, or two runs, to their stored p-value adjusted by Holm."""
        found: dict[frozenset[Key], float] = {}
        accuracies = self.comparison[self.comparison.metric == "accuracy"]
        for _, own in accuracies.groupby(["train_fraction", "seed"], dropna=False):
            pairs = {frozenset(sides_of(row)): row.p_value for row in own.itertuples()}
            networks = {pair: frozenset(self.networks(*key) for key in pair) for pair in pairs}
            found |= adjusted(networks, pairs)
        return found

    def confusion(self, family: str) -> np.ndarray:
        """Of a tuned family, all seeds together, [true, predicted]."""
        pooled = pd.concat(self.runs[key] for key in self.tuned[family])
        every = range(len(self.classes))
        return metrics.confusion_matrix(pooled.label, pooled.predicted, labels=every)


def sides_of(row: Any) -> tuple[Key, Key]:
    """The two models, or runs, of a row of `comparison.parquet`."""
    rest = (row.train_fraction, *([] if pd.isna(row.seed) else [row.seed]))
    return (row.a_family, row.a_role, *rest), (row.b_family, row.b_role, *rest)


def table(columns: str, rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """Rows under columns, between whose names there are commas."""
    return pd.DataFrame([*rows], columns=columns.split(","))


def over_seeds(runs: pd.DataFrame, by: Sequence[str], columns: Iterable[str]) -> pd.DataFrame:
    """Mean, spread and number of each model's runs, models as they appear."""
    models = runs.groupby([*by], sort=False)
    found = models[[*columns]].agg(["mean", "std", "count"])
    ends = {"mean": "", "std": "_sd", "count": "_known"}
    found.columns = [f"{name}{ends[end]}" for name, end in found]
    return found.assign(seeds=models.size()).reset_index()
