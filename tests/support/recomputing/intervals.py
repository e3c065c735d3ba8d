"""The 95% intervals of docs/STATISTICS.md, in plain NumPy: the same draws, other arithmetic."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.stats import norm, t

LEVEL = 0.95
METRICS = ("accuracy", "precision", "recall", "loss")
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
        """Each metric of a run on each draw, [draws]: the mean of what each image adds to it."""
        probabilities = np.stack(run.probabilities.to_numpy()).astype(float)
        labels, predicted = run.label.to_numpy(), run.predicted.to_numpy()
        right, classes = (labels == predicted).astype(float), probabilities.shape[1]
        of_image = {
            "accuracy": right,
            "precision": influence(right, predicted, classes),
            "recall": influence(right, labels, classes),
            "loss": -np.log(np.maximum(probabilities[np.arange(len(run)), labels], SMALLEST)),
        }
        return {metric: own[self.drawn].mean(axis=0) for metric, own in of_image.items()}


def influence(right: np.ndarray, counts_for: np.ndarray, classes: int) -> np.ndarray:
    """What each image adds to a mean over classes of the share that is right, [images].

    Those of a class with one image are held against all images, the less so the more classes have
    one image or none.
    """
    own = pd.DataFrame({"right": right, "of": counts_for}).groupby("of").right
    size, share = own.transform("size").to_numpy(), own.transform("mean").to_numpy()
    few = 1 - (own.size() > 1).sum() / classes
    within = (right - share) * np.sqrt(size / np.maximum(1, size - 1))
    alone = right - (1 - np.sqrt(few)) * right.mean()
    apart = np.where(size > 1, within, alone) * len(right) / classes / size
    return own.mean().sum() / classes + apart - apart.mean()


class Seeds:
    """A metric of one model: its value for each seed, and on each draw of images.

    Of accuracy also where each seed's network is right, [seeds, images].
    """

    def __init__(
        self, points: pd.Series, draws: Sequence[np.ndarray], right: np.ndarray | None = None
    ) -> None:
        self.seeds, self.points, self.draws = points.index, points.to_numpy(), np.stack(draws)
        self.right = right

    def of(self, seed: int) -> "Seeds":
        """The same of one seed."""
        own = self.seeds == seed
        right = None if self.right is None else self.right[own]
        return Seeds(pd.Series(self.points[own], self.seeds[own]), self.draws[own], right)

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


def interval(a: Seeds, b: Seeds | None = None, level: float = LEVEL) -> tuple[float, float]:
    """Of the mean of a, or of that minus the mean of b; beyond 95% with tails of a normal one."""
    models = [a] if b is None else [a, b]
    draws = a.mean_draws - (0 if b is None else b.mean_draws)
    centre = a.points.mean() - (0 if b is None else b.points.mean())
    low, high = np.quantile(draws, (1 + min(level, LEVEL) * np.array([-1, 1])) / 2)
    if b is not None and np.array_equal(a.draws, b.draws):  # the same runs under two names
        return low, high
    stretch = norm.ppf((1 + level) / 2) / norm.ppf((1 + LEVEL) / 2) if level > LEVEL else 1
    below, above, margin = abs(centre - low) * stretch, abs(high - centre) * stretch, 0.0
    if b is not None and a.right is not None and b.right is not None:
        least = unseen(a.right.mean(axis=0) - b.right.mean(axis=0), level)
        below, above = max(below, least), max(above, least)
    low, high = centre - below, centre + above
    if all(len(model.points) > 1 for model in models):
        observed = sum(model.observed for model in models)
        if observed:
            squares = sum(model.observed**2 / (len(model.points) - 1) for model in models)
            quantile = t.ppf((1 + level) / 2, observed**2 / squares)
            margin = quantile * np.sqrt(sum(model.of_training for model in models))
    return low + below - np.hypot(below, margin), high - above + np.hypot(above, margin)


def unseen(apart: np.ndarray, level: float) -> float:
    """Half an interval of a mean over images at least, after squared quantile images are added."""
    images = len(apart)
    quantile = t.ppf((1 + level) / 2, images - 1)
    return quantile * np.sqrt(images * apart.var(ddof=1) + quantile**2) / images


def p_of_means(a: Seeds, b: Seeds) -> float:
    """The smallest alpha whose interval of a - b excludes 0; none below 1e-6."""

    def excludes_0(alpha: float) -> bool:
        low, high = interval(a, b, 1 - alpha)
        return max(low, -high) > 1e-12

    without, above = 1e-6, 1.0
    while above - without > 1e-10 and not excludes_0(without):
        middle = (without + above) / 2
        without, above = (without, middle) if excludes_0(middle) else (middle, above)
    return without
