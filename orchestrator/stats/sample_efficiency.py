"""Learning curves over training images: where they cross, and images for equal accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product

import numpy as np
import pyarrow as pa

from orchestrator.results.rows import Model
from orchestrator.stats import bootstrap
from orchestrator.stats.intervals import MeanDifference, SeedRuns, noisy_means
from orchestrator.stats.predictions import PredictedRun

FEWEST_SIZES = 2
"""A curve needs two points."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A model's test accuracy with so many training images.

    Attributes:
        accuracy: Mean over seeds, a fraction; from `low` to `high` its 95% interval over images
            and seeds, see `stats.intervals`.
        draws: The accuracy as it might have come out with other test images and seeds, [draws].
    """

    images: int
    accuracy: float
    low: float
    high: float
    seeds: int
    draws: bootstrap.Floats = field(default_factory=lambda: np.empty(0), repr=False)


Curve = Sequence[Point]
"""A model's points, fewest images first; accuracy is linear over log(images) between them."""


def measure_curves(final: pa.Table, runs: Sequence[PredictedRun]) -> dict[Model, list[Point]]:
    """The learning curve of each model, in the order of the tables.

    Raises:
        ValueError: Two runs were not tested on the same number of images.
    """
    if not runs:
        return {}
    sizes = {
        (row["family"], row["role"], row["train_fraction"]): row["train_images"]
        for row in final.to_pylist()
    }
    curves: dict[Model, list[Point]] = {run.model: [] for run in runs}
    generator = np.random.default_rng([bootstrap.SEED, 2])
    # One bootstrap for all models, as in the comparison of pairs.
    accuracies = bootstrap.accuracy_draws(np.stack([run.correct for run in runs]))
    for fraction, model in product(sorted({run.fraction for run in runs}), curves):
        rows = [i for i, run in enumerate(runs) if (run.fraction, run.model) == (fraction, model)]
        images = sizes.get((*model, fraction))
        if images and rows:
            points = np.array([runs[row].correct.mean() for row in rows])
            own = SeedRuns(points=points, draws=accuracies[rows])
            # Student's t knows no bounds.
            low, high = np.clip(MeanDifference.of(own).interval(), 0, 1)
            curves[model].append(
                Point(
                    images=images,
                    accuracy=own.mean,
                    low=float(low),
                    high=float(high),
                    seeds=len(rows),
                    draws=noisy_means(own, generator),
                )
            )
    return {model: curve for model, curve in curves.items() if curve}


def differences(a: Curve, b: Curve) -> dict[int, float]:
    """Images to accuracy of a minus that of b, at the sizes that both were measured at."""
    of_b = {point.images: point.accuracy for point in b}
    return {p.images: p.accuracy - of_b[p.images] for p in a if p.images in of_b}


def _between(fewer: float, more: float, share: float | bootstrap.Floats) -> bootstrap.Floats:
    """Images at a share of the way between two sizes, by their logarithms."""
    return np.asarray(np.exp(np.log(fewer) + share * (np.log(more) - np.log(fewer))))


def find_crossings(a: Curve, b: Curve) -> list[float]:
    """Training images at which the more accurate of two models changes, fewest first.

    Between two sizes that both were measured at, the difference is linear over log(images); where
    the models tie at measured sizes in between, the first of these is the crossing.
    """
    points = list(differences(a, b).items())
    decided = [index for index, (_, value) in enumerate(points) if value]
    crossings = []
    for left, right in pairwise(decided):
        (x0, d0), (x1, d1) = points[left], points[right]
        if d0 * d1 < 0:
            tied = points[left + 1][0] if right > left + 1 else None
            crossings.append(float(tied or _between(x0, x1, d0 / (d0 - d1))))
    return crossings


def crossing_interval(a: Curve, b: Curve) -> tuple[float, float]:
    """The 95% interval of the training images at which two curves with draws change leads first.

    In each draw of the points' accuracies, whoever leads with the fewest images on the curves as
    they are leads until a crossing, or not at all, or everywhere. Source of the method: the
    percentile bootstrap, Efron and Tibshirani (1993), chapter 13.

    Returns:
        Images; 0 where the interval begins below the fewest, infinity where it ends above the most.
    """
    found = _first_crossings(a, b)
    tail = (1 - bootstrap.CONFIDENCE) / 2
    low, high = np.quantile(found, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)


def share_of_changed_leads(a: Curve, b: Curve) -> float:
    """In how many draws of two curves that do not cross the one behind is ahead somewhere."""
    return float(np.isfinite(_first_crossings(a, b)).mean())


def _first_crossings(a: Curve, b: Curve) -> bootstrap.Floats:
    """Training images at which the lead changes in each draw, [draws]; 0 below, inf above range."""
    of_b = {point.images: point for point in b}
    shared = [(point, of_b[point.images]) for point in a if point.images in of_b]
    sign = next(np.sign(d) for d in differences(a, b).values() if d)
    ahead = sign * np.stack([one.draws - other.draws for one, other in shared])
    found = np.full(ahead.shape[1], np.inf)
    # From the most images to the fewest, so that the first crossing is what remains.
    points = zip([one.images for one, _ in shared], ahead, strict=True)
    for (x0, d0), (x1, d1) in reversed(list(pairwise(points))):
        crossing = (d0 > 0) & (d1 <= 0)
        found[crossing] = _between(x0, x1, d0[crossing] / (d0[crossing] - d1[crossing]))
    found[ahead[0] <= 0] = 0
    return found


def images_to_reach(curve: Curve, accuracy: float) -> float | None:
    """The fewest training images with which a model reaches an accuracy; None where no point does.

    Those of the first point where it is reached there already.
    """
    if curve[0].accuracy >= accuracy:
        return float(curve[0].images)
    for before, after in pairwise(curve):
        if after.accuracy >= accuracy:
            share = (accuracy - before.accuracy) / (after.accuracy - before.accuracy)
            return float(_between(before.images, after.images, share))
    return None
