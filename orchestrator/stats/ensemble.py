"""The tuned trainings of a family as one model: the mean of what they say of each test image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from orchestrator.stats.bootstrap import CONFIDENCE, Bools, Floats
from orchestrator.stats.intervals import FEWEST_SEEDS
from orchestrator.stats.predictions import PredictedRun, tuned_runs

DEVIATIONS = float(ndtri((1 + CONFIDENCE) / 2))
"""Standard deviations on either side, of a normal distribution."""


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """A family's winner, its seeds' probabilities averaged.

    Attributes:
        correct: Whether the ensemble is right on each test image, [images].
        single: Whether each of its trainings is, [seeds, images].
    """

    family: str
    correct: Bools
    single: Bools

    @property
    def accuracy(self) -> float:
        """A fraction."""
        return float(self.correct.mean())

    @property
    def gain(self) -> Floats:
        """On each image what it is right minus the share of its trainings that are, [images]."""
        return np.asarray(self.correct - self.single.mean(axis=0))


def share_interval(hits: Bools) -> tuple[float, float]:
    """The interval of an accuracy over other test images, fractions, by its hits, [images].

    Source: Wilson (1927), Probable Inference, the Law of Succession, and Statistical Inference.
    Near 100% of few images a bootstrap has too little to draw from.
    """
    images, share = len(hits), float(hits.mean())
    centre = (share + DEVIATIONS**2 / images / 2) / (1 + DEVIATIONS**2 / images)
    spread = share * (1 - share) / images + (DEVIATIONS / images / 2) ** 2
    margin = DEVIATIONS * spread**0.5 / (1 + DEVIATIONS**2 / images)
    return max(0.0, centre - margin), min(1.0, centre + margin)


def gain_interval(gains: Floats) -> tuple[float, float]:
    """The interval of a mean gain over other test images, by their gains, -1 to 1, [images].

    That of a normal distribution, after two images are added of which half a one gained 1 and half
    a one lost 1: Agresti and Min (2005), Simple improved confidence intervals for comparing matched
    proportions, Statistics in Medicine 24. So of models that agree on all images it is not said
    that they do on all others.
    """
    images = len(gains) + 2
    mean = float(gains.sum()) / images
    variance = (float((gains**2).sum()) + 1) / images - mean**2
    margin = DEVIATIONS * (variance / images) ** 0.5
    return mean - margin, mean + margin


def ensembles(runs: Sequence[PredictedRun]) -> list[Ensemble]:
    """One for each family whose winner was trained with two seeds or more at the largest share."""
    return [
        Ensemble(
            family=family,
            correct=np.mean([run.probabilities for run in own], axis=0).argmax(axis=1)
            == own[0].labels,
            single=np.stack([run.correct for run in own]),
        )
        for family, own in tuned_runs(runs).items()
        if len(own) >= FEWEST_SEEDS
    ]
