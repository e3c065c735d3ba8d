"""Differences between models tested on the same images, and Holm over those that are distinct."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.results.rows import Model
from orchestrator.stats import bootstrap
from orchestrator.stats.bootstrap import Integers
from orchestrator.stats.claims import Side, cautious_difference, holm, mcnemar_p_value
from orchestrator.stats.intervals import MeanDifference, SeedRuns
from orchestrator.stats.predictions import PredictedRun

METRICS = ("accuracy", "precision", "recall", "loss")


@dataclass(frozen=True, kw_only=True)
class TestedRuns:
    """Runs on the same test images, and their metrics on resampled ones; see `of`.

    Attributes:
        digests: What tells each run from the others; equal where two are one training.
        estimates: Of the distinct ones.
        places: Of each run among these: a winner that is its baseline equals it in every draw.
        groups: Which images belong together, from 0, [images]; None where each is alone.
    """

    runs: Sequence[PredictedRun]
    digests: Sequence[bytes]
    estimates: bootstrap.Estimates
    places: Sequence[int]
    groups: Integers | None = None

    @classmethod
    def of(
        cls, runs: Sequence[PredictedRun], draws: int, groups: Integers | None = None
    ) -> "TestedRuns":
        """Resamples the images that the runs share, or whole groups of them, `draws` times."""
        digests = [run.digest for run in runs]
        distinct = dict(zip(digests, runs, strict=True))
        names = list(distinct)
        estimates = bootstrap.estimate(
            runs[0].labels,
            np.stack([run.predicted for run in distinct.values()]),
            np.stack([run.losses for run in distinct.values()]),
            classes=runs[0].probabilities.shape[1],
            draws=draws,
            groups=groups,
        )
        places = [names.index(digest) for digest in digests]
        return cls(runs=runs, digests=digests, estimates=estimates, places=places, groups=groups)

    def of_model(self, model: Model, seed: int | None = None) -> list[int]:
        """The numbers of a model's runs: of one seed, or of all."""
        runs = enumerate(self.runs)
        return [i for i, run in runs if run.model == model and seed in {None, run.seed}]

    def side(self, numbers: Sequence[int]) -> Side:
        """The accuracy of the runs with these numbers, and on which images each is right."""
        hits = np.stack([self.runs[number].correct for number in numbers])
        return Side(runs=self.seeds_of(numbers, "accuracy"), hits=hits)

    def seeds_of(self, numbers: Sequence[int], metric: str) -> SeedRuns:
        """A metric of the runs with these numbers."""
        chosen = [self.places[number] for number in numbers]
        return SeedRuns(
            points=self.estimates.point[metric][chosen], draws=self.estimates.draws[metric][chosen]
        )


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two models, each at one seed or as the mean of its seeds.

    Attributes:
        rows: Their difference as of `comparison.parquet`, a row for each metric.
        runs: Which trainings stand against which, under whatever names and whichever first: two
            sets, or one where both models are the same trainings.
    """

    rows: Sequence[dict[str, Any]]
    runs: frozenset[tuple[bytes, ...]]


def pair(
    tested: TestedRuns, a: Sequence[int], b: Sequence[int], shared: Mapping[str, object]
) -> Pair:
    """Two models, by the numbers of their runs, compared in each metric; a difference is a - b.

    The columns that name the two are shared. With a `seed` p is McNemar's; without one, or where
    images belong together, it is that of the interval of the means.
    """
    sides = [tuple(sorted(tested.digests[number] for number in side)) for side in (a, b)]
    same = sides[0] == sides[1]
    differences = {
        metric: MeanDifference.of(tested.seeds_of(a, metric), tested.seeds_of(b, metric))
        for metric in METRICS
    }
    accuracy = cautious_difference(tested.side(a), tested.side(b), tested.groups)
    differences["accuracy"] = accuracy
    p_value = 1.0
    if not same:
        by_interval = shared["seed"] is None or tested.groups is not None
        correct = (tested.runs[side[0]].correct for side in (a, b))
        p_value = accuracy.p_value() if by_interval else mcnemar_p_value(*correct)
    rows = []
    for metric, each in differences.items():
        # The same trainings in both: what chance there was in them is in neither side alone.
        ends = bootstrap.percentile_interval(each.draws) if same else each.interval()
        bound = math.inf if metric == "loss" else 1.0  # of a share; Student's t knows none
        values = (each.value, max(ends[0], -bound), min(ends[1], bound))
        # Null where a model's probabilities were no numbers.
        stored = [value if math.isfinite(value) else None for value in values]
        row = dict(zip(("difference", "ci_low", "ci_high"), stored, strict=True))
        p = {"p_value": p_value if metric == "accuracy" else None, "p_value_holm": None}
        rows.append({**shared, "metric": metric, **row, **p, "n_seeds": min(len(a), len(b))})
    return Pair(rows=rows, runs=frozenset(sides))


def adjust(pairs: Sequence[Pair]) -> None:
    """Adjusts the p of pairs that are tested together, in their rows, by Holm over distinct tests.

    Pairs of the same trainings under other names are one test; a model against the same trainings
    is none: its p is 1 and takes no place in the correction.
    """
    accuracies = [(each.runs, each.rows[METRICS.index("accuracy")]) for each in pairs]
    tests: dict[frozenset[tuple[bytes, ...]], float] = {}
    for runs, row in accuracies:
        if len(runs) > 1:
            # The same test the other way round may differ in the last digit.
            row["p_value"] = tests.setdefault(runs, row["p_value"])
    adjusted = dict(zip(tests, holm(list(tests.values())), strict=True))
    for runs, row in accuracies:
        row["p_value_holm"] = float(adjusted.get(runs, 1.0))
