"""What the test images say: metrics, differences, intervals and classes."""

from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn import metrics

from recomputing.intervals import METRICS, SMALLEST, Resampled, Seeds, interval
from recomputing.tables import Tables

PAIR = ["a_family", "a_role", "b_family", "b_role", "train_fraction", "seed", "metric"]
Model = tuple[str, str]
"""Family and role."""
Interval = tuple[float, float, float]
"""A difference and the ends of its interval."""


class Tested(Tables):
    """The final runs on the test images."""

    @cached_property
    def runs(self) -> dict[tuple[str, str, float, int], pd.DataFrame]:
        """Family, role, fraction, seed to predictions by image, in the order of the table."""
        keys = ["family", "role", "train_fraction", "seed"]
        return {
            key: own.sort_values("image_index")
            for key, own in self.predictions.groupby(keys, sort=False)
        }

    @cached_property
    def largest(self) -> float:
        """The largest fraction."""
        return (
            max(self.measured.fraction)
            if len(self.measured)
            else max(self.settings["train_fractions"])
        )

    @cached_property
    def measured(self) -> pd.DataFrame:
        """Test metrics of each run from its predictions."""
        rows = []
        for (family, role, fraction, seed), own in self.runs.items():
            probabilities = np.stack(own.probabilities.to_numpy()).astype(float)
            labels, predicted = own.label.to_numpy(), own.predicted.to_numpy()
            classes = np.arange(probabilities.shape[1])
            chosen = np.maximum(probabilities[np.arange(len(labels)), labels], SMALLEST)
            macro = {"labels": classes, "average": "macro", "zero_division": 0}
            rows.append(
                {
                    "family": family,
                    "role": role,
                    "fraction": fraction,
                    "seed": seed,
                    "loss": float(-np.log(chosen).mean()),
                    "accuracy": metrics.accuracy_score(labels, predicted),
                    "precision": metrics.precision_score(labels, predicted, **macro),
                    "recall": metrics.recall_score(labels, predicted, **macro),
                    "confidence": probabilities.max(axis=1).mean(),
                    "ece": calibration_error(probabilities, labels),
                    "never": len(set(classes) - set(predicted)),
                }
            )
        columns = "family role fraction seed loss accuracy precision recall confidence ece never"
        return pd.DataFrame(rows, columns=columns.split())

    def of_model(self, family: str, role: str, fraction: float | None = None) -> pd.DataFrame:
        """The runs of one model, by default with the most images."""
        own, fraction = self.measured, self.largest if fraction is None else fraction
        return own[(own.family == family) & (own.role == role) & (own.fraction == fraction)]

    def accuracy(self, family: str, role: str, fraction: float | None = None) -> float:
        """Mean test accuracy of a model, by default with the most images."""
        return self.of_model(family, role, fraction).accuracy.mean()

    @cached_property
    def models(self) -> list[tuple[str, str, float]]:
        """Family, role, fraction of each model that was tested, in the order of the table."""
        return list(dict.fromkeys(key[:3] for key in self.runs))

    @cached_property
    def tuned(self) -> list[str]:
        """Families of which a tuned model was tested with the most images."""
        return [family for family, *rest in self.models if rest == ["tuned", self.largest]]

    @cached_property
    def ranked(self) -> list[str]:
        """The same, the most accurate first."""
        return sorted(self.tuned, key=lambda family: -self.accuracy(family, "tuned"))

    def is_baseline(self, family: str, fraction: float) -> bool:
        """Whether tuned and baseline are the same networks."""
        a, b = (
            [own for key, own in self.runs.items() if key[:3] == (family, role, fraction)]
            for role in ("tuned", "baseline")
        )
        return len(a) == len(b) > 0 and all(
            np.array_equal(np.stack(x.probabilities), np.stack(y.probabilities))
            for x, y in zip(a, b, strict=True)
        )

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
            own = self.of_model(*model).sort_values("seed")
            keys = sorted((key for key in self.runs if key[:3] == model), key=lambda key: key[3])
            found[model] = {
                metric: Seeds(own[metric].tolist(), [drawn[key][metric] for key in keys])
                for metric in METRICS
            }
        return found

    def difference(
        self, a: Model, b: Model, fraction: float | None = None, metric: str = "accuracy"
    ) -> Interval:
        """Of the means over seeds of two models, by default with the most images."""
        fraction = self.largest if fraction is None else fraction
        first, second = (self.seeds[*model, fraction][metric] for model in (a, b))
        return first.points.mean() - second.points.mean(), *interval(first, second)

    @cached_property
    def points(self) -> dict[tuple[str, str, float], Interval]:
        """Each model's accuracy with its interval."""
        found = {}
        for model, of_metric in self.seeds.items():
            own = of_metric["accuracy"]
            low, high = np.clip(interval(own), 0, 1)
            found[model] = (own.points.mean(), low, high)
        return found

    @cached_property
    def noisy(self) -> dict[tuple[str, str, float], np.ndarray]:
        """Each model's accuracy as it might have come out, [draws]."""
        generator = np.random.default_rng([0, 2])
        order = sorted(self.models, key=lambda model: model[2])  # stable: models stay in order
        return {model: self.seeds[model]["accuracy"].noisy(generator) for model in order}

    def crossing(self, a: Model, b: Model) -> tuple[list[float], float, float, float]:
        """Where two curves cross, the 95% interval of the first, and in how many draws any do.

        The ends are 0 below the fewest images and infinite above the most.
        """
        fractions = [f for f in sorted(self.images) if {(*a, f), (*b, f)} <= self.points.keys()]
        logs = [np.log(self.images[fraction]) for fraction in fractions]
        gaps = [self.points[*a, f][0] - self.points[*b, f][0] for f in fractions]
        found = [
            np.exp(np.interp(0, *zip(*sorted([(d0, x0), (d1, x1)]), strict=True)))
            for (x0, d0), (x1, d1) in zip(
                zip(logs, gaps, strict=True), list(zip(logs, gaps, strict=True))[1:], strict=False
            )
            if d0 * d1 < 0
        ]
        sign = np.sign(next(gap for gap in gaps if gap))
        drawn = np.stack([sign * (self.noisy[*a, f] - self.noisy[*b, f]) for f in fractions])
        firsts = np.array([_first_zero(logs, own) for own in drawn.T])
        low, high = np.quantile(firsts, [0.025, 0.975], method="inverted_cdf")
        return found, low, high, float(np.isfinite(firsts).mean())

    def images_to_reach(self, family: str, goal: float) -> float:
        """The fewest images with which a tuned family does, on lines over log(images).

        The fewest measured, negative, where these do already; infinite where none do.
        """
        fractions = [f for f in sorted(self.images) if (family, "tuned", f) in self.points]
        values = [self.points[family, "tuned", f][0] for f in fractions]
        logs = [np.log(self.images[f]) for f in fractions]
        for index, value in enumerate(values):
            if value >= goal:
                if not index:
                    return -self.images[fractions[0]]
                ends = slice(index - 1, index + 1)
                return float(np.exp(np.interp(goal, values[ends], logs[ends])))
        return np.inf

    # What is stored, held against what it is.

    def stored_pairs(self) -> list[tuple[str, float, float]]:
        """Each number of `comparison.parquet`: what it is, as it is stored, as it must be."""
        found = []
        for row in self.comparison.itertuples():
            a, b = ((row.a_family, row.a_role), (row.b_family, row.b_role))
            sides = [self._side(model, row) for model in (a, b)]
            low, high = interval(*sides)
            again = (sides[0].points.mean() - sides[1].points.mean(), low, high)
            what = f"{a} - {b} at {row.train_fraction}, seed {row.seed}, {row.metric}"
            for name, value in zip(("difference", "ci_low", "ci_high"), again, strict=True):
                found.append((f"{name} of {what}", getattr(row, name), value))
        for key, (p, holm) in self.p_values.items():
            row = self.comparison.set_index(PAIR).loc[(*key, "accuracy")]
            found += [(f"p of {key}", row.p_value, p), (f"Holm's of {key}", row.p_value_holm, holm)]
        return found

    def _side(self, model: Model, row: Any) -> Seeds:
        """One side of a row of `comparison.parquet`: all seeds, or the one it names."""
        every = self.seeds[*model, row.train_fraction][row.metric]
        if pd.isna(row.seed):
            return every
        place = sorted(self.of_model(*model, row.train_fraction).seed).index(row.seed)
        return Seeds(every.points[place : place + 1], every.draws[place : place + 1])

    @cached_property
    def p_values(self) -> dict[tuple[Any, ...], tuple[float, float]]:
        """Pair, fraction and seed to McNemar's p and Holm's."""
        adjusted: dict[tuple[Any, ...], tuple[float, float]] = {}
        for fraction, seed in dict.fromkeys((key[2], key[3]) for key in self.runs):
            own = [(key[0], key[1]) for key in self.runs if key[2:] == (fraction, seed)]
            own = [m for f in self.families for m in ((f, "baseline"), (f, "tuned")) if m in own]
            pairs = list(combinations(own, 2))
            ps = [self._mcnemar((*a, fraction, seed), (*b, fraction, seed)) for a, b in pairs]
            for (a, b), p, holm in zip(pairs, ps, by_holm(ps), strict=True):
                adjusted[*a, *b, fraction, seed] = (p, holm)
        return adjusted

    def _mcnemar(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> float:
        return mcnemar(self.runs[a], self.runs[b])

    def holm(self, a: Model, b: Model, fraction: float, seed: int) -> float:
        """Holm's p of a pair, whichever stands first."""
        p = self.p_values
        return p.get((*a, *b, fraction, seed), p.get((*b, *a, fraction, seed)))[1]

    # Classes.

    def confusion(self, family: str) -> np.ndarray:
        """Of a tuned family with the most images, all seeds together, [true, predicted]."""
        own = [r for k, r in self.runs.items() if k[:3] == (family, "tuned", self.largest)]
        pooled = pd.concat(own)
        classes = range(len(pooled.probabilities.iloc[0]))
        return metrics.confusion_matrix(pooled.label, pooled.predicted, labels=classes)

    @cached_property
    def classes(self) -> list[str]:
        """Names, or numbers where there are none."""
        names = (self.study.get("dataset") or {}).get("classes") or ()
        count = len(self.predictions.probabilities.iloc[0]) if len(self.predictions) else 0
        return [str(name) for name in names] or [str(i) for i in range(count)]

    def worst(self, family: str) -> tuple[str, str, float]:
        """The confusion with the largest share of the true class's images, and that."""
        shares = self.confusion(family) / np.maximum(1, self.confusion(family).sum(1))[:, None]
        np.fill_diagonal(shares, 0)
        true, guess = divmod(int(shares.argmax()), len(shares))
        return self.classes[true], self.classes[guess], shares.max()


def _first_zero(logs: list[float], gaps: np.ndarray) -> float:
    """Images at which a difference is not positive for the first time."""
    if gaps[0] <= 0:
        return 0.0
    for index in range(1, len(gaps)):
        if gaps[index] <= 0:
            share = gaps[index - 1] / (gaps[index - 1] - gaps[index])
            return float(np.exp(logs[index - 1] + share * (logs[index] - logs[index - 1])))
    return np.inf


def mcnemar(a: pd.DataFrame, b: pd.DataFrame) -> float:
    """The exact p-value of two runs on the same images."""
    right_a, right_b = ((run.predicted == run.label).to_numpy() for run in (a, b))
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0


def by_holm(ps: list[float]) -> list[float]:
    """P-values adjusted by Holm (1979): the most that one as small or smaller is raised to."""
    raised = {p: min(1.0, p * sum(other >= p for other in ps)) for p in ps}
    return [max(raised[other] for other in ps if other <= p) for p in ps]


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error (Guo et al. 2017), bins closed above."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bin_of = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1)
    own = pd.DataFrame({"bin": bin_of, "confidence": confidence, "right": right})
    gaps = own.groupby("bin").agg({"confidence": "mean", "right": "mean", "bin": "size"})
    return float((gaps.bin * (gaps.confidence - gaps.right).abs()).sum() / len(own))
