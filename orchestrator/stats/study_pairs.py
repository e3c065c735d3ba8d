"""The same model in two studies on the same test images: what changed, tested as within a study."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from orchestrator.stats import bootstrap as statistics
from orchestrator.stats.intervals import SeedRuns, mean_interval
from orchestrator.stats.predictions import PredictedRun

SMALLEST = float(np.nextafter(np.float32(0), np.float32(1)))
METRICS = ("accuracy", "precision", "recall", "loss")


@dataclass(frozen=True, kw_only=True)
class TestedStudy:
    """What a study's models said about its test images.

    Attributes:
        name: By which it is shown.
        data: Its data files with their hashes, as text.
        runs: At the largest train fraction, from `predictions.split_runs`.
    """

    name: str
    data: str
    runs: Sequence[PredictedRun]

    def of_model(self, model: tuple[str, str]) -> list[PredictedRun]:
        """The runs of a family and role."""
        return [run for run in self.runs if run.model == model]


def why_not_comparable(a: TestedStudy, b: TestedStudy) -> str | None:
    """Why two studies cannot be compared image by image; None where they can."""
    if not a.runs or not b.runs:
        return f"{(b if a.runs else a).name} has no final runs"
    if a.data != b.data:
        return "different data files, so different test images"
    of_a, of_b = a.runs[0], b.runs[0]
    for what in ("images", "labels"):
        if not np.array_equal(getattr(of_a, what), getattr(of_b, what)):
            return "different test images"
    if of_a.probabilities.shape != of_b.probabilities.shape:
        return "different numbers of classes"
    return None


def pair_studies(
    studies: Sequence[TestedStudy], *, draws: int = statistics.DRAWS
) -> list[dict[str, Any]]:
    """Every model that two comparable studies share; a difference is that of a minus b.

    Returns:
        Rows as of `comparison.parquet`, with `a_study` and `b_study`, `a_fraction` and
        `b_fraction`. Rows of a seed that both have carry McNemar's p, adjusted by Holm over all
        pairs of studies and models of that seed.
    """
    rows: list[dict[str, Any]] = []
    for a, b in combinations(studies, 2):
        if why_not_comparable(a, b) is None:
            for model in dict.fromkeys(run.model for run in a.runs):
                if b.of_model(model):
                    rows += _pair(a, b, model, draws)
    for seed in sorted({row["seed"] for row in rows if row["seed"] is not None}):
        tested = [row for row in rows if (row["seed"], row["metric"]) == (seed, "accuracy")]
        adjusted = statistics.holm([row["p_value"] for row in tested])
        for row, value in zip(tested, adjusted, strict=True):
            row["p_value_holm"] = float(value)
    return rows


def _pair(
    a: TestedStudy, b: TestedStudy, model: tuple[str, str], draws: int
) -> Iterator[dict[str, Any]]:
    of_a, of_b = a.of_model(model), b.of_model(model)
    runs = [*of_a, *of_b]
    found = statistics.estimate(
        runs[0].labels,
        np.stack([run.predicted for run in runs]),
        np.stack([_losses(run) for run in runs]),
        classes=runs[0].probabilities.shape[1],
        draws=draws,
    )
    shared = {
        "a_study": a.name,
        "b_study": b.name,
        "a_fraction": of_a[0].fraction,
        "b_fraction": of_b[0].fraction,
        **dict.fromkeys(("a_family", "b_family"), model[0]),
        **dict.fromkeys(("a_role", "b_role"), model[1]),
        "n_images": len(runs[0].labels),
    }
    of_seed = {run.seed: index for index, run in enumerate(of_b, start=len(of_a))}
    pairs = [
        (run.seed, [index], [of_seed[run.seed]])
        for index, run in enumerate(of_a)
        if run.seed in of_seed
    ]
    everything = (None, list(range(len(of_a))), list(range(len(of_a), len(runs))))
    for seed, left, right in (*pairs, everything):
        for metric in METRICS:
            row = {
                **shared,
                "seed": seed,
                "metric": metric,
                **_difference(found, metric, left, right),
            }
            if seed is not None and metric == "accuracy":
                row["p_value"] = statistics.mcnemar_p_value(
                    runs[left[0]].correct, runs[right[0]].correct
                )
            yield row


def _difference(
    found: statistics.Estimates, metric: str, left: list[int], right: list[int]
) -> dict[str, Any]:
    a, b = (
        SeedRuns(points=found.point[metric][rows], draws=found.draws[metric][rows])
        for rows in (left, right)
    )
    low, high = (
        # The same trainings, found again in the other study.
        statistics.percentile_interval(a.mean_draws - b.mean_draws)
        if np.array_equal(a.draws, b.draws)
        else mean_interval(a, b)
    )
    values = {"difference": a.mean - b.mean, "ci_low": low, "ci_high": high}
    return {
        **{name: value if math.isfinite(value) else None for name, value in values.items()},
        "p_value": None,
        "p_value_holm": None,
        "n_seeds": min(len(left), len(right)),
    }


def _losses(run: PredictedRun) -> statistics.Floats:
    """Cross-entropy of each image in nats, as in the comparison within a study."""
    of_label = run.probabilities[np.arange(len(run.labels)), run.labels]
    return np.asarray(-np.log(np.maximum(of_label, SMALLEST)))
