"""What an interval will be able to see: its half width and its power, by seeds and test images.

The interval is that of a comparison (`claims.cautious_difference`), of the difference in accuracy
of two models' means over seeds. Its parts are measured in a study that has two seeds or more, or
assumed; then studies to come are drawn by what the interval is made of (means and sample variances,
no images), so that what few seeds cost is in it: Student's t is wide with them, and its width
itself a matter of luck. What is measured is taken for the truth: `benchmarks/power.py` says what
that costs.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from scipy.special import stdtrit

from orchestrator.stats.bootstrap import CONFIDENCE, SEED, Bools, Floats
from orchestrator.stats.intervals import FEWEST_SEEDS

SEED_NOISE: Final = 0.006
"""Assumed standard deviation of a model's accuracy between trainings where none was measured: that
of the own baselines in the README, on CIFAR-10 (root mean square of three families, two seeds
each)."""
TYPICAL_DIFFERENCE: Final = 0.045
"""Of two families' accuracies, assumed: as many differ by less as by more, and some by far more (a
Cauchy distribution), so that what is found large beside the noise is taken as it is."""
POWER: Final = 0.8
"""The chance at which a difference counts as one that a study can see."""
MOST_SEEDS: Final = 50
MOST_IMAGES: Final = 10_000_000
ROUNDS: Final = 10
"""After which the smallest difference and the noise that it brings agree to a hundredth."""
FUTURES: Final = 4000
"""Studies to come that are drawn; a chance of 80% has a standard error of 0.6 points then."""

Pair = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What the difference in accuracy of two models is uncertain by; all variances of fractions.

    Attributes:
        images: Of one image's difference, right in a minus right in b, over all trainings.
        residual: Of a training's hit or miss on one image beside that, in a and b.
        trainings: Of a training's accuracy on `tested` images, in a and b; includes residual.
        tested: Test images that `trainings` was seen on.
        seeds: Trainings that each was seen in; None where it is assumed.
    """

    images: float
    residual: Pair
    trainings: Pair
    tested: int
    seeds: tuple[int, int] | None = None

    @property
    def own(self) -> Floats:
        """Of a training's accuracy on all images there could be, in a and b."""
        return np.maximum(0, np.array(self.trainings) - np.array(self.residual) / self.tested)

    @property
    def seed_noise(self) -> float:
        """The standard deviation of that, in the mean of the two."""
        return float(np.sqrt(self.own.mean()))


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What is to be expected of a study.

    Attributes:
        half_width: Of its 95% interval, a fraction; it is as likely to be narrower as wider.
        power: The chance that the interval, of 95% or the confidence asked for, excludes 0.
        smallest: The difference that it would exclude 0 for with a chance of 80%, a fraction.
    """

    half_width: float
    power: float
    smallest: float


def assumed(*, disagreement: float, seed_noise: float) -> Noise:
    """The noise of two models of which nothing is known yet.

    By the share of the images that one of the two alone is right on, and the standard deviation
    of a training's accuracy, a fraction.
    """
    variance = seed_noise**2
    return Noise(images=disagreement, residual=(0.0, 0.0), trainings=(variance, variance), tested=1)


def measure(a: Bools, b: Bools) -> Noise:
    """The noise of two models by whether their trainings are right, each [seeds, same images].

    Raises:
        ValueError: One has a single training, of whose noise nothing is known.
    """
    if min(len(a), len(b)) < FEWEST_SEEDS:
        raise ValueError(
            f"training noise needs {FEWEST_SEEDS} seeds, but got {len(a)} and {len(b)}"
        )
    hits = [each.astype(np.float64) for each in (a, b)]
    residual_a, residual_b = (
        float((each - each.mean(axis=1)[:, None]).var(axis=0, ddof=1).mean()) for each in hits
    )
    training_a, training_b = (float(each.mean(axis=1).var(ddof=1)) for each in hits)
    apart = (hits[0].mean(axis=0) - hits[1].mean(axis=0)).var(ddof=1)
    return Noise(
        images=max(0.0, float(apart) - residual_a / len(a) - residual_b / len(b)),
        residual=(residual_a, residual_b),
        trainings=(training_a, training_b),
        tested=a.shape[1],
        seeds=(len(a), len(b)),
    )


def outlook(
    noise: Noise,
    *,
    seeds: int,
    images: int,
    difference: float = 0.0,
    confidence: float = CONFIDENCE,
) -> Outlook:
    """What to expect of a new study, of other trainings on other images.

    With one seed it is the interval of these trained networks, over images alone. Models that
    hardly differ in what was measured differ more where one is better by the smallest difference.

    Args:
        noise: Of the two models.
        seeds: Trainings of each.
        images: Test images.
        difference: In accuracy in truth, a fraction.
        confidence: Of the interval that is to exclude 0; above 95% to correct for several pairs.
    """
    simulated = partial(
        _outlook, seeds=seeds, images=images, difference=difference, confidence=confidence
    )
    seen = simulated(noise)
    smallest = seen.smallest
    for _ in range(ROUNDS):
        # Of the images on which one alone is right, as few as there can be.
        variance = smallest * (1 - smallest) - sum(noise.residual) / seeds
        if variance <= noise.images:
            break
        smallest = simulated(replace(noise, images=variance)).smallest
    return replace(seen, smallest=smallest)


def _outlook(
    noise: Noise, *, seeds: int, images: int, difference: float, confidence: float
) -> Outlook:
    """The same with this noise, whatever the difference."""
    generator = np.random.default_rng(SEED)
    counts = (seeds, seeds)
    of_images = np.sqrt(_image_variance(noise, counts, images))
    errors = of_images * generator.standard_normal(FUTURES)
    observed = np.zeros((2, FUTURES))
    for model, own in enumerate(noise.own):
        if seeds >= FEWEST_SEEDS:
            errors += np.sqrt(own / seeds) * generator.standard_normal(FUTURES)
            spread = generator.chisquare(seeds - 1, FUTURES) / (seeds - 1)
            observed[model] = (own + noise.residual[model] / images) * spread
    return _expected(
        noise, counts, images, observed, difference=difference, errors=errors, confidence=confidence
    )


def extended(
    noise: Noise, *, seeds: int, difference: float, confidence: float = CONFIDENCE
) -> Outlook:
    """What to expect of the measured study itself once it has more seeds, on the same images.

    Its trainings and images stay. What it would find with no end of seeds is a matter of chance:
    the smaller the noise, the nearer to the difference that was found, a fraction, and else the
    nearer to none, since large differences are rarer than small ones (`TYPICAL_DIFFERENCE`).
    """
    assert noise.seeds is not None
    generator = np.random.default_rng(SEED)
    counts = (max(seeds, noise.seeds[0]), max(seeds, noise.seeds[1]))
    drift, errors, observed = np.zeros(FUTURES), np.zeros(FUTURES), np.zeros((2, FUTURES))
    for model, variance in enumerate(noise.trainings):
        now, then = noise.seeds[model], counts[model]
        squares = np.full(FUTURES, (now - 1) * noise.trainings[model])
        # How far the mean of all trainings there could be lies from that of the old ones.
        off = np.sqrt(variance / now) * generator.standard_normal(FUTURES)
        drift += off
        new = then - now
        if new:
            gap = off + np.sqrt(variance / new) * generator.standard_normal(FUTURES)
            errors += gap * new / then
            squares += gap**2 * new * now / then
        if new > 1:
            squares += variance * generator.chisquare(new - 1, FUTURES)
        observed[model] = squares / (then - 1)
    likely = 1 / (1 + ((difference + drift) / TYPICAL_DIFFERENCE) ** 2)
    asked = {"difference": difference, "confidence": confidence}
    return _expected(noise, counts, noise.tested, observed, errors=errors, likely=likely, **asked)


def fewest_seeds(noise: Noise, *, difference: float, confidence: float = CONFIDENCE) -> int | None:
    """The fewest trainings of each model with which the measured study has a chance of 80%.

    As many as now or more; None where 50 do not do.
    """
    assert noise.seeds is not None
    more = {"difference": difference, "confidence": confidence}
    return _fewest(lambda seeds: extended(noise, seeds=seeds, **more), max(noise.seeds), MOST_SEEDS)


def fewest_images(
    noise: Noise, *, seeds: int, difference: float, confidence: float = CONFIDENCE
) -> int | None:
    """The fewest test images with which a new study has a chance of 80%, to two digits.

    None where ten million do not do, since the noise of the seeds stays.
    """
    more = {"difference": difference, "confidence": confidence}
    found = _fewest(
        lambda images: _outlook(noise, seeds=seeds, images=images, **more), 1, MOST_IMAGES
    )
    if found is None:
        return None
    step = int(10 ** max(0, len(str(found)) - 2))
    return -(-found // step) * step


def _fewest(seen: Callable[[int], Outlook], low: int, high: int) -> int | None:
    """The smallest number that does, where each larger one does too; None if the highest fails."""

    def does(number: int) -> bool:
        return seen(number).power >= POWER

    if low > high or not does(high):
        return None
    return low + bisect_left(range(low, high), True, key=does)


def _image_variance(noise: Noise, seeds: tuple[int, int], images: int) -> float:
    """Of a difference of means over seeds, as far as the choice of images makes it."""
    residual = sum(own / count for own, count in zip(noise.residual, seeds, strict=True))
    return (noise.images + residual) / images


def _expected(
    noise: Noise,
    seeds: tuple[int, int],
    images: int,
    observed: Floats,
    *,
    difference: float,
    errors: Floats,
    confidence: float,
    likely: Floats | None = None,
) -> Outlook:
    """What a comparison's intervals show where what is found is off by errors.

    `observed` is the sample variance of the trainings' accuracies, [models, futures]; the errors,
    [futures], are as likely as said beside each other, else all alike.
    """
    counts = np.array(seeds, dtype=np.float64)[:, None]
    of_images = np.sqrt(_image_variance(noise, seeds, images))
    degrees, variance = np.ones(FUTURES), np.zeros(FUTURES)
    if min(seeds) >= FEWEST_SEEDS:
        of_means = observed / counts
        residual = np.array(noise.residual)[:, None] / images / counts
        variance = np.maximum(0, of_means - residual).sum(axis=0)
        squares = (of_means**2 / (counts - 1)).sum(axis=0)
        # Where none of the seeds differ, there is nothing to add.
        np.divide(of_means.sum(axis=0) ** 2, squares, out=degrees, where=squares > 0)

    def half_width(confidence: float) -> Floats:
        tail = (1 + confidence) / 2
        margin = stdtrit(degrees, tail) * np.sqrt(variance)
        # With what few images do not show, see `stats.claims`.
        quantile = stdtrit(max(images - 1, 1), tail)
        return np.asarray(np.hypot(quantile * np.hypot(of_images, quantile / images), margin))

    half = half_width(confidence)
    return Outlook(
        half_width=min(1.0, float(np.median(half_width(CONFIDENCE)))),
        power=float(np.average(np.abs(difference + errors) > half, weights=likely)),
        smallest=float(np.quantile(half - errors, POWER)),
    )
