"""What is claimed of two models, tested: one is better, or not worse than the other by a margin.

What few images do not show no resampling can: two models that agree on 50 images would have the
interval [0, 0]. So two trained networks are compared by McNemar's exact test. All other claims
have the interval of the means, which is a comparison's interval of accuracy too. Its share from
the images reaches at least as far as Student's t does after as many images are added as the
quantile squared, half of which one model alone is right on and half the other: what Agresti and
Coull (1998) do for one share and Agresti and Min (2005) for a difference of two. Of images that
belong together the sums of the groups take the place of the images: Cameron and Miller (2015), A
Practitioner's Guide to Cluster-Robust Inference; a group that is added tells the models apart by
as many images as those do that were seen to, or, where none was, by all of its images.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import betainc, stdtrit

from orchestrator.stats.bootstrap import CONFIDENCE, Bools, Floats, Integers, sums_of_groups
from orchestrator.stats.intervals import MeanDifference, SeedRuns

SMALLEST_P = 1e-12
"""That is said."""
STEPS = 32
"""Halvings between it and 1."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """The accuracy of one of two models, and whether each training is right, [seeds, images]."""

    runs: SeedRuns
    hits: Bools


def claim_p_value(
    candidate: Side, baseline: Side, *, margin: float = 0.0, groups: Integers | None = None
) -> float:
    """How certain it is that a candidate's accuracy lies above a baseline's minus the margin.

    The smallest alpha whose (1 - alpha) interval lies above it, so that a claim with p below 0.05
    has an interval of 95% above it, and a false one is made in 2.5% (as ICH E9 asks of trials of
    non-inferiority). Without a margin and of one training each it is McNemar's exact p.

    Args:
        candidate: Of which something is claimed.
        baseline: On the same images.
        margin: A fraction; with 0 it is claimed that the candidate is better.
        groups: Which images belong together, from 0, [images].
    """
    if not margin and len(candidate.hits) == len(baseline.hits) == 1 and groups is None:
        (a,), (b,) = candidate.hits, baseline.hits
        return mcnemar_p_value(a, b) if a.sum() > b.sum() else 1.0
    difference = cautious_difference(candidate, baseline, groups)
    return _smallest_alpha(lambda confidence: difference.interval(confidence)[0] > -margin)


def difference_p_value(a: Side, b: Side, *, groups: Integers | None = None) -> float:
    """How certain it is that two accuracies differ, whichever way; see `claim_p_value`."""
    if len(a.hits) == len(b.hits) == 1 and groups is None:
        return mcnemar_p_value(a.hits[0], b.hits[0])
    return _smallest_alpha(cautious_difference(a, b, groups).excludes_zero)


def claim_interval(
    a: Side, b: Side, *, groups: Integers | None = None, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """The interval of a minus b on which claims rest, fractions, within -1 and 1."""
    low, high = cautious_difference(a, b, groups).interval(confidence)
    return max(low, -1.0), min(high, 1.0)


def cautious_difference(a: Side, b: Side, groups: Integers | None) -> MeanDifference:
    """The difference of two means whose interval says no more than its images can."""
    difference = MeanDifference.of(a.runs, b.runs)
    if a.hits.shape == b.hits.shape and np.array_equal(a.hits, b.hits):
        difference = replace(difference, variance=0.0)  # the same trainings have the same luck
    of_image = a.hits.mean(axis=0) - b.hits.mean(axis=0)
    return replace(difference, image_margin=_image_margin(of_image, groups))


def _image_margin(of_image: Floats, groups: Integers | None) -> Callable[[float], float]:
    """Confidence to how far the images' share of an interval reaches at least.

    It is made of the difference on each image, -1 to 1, [images].
    """
    images, apart = len(of_image), of_image - of_image.mean()
    size = 1.0
    if groups is not None:
        apart, sums = sums_of_groups(np.stack([apart, of_image]), groups)
        seen = sums[sums != 0]
        size = float(np.mean((seen if len(seen) else np.bincount(groups)) ** 2))
    units = len(apart)
    if units == 1:  # of which nothing is known: further than any difference
        return lambda _: 2.0
    squares = float((apart**2).sum()) * units / (units - 1)

    def reach(confidence: float) -> float:
        quantile = float(stdtrit(units - 1, (1 + confidence) / 2))
        return quantile * math.sqrt(squares + quantile**2 * size) / images

    return reach


def _smallest_alpha(holds: Callable[[float], bool]) -> float:
    """The smallest alpha at which a statement holds at a confidence of 1 - alpha."""
    within, outside = math.log(SMALLEST_P), 0.0
    if holds(1 - SMALLEST_P):
        return SMALLEST_P
    for _ in range(STEPS):
        middle = (within + outside) / 2
        within, outside = (within, middle) if holds(1 - math.exp(middle)) else (middle, outside)
    return math.exp(outside)


def mcnemar_p_value(correct_a: Bools, correct_b: Bools) -> float:
    """The exact two-sided McNemar test: do a and b err equally often on the same images?

    By whether each is right, [images]; 1.0 where no image tells the two apart. Source: McNemar
    (1947), in its exact binomial form on the discordant images.
    """
    only_a = int(np.count_nonzero(correct_a & ~correct_b))
    only_b = int(np.count_nonzero(correct_b & ~correct_a))
    if only_a + only_b == 0:
        return 1.0
    fewer, more = sorted((only_a, only_b))
    # Of n fair coins: twice the chance of at most `fewer` heads.
    return min(1.0, 2 * float(betainc(more, fewer + 1, 0.5)))


def holm(p_values: Sequence[float]) -> Floats:
    """P-values of one family of tests adjusted by Holm (1979), in their order, [tests]."""
    ascending = np.argsort(p_values)
    raised = np.asarray(p_values, dtype=np.float64)[ascending] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[ascending] = np.minimum(np.maximum.accumulate(raised), 1)
    return adjusted
