"""What the data buy: accuracy against training images, crossings, images for equal accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from orchestrator import statistics
from orchestrator.predicted_runs import PredictedRun

Model = tuple[str, str]
"""A family and a role (`baseline` or `tuned`)."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A model's test accuracy with so many training images.

    Attributes:
        images: Training images.
        fraction: The train fraction.
        accuracy: Mean over seeds, a fraction.
        low: Lower end of its 95% interval, from a bootstrap over images and seeds.
        high: Its upper end.
        seeds: How many.
    """

    images: int
    fraction: float
    accuracy: float
    low: float
    high: float
    seeds: int


Curve = Sequence[Point]
"""A model's points, fewest images first; accuracy is linear over log(images) between them."""


def measure_curves(
    final: pa.Table, runs: Sequence[PredictedRun], *, draws: int = statistics.DRAWS
) -> dict[Model, list[Point]]:
    """The learning curve of each model, in the order of the tables.

    Args:
        final: `final.parquet`; gives the number of training images of each fraction.
        runs: The final runs, from `predicted_runs.split_runs`.
        draws: Bootstrap draws.

    Raises:
        ValueError: Two runs were not tested on the same number of images.
    """
    images = {
        (row["family"], row["role"], row["train_fraction"]): row["train_images"]
        for row in final.to_pylist()
        if row["train_images"]
    }
    curves: dict[Model, list[Point]] = {run.model: [] for run in runs}
    if not runs:
        return {}
    # One bootstrap for all models, as in the comparison of pairs.
    accuracies = statistics.accuracy_draws(np.stack([run.correct for run in runs]), draws=draws)
    for fraction in sorted({run.fraction for run in runs}):
        for model, curve in curves.items():
            rows = [
                i for i, run in enumerate(runs) if (run.fraction, run.model) == (fraction, model)
            ]
            size = images.get((*model, fraction))
            if size and rows:
                curve.append(_point(size, [runs[row] for row in rows], accuracies[rows]))
    return {model: curve for model, curve in curves.items() if curve}


def find_crossings(a: Curve, b: Curve) -> list[float]:
    """Training images at which the more accurate of two models changes, fewest first.

    Between two sizes that both were measured at, the difference is linear over log(images); where
    the models tie at measured sizes in between, the first of these is the crossing.
    """
    differences = _differences(a, b)
    decided = [index for index, (_, value) in enumerate(differences) if value]
    crossings = []
    for left, right in pairwise(decided):
        (x0, d0), (x1, d1) = differences[left], differences[right]
        if d0 * d1 < 0:
            tied = right > left + 1
            share = d0 / (d0 - d1)
            log_images = np.log(x0) + share * (np.log(x1) - np.log(x0))
            crossings.append(float(differences[left + 1][0] if tied else np.exp(log_images)))
    return crossings


def shared_sizes(a: Curve, b: Curve) -> list[int]:
    """Training images at which both were measured, fewest first."""
    return [images for images, _ in _differences(a, b)]


def images_to_reach(curve: Curve, accuracy: float) -> float | None:
    """The fewest training images with which a model reaches an accuracy.

    Args:
        curve: Of the model.
        accuracy: A fraction.

    Returns:
        Images; those of the first point where it is reached there already, None where no point
        reaches it.
    """
    if curve[0].accuracy >= accuracy:
        return float(curve[0].images)
    for before, after in pairwise(curve):
        if after.accuracy >= accuracy:
            share = (accuracy - before.accuracy) / (after.accuracy - before.accuracy)
            steps = np.log(after.images) - np.log(before.images)
            return float(np.exp(np.log(before.images) + share * steps))
    return None


def _differences(a: Curve, b: Curve) -> list[tuple[int, float]]:
    """Images and accuracy of a minus that of b, at the sizes that both were measured at."""
    of_b: Mapping[int, float] = {point.images: point.accuracy for point in b}
    return [
        (point.images, point.accuracy - of_b[point.images]) for point in a if point.images in of_b
    ]


def _point(images: int, runs: Sequence[PredictedRun], draws: statistics.Floats) -> Point:
    """One model at one fraction, from its seeds' accuracies on resampled images, [seeds, draws]."""
    generator = np.random.default_rng([statistics.SEED, 2])
    chosen = statistics.resampled_seeds(len(runs), draws.shape[1], generator)
    low, high = statistics.percentile_interval(statistics.seed_mean(draws, chosen))
    return Point(
        images=images,
        fraction=runs[0].fraction,
        accuracy=float(np.mean([run.correct.mean() for run in runs])),
        low=low,
        high=high,
        seeds=len(runs),
    )
