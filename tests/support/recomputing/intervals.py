"""The 95% intervals of docs/STATISTICS.md, in plain NumPy: the same draws, other arithmetic."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.stats import t

METRICS = ("accuracy", "precision", "recall", "loss")
ENDS = (0.025, 0.975)
SMALLEST = np.nextafter(np.float32(0), np.float32(1)).astype(float)


class Resampled:
    """One set of resampled test images, and the metrics of any run on each of them."""

    def __init__(self, images: int, draws: int) -> None:
        generator = np.random.default_rng(0)
        at_once = max(1, 2_000_000 // images)
        sizes = [min(at_once, draws - start) for start in range(0, draws, at_once)]
        parts = [generator.integers(images, size=(images, size)) for size in sizes]
        self.drawn = np.concatenate(parts, axis=1)

    def metrics(self, run: pd.DataFrame) -> dict[str, np.ndarray]:
        """Each metric of a run on each draw, [draws]."""
        probabilities = np.stack(run.probabilities.to_numpy()).astype(float)
        classes, draws = probabilities.shape[1], self.drawn.shape[1]
        labels, predicted = run.label.to_numpy(), run.predicted.to_numpy()
        losses = -np.log(np.maximum(probabilities[np.arange(len(run)), labels], SMALLEST))
        cell = (labels * classes + predicted).astype(np.int64)
        counts = np.stack(
            [np.bincount(cell[self.drawn[:, i]], minlength=classes**2) for i in range(draws)]
        ).reshape(draws, classes, classes)
        hits = np.diagonal(counts, axis1=1, axis2=2)
        with np.errstate(invalid="ignore"):
            precision = np.nan_to_num(hits / counts.sum(axis=1)).mean(axis=1)
            recall = np.nan_to_num(hits / counts.sum(axis=2)).mean(axis=1)
        return {
            "accuracy": (labels == predicted)[self.drawn].mean(axis=0),
            "precision": precision,
            "recall": recall,
            "loss": losses[self.drawn].mean(axis=0),
        }


class Seeds:
    """A metric of one model: its value for each seed, and on each draw of images."""

    def __init__(self, points: Sequence[float], draws: Sequence[np.ndarray]) -> None:
        self.points, self.draws = np.array(points, dtype=float), np.stack(draws)

    @cached_property
    def mean_draws(self) -> np.ndarray:
        """The mean over the seeds on each draw, [draws]."""
        return self.draws.mean(axis=0)

    @cached_property
    def observed(self) -> float:
        """The variance of the mean, as the seeds show it."""
        return self.points.var(ddof=1) / len(self.points)

    @cached_property
    def of_training(self) -> float:
        """That without what the choice of images puts into it."""
        apart = self.draws - self.points[:, None]
        of_images = apart.var(axis=0, ddof=1).mean() / len(self.points)
        return max(0.0, self.observed - of_images)

    def noisy(self, generator: np.random.Generator) -> np.ndarray:
        """The mean as it might have come out with other images and other seeds, [draws]."""
        if len(self.points) == 1:
            return self.mean_draws
        errors = generator.standard_t(len(self.points) - 1, len(self.mean_draws))
        return self.mean_draws + errors * np.sqrt(self.of_training)


def interval(a: Seeds, b: Seeds | None = None) -> tuple[float, float]:
    """Of the mean of a, or of that minus the mean of b."""
    models = [a] if b is None else [a, b]
    draws = a.mean_draws - (0 if b is None else b.mean_draws)
    low, high = np.quantile(draws, ENDS)
    if b is not None and np.array_equal(a.draws, b.draws):  # the same runs under two names
        return low, high
    centre = a.points.mean() - (0 if b is None else b.points.mean())
    margin = 0.0
    if all(len(model.points) > 1 for model in models):
        observed = sum(model.observed for model in models)
        if observed:
            squares = sum(model.observed**2 / (len(model.points) - 1) for model in models)
            quantile = t.ppf(ENDS[1], observed**2 / squares)
            margin = quantile * np.sqrt(sum(model.of_training for model in models))
    below, above = abs(centre - low), abs(high - centre)
    return low + below - np.hypot(below, margin), high - above + np.hypot(above, margin)
