"""What the test images say: metrics, differences, intervals and classes."""

import hashlib
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn import metrics

from recomputing.intervals import METRICS, SMALLEST, Resampled, Seeds, interval, p_of_means
from recomputing.tables import Tables

Model = tuple[str, str]
"""Family and role."""
KEY = ["family", "role", "train_fraction", "seed"]


class Tested(Tables):
    """The final runs on the test images."""

    @cached_property
    def runs(self) -> dict[tuple[str, str, float, int], pd.DataFrame]:
        """Family, role, fraction and seed to predictions by image, fewest training images first."""
        families = [*self.predictions.family.unique()]
        found = {key: own.sort_values("image_index") for key, own in self.predictions.groupby(KEY)}
        order = sorted(found, key=lambda key: (key[2], families.index(key[0]), key[1], key[3]))
        return {key: found[key] for key in order}

    @cached_property
    def models(self) -> list[tuple[str, str, float]]:
        """Family, role and fraction of each model that was tested, in the same order."""
        return list(dict.fromkeys(key[:3] for key in self.runs))

    @cached_property
    def fractions(self) -> list[float]:
        """That were tested, the largest first."""
        return sorted({model[2] for model in self.models}, reverse=True)

    @cached_property
    def images(self) -> dict[float, int]:
        """Fraction to training images."""
        return self.final.groupby("train_fraction").train_images.first().to_dict()

    @cached_property
    def measured(self) -> pd.DataFrame:
        """The rows of `final.parquet` with test metrics from the predictions."""
        rows = []
        for row in self.final.to_dict("records"):
            own = self.runs[tuple(row[name] for name in KEY)]
            probabilities = np.stack(own.probabilities.to_numpy()).astype(float)
            labels, predicted = own.label.to_numpy(), own.predicted.to_numpy()
            of_label = np.maximum(probabilities[np.arange(len(labels)), labels], SMALLEST)
            macro = {"labels": range(probabilities.shape[1]), "average": "macro"}
            precision, recall, _, _ = metrics.precision_recall_fscore_support(
                labels, predicted, zero_division=0, **macro
            )
            row |= {
                "test_loss": -np.log(of_label).mean(),
                "test_accuracy": metrics.accuracy_score(labels, predicted),
                "test_precision": precision,
                "test_recall": recall,
                "confidence": probabilities.max(axis=1).mean(),
                "error": calibration_error(probabilities, labels),
            }
            rows.append(row)
        return pd.DataFrame(rows, columns=[*self.final, "confidence", "error"])

    @cached_property
    def in_order(self) -> pd.DataFrame:
        """The same, the largest fraction first, families as they appear, the baseline first."""
        families = [*self.measured.family.unique()]
        places = self.measured.assign(place=self.measured.family.map(families.index))
        ascending = [False, True, True, True]
        return places.sort_values(["train_fraction", "place", "role", "seed"], ascending=ascending)

    def of_model(self, family: str, role: str, fraction: float) -> pd.DataFrame:
        """The runs of one model, by their seeds."""
        own = self.measured
        chosen = (own.family == family) & (own.role == role) & (own.train_fraction == fraction)
        return own[chosen].sort_values("seed")

    def networks(self, *model: Any) -> bytes:
        """What tells a model's networks from others: all they said; with a seed, the one's."""
        return b"".join(own for key, own in self._said.items() if key[: len(model)] == model)

    @cached_property
    def _said(self) -> dict[tuple[str, str, float, int], bytes]:
        return {
            key: hashlib.sha256(np.stack(run.probabilities).tobytes()).digest()
            for key, run in self.runs.items()
        }

    def is_repeated(self, key: tuple[Any, ...], role: str = "baseline") -> bool:
        """Whether a model, or its run of a seed, has this role and is the other role's too."""
        family, own, *rest = key
        both = (self.networks(family, each, *rest) for each in ("baseline", "tuned"))
        return own == role and len(set(both)) == 1

    # Intervals.

    @cached_property
    def seeds(self) -> dict[tuple[str, str, float], dict[str, Seeds]]:
        """Each model's metrics, seed by seed, on resampled images."""
        if not self.runs:
            return {}
        resampled = Resampled(len(next(iter(self.runs.values()))), self.draws)
        drawn = {key: resampled.metrics(own) for key, own in self.runs.items()}
        found = {}
        for model in self.models:
            own = self.of_model(*model)
            of_seeds = [drawn[*model, seed] for seed in own.seed]
            said = [self.runs[*model, seed] for seed in own.seed]
            right = np.stack([(run.predicted == run.label).to_numpy(float) for run in said])
            found[model] = {
                metric: Seeds(
                    own.set_index("seed")[f"test_{metric}"],
                    [o[metric] for o in of_seeds],
                    right if metric == "accuracy" else None,
                )
                for metric in METRICS
            }
        return found

    def difference(self, a: Model, b: Model, fraction: float, metric: str) -> list[float]:
        """Of the means over seeds of two models, with its interval."""
        return difference(*(self.seeds[*model, fraction][metric] for model in (a, b)), metric)

    @cached_property
    def points(self) -> dict[tuple[str, str, float], tuple[float, float, float]]:
        """Each model's accuracy with its interval."""
        own = {model: of_metric["accuracy"] for model, of_metric in self.seeds.items()}
        return {m: (each.points.mean(), *np.clip(interval(each), 0, 1)) for m, each in own.items()}

    @cached_property
    def noisy(self) -> dict[tuple[str, str, float], np.ndarray]:
        """Each model's accuracy as it might have come out, [draws]."""
        generator = np.random.default_rng([0, 2])
        return {model: self.seeds[model]["accuracy"].noisy(generator) for model in self.models}

    @cached_property
    def holm(self) -> dict[tuple[Any, ...], float]:
        """Pair, fraction and, of a pair of runs, seed to the stored p-values adjusted by Holm."""
        found = {}
        accuracies = self.comparison[self.comparison.metric == "accuracy"]
        for _, own in accuracies.groupby(["train_fraction", "seed"], dropna=False):
            tests = {}
            for row in own.itertuples():
                rest = (row.train_fraction, *([] if pd.isna(row.seed) else [row.seed]))
                a, b = (row.a_family, row.a_role), (row.b_family, row.b_role)
                pair = frozenset(self.networks(*model, *rest) for model in (a, b))
                tests[a, b, *rest] = tests[b, a, *rest] = (pair, row.p_value)
            found |= adjusted(tests)
        return found

    def distinct_pairs(self, fraction: float) -> int:
        """Of different models."""
        own = {self.networks(*model) for model in self.models if model[2] == fraction}
        return len(own) * (len(own) - 1) // 2

    # Classes.

    @cached_property
    def tuned(self) -> list[str]:
        """Families of which a tuned model was tested with the most images."""
        return [model[0] for model in self.models if model[1:] == ("tuned", self.fractions[0])]

    def hits(self, family: str, role: str) -> np.ndarray:
        """Where a model is right, with the most images, [seeds, images]."""
        model = family, role, self.fractions[0]
        own = [run for key, run in self.runs.items() if key[:3] == model]
        return np.stack([(run.predicted == run.label).to_numpy(float) for run in own])

    def confusion(self, family: str) -> np.ndarray:
        """Of a tuned family with the most images, all seeds together, [true, predicted]."""
        model = family, "tuned", self.fractions[0]
        pooled = pd.concat(run for key, run in self.runs.items() if key[:3] == model)
        classes = range(len(pooled.probabilities.iloc[0]))
        return metrics.confusion_matrix(pooled.label, pooled.predicted, labels=classes)

    @cached_property
    def classes(self) -> list[str]:
        """Names, or numbers where there are none."""
        count = len(self.predictions.probabilities.iloc[0]) if len(self.predictions) else 0
        return [*map(str, (self.study.get("dataset") or {}).get("classes") or range(count))]


def difference(a: Seeds, b: Seeds, metric: str) -> list[float]:
    """Of two means over seeds, with its interval; no share can differ by more than 1."""
    most = np.inf if metric == "loss" else 1
    return [a.points.mean() - b.points.mean(), *np.clip(interval(a, b), -most, most)]


def mcnemar(a: pd.DataFrame, b: pd.DataFrame) -> float:
    """The exact p-value of two runs on the same images."""
    right_a, right_b = ((run.predicted == run.label).to_numpy() for run in (a, b))
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0


def by_holm(ps: list[float]) -> list[float]:
    """P-values adjusted by Holm (1979): the most that one as small or smaller is raised to."""
    raised = {p: min(1.0, p * sum(other >= p for other in ps)) for p in ps}
    return [max((raised[other] for other in ps if other <= p), default=np.nan) for p in ps]


def adjusted(tests: dict[Any, tuple[frozenset[bytes], float]]) -> dict[Any, float]:
    """Name to Holm's p over distinct tests, from the networks that are tested and p.

    Pairs of the same networks under other names are one test, and a model against itself none.
    """
    distinct = {pair: p for pair, p in tests.values() if len(pair) > 1}
    of_pair = dict(zip(distinct, by_holm([*distinct.values()]), strict=True))
    return {name: of_pair.get(pair, p) for name, (pair, p) in tests.items()}


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error (Guo et al. 2017), bins closed above."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bin_of = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1)
    own = pd.DataFrame({"bin": bin_of, "confidence": confidence, "right": right})
    gaps = own.groupby("bin").agg({"confidence": "mean", "right": "mean", "bin": "size"})
    return float((gaps.bin * (gaps.confidence - gaps.right).abs()).sum() / len(own))


def stored(r: Tested) -> list[tuple[str, Any, Any]]:
    """Each number of `comparison.parquet` and test metric: what it is, as it is, as it must be."""
    names = [f"test_{metric}" for metric in METRICS]
    both = zip(*(own.to_dict("records") for own in (r.final, r.measured)), strict=True)
    found = [(f"{n} of {row['trial_id']}", row[n], again[n]) for row, again in both for n in names]
    for row in r.comparison.itertuples():
        models = [(row.a_family, row.a_role), (row.b_family, row.b_role)]
        keys = [(*model, row.train_fraction) for model in models]
        seed = () if pd.isna(row.seed) else (int(row.seed),)
        sides = [r.seeds[key][row.metric] for key in keys]
        sides = [side.of(*seed) for side in sides] if seed else sides
        again = difference(*sides, row.metric)
        if row.metric == "accuracy":
            p = mcnemar(*(r.runs[*key, *seed] for key in keys)) if seed else p_of_means(*sides)
            # Older studies have no p of means.
            p = p if seed or pd.notna(row.p_value) else None
            again += [p, r.holm[*models, row.train_fraction, *seed]]
        own = row.difference, row.ci_low, row.ci_high, row.p_value, row.p_value_holm
        what = f"of {models[0]} - {models[1]} at {row.train_fraction}, {seed}, {row.metric}"
        found += [(what, *each) for each in zip(own, again, strict=False)]
    return found
