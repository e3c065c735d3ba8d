"""The interval of a mean over seeds, or of a difference of two, and its p: image and seed noise.

With few seeds a bootstrap over them fails: it draws from three values as if these were all there
could be, so with 3 seeds whose noise dominates a 95% interval holds the truth in 86% of studies
(`benchmarks/coverage.py`). So the images are resampled, the seeds are not: their noise is a
variance component with few degrees of freedom, and Student's t says what these cost.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from orchestrator.stats.bootstrap import CONFIDENCE, Floats, percentile_interval

FEWEST_SEEDS = 2
"""A spread needs two values."""
PRECISION = 1e-9
"""Of a p-value."""
SMALLEST_P = 1e-6
"""That is said."""
ROUNDING = 1e-12
"""Of a metric, as a fraction or in nats."""


@dataclass(frozen=True, kw_only=True)
class SeedRuns:
    """One metric of one model, [seeds], and on resampled test images, [seeds, draws].

    The resampled images are the same in all models.
    """

    points: Floats
    draws: Floats

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return float(self.points.mean())

    @property
    def mean_draws(self) -> Floats:
        """The mean over the seeds on resampled images, [draws]."""
        return np.asarray(self.draws.mean(axis=0))

    @property
    def observed_variance(self) -> float:
        """Of the mean, as far as it comes from seeds: their sample variance over their number."""
        return float(self.points.var(ddof=1)) / len(self.points)

    @property
    def seed_variance(self) -> float:
        """The same without what the choice of images puts into it; 0 where that is all of it.

        Two seeds err on different images, so their metrics differ also by which images are in the
        test set. Resampling the images has that share in it already. Source: the expected mean
        squares of a crossed design, Searle, Casella and McCulloch (1992), Variance Components.
        """
        # How the seeds move apart when the images are resampled.
        apart = (self.draws - self.points[:, None]).var(axis=0, ddof=1).mean()
        return max(0.0, self.observed_variance - float(apart) / len(self.points))


@dataclass(frozen=True, kw_only=True)
class MeanDifference:
    """A mean over seeds, or a difference of two: what an interval of any confidence is made of.

    Attributes:
        draws: On resampled test images, [draws], ascending.
        degrees: Of freedom of the seeds' variance.
        variance: Of the seeds; 0 where nothing is known of it.
        image_margin: How far at least the images' share of an interval reaches, by confidence.
    """

    value: float
    draws: Floats
    degrees: float
    variance: float
    image_margin: Callable[[float], float] | None = None

    @classmethod
    def of(cls, a: SeedRuns, b: SeedRuns | None = None) -> "MeanDifference":
        """A mean of a, or that minus the mean of b, trained independently on the same images."""
        degrees, variance = _seed_noise([a] if b is None else [a, b])
        return cls(
            value=a.mean - (0 if b is None else b.mean),
            draws=np.sort(a.mean_draws - (0 if b is None else b.mean_draws)),
            degrees=degrees,
            variance=variance,
        )

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Its interval over images and seeds.

        The images give a percentile interval, the seeds one of Student's t, and as the two are
        independent each end moves away by both in quadrature: Zou and Donner (2008), Construction
        of confidence limits about effect measures, Statistics in Medicine 27. With one seed in a
        or b it is the interval over images alone.
        """
        low, high = percentile_interval(self.draws, min(confidence, CONFIDENCE))
        if confidence > CONFIDENCE:
            stretch = ndtri((1 + confidence) / 2) / ndtri((1 + CONFIDENCE) / 2)
            low, high = (self.value + (end - self.value) * stretch for end in (low, high))
        margin = stdtrit(self.degrees, (1 + confidence) / 2) * np.sqrt(self.variance)
        below, above = abs(self.value - low), abs(high - self.value)
        if self.image_margin is not None:
            least = self.image_margin(confidence)
            low, high = min(low, self.value - least), max(high, self.value + least)
            below, above = max(below, least), max(above, least)
        low -= np.hypot(below, margin) - below
        high += np.hypot(above, margin) - above
        # Sums in another order differ in their last digit: what is 0 but for that is 0.
        return (0.0 if abs(low) < ROUNDING else low), (0.0 if abs(high) < ROUNDING else high)

    def excludes_zero(self, confidence: float) -> bool:
        """Whether its interval lies on one side of 0."""
        low, high = self.interval(confidence)
        return low > 0 or high < 0

    def p_value(self) -> float:
        """The smallest alpha at which the (1 - alpha) interval excludes 0.

        So it is below 0.05 exactly where the 95% interval excludes 0 (with 40 draws or more).
        Beyond 95% draws are few, so their tails are taken as a normal distribution's from there on.
        """
        within, outside = SMALLEST_P, 1.0
        if self.excludes_zero(1 - within):
            return within
        alpha = max(within, 1 - CONFIDENCE)
        while outside - within > PRECISION:
            excluded = self.excludes_zero(1 - alpha)
            within, outside = (within, alpha) if excluded else (alpha, outside)
            alpha = (within + outside) / 2
        return within


def _seed_noise(models: list[SeedRuns]) -> tuple[float, float]:
    """Degrees of freedom and variance that few seeds leave to a sum or difference of means.

    The degrees are those of Welch (1947) and Satterthwaite (1946) where the models are two. The
    variance is 0 where a model has one seed, of which nothing is known.
    """
    freedom = np.array([len(each.points) - 1 for each in models])
    if not freedom.all():
        return 1.0, 0.0
    observed = np.array([each.observed_variance for each in models])
    if not observed.any():
        return 1.0, 0.0
    variance = sum(each.seed_variance for each in models)
    return float(observed.sum() ** 2 / (observed**2 / freedom).sum()), float(variance)


def noisy_means(model: SeedRuns, generator: np.random.Generator) -> Floats:
    """A model's mean over seeds as it might have come out, [draws]: other images, other seeds.

    The seeds' share is drawn from Student's t, as in an interval; none with one seed.
    """
    draws = model.mean_draws
    if len(model.points) < FEWEST_SEEDS:
        return draws
    noise = generator.standard_t(len(model.points) - 1, size=len(draws))
    return np.asarray(draws + np.sqrt(model.seed_variance) * noise)
