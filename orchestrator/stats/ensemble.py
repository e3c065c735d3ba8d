"""The tuned trainings of a family as one model: the mean of what they say of each test image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.stats.bootstrap import Bools, Floats, accuracy_draws, percentile_interval
from orchestrator.stats.intervals import FEWEST_SEEDS
from orchestrator.stats.predictions import PredictedRun, tuned_runs


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """A family's winner, its seeds' probabilities averaged.

    Attributes:
        family: The family's name.
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

    def intervals(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Over other test images: of the accuracy, and of it minus the mean of the trainings' own.

        Both are of these trainings: what others of the same family would give is not in them.
        """
        ensemble, *single = accuracy_draws(np.vstack([self.correct, self.single]))
        difference = ensemble - np.mean(single, axis=0)
        return percentile_interval(ensemble), percentile_interval(difference)


def ensembles(runs: Sequence[PredictedRun]) -> list[Ensemble]:
    """One for each family whose winner was trained with two seeds or more at the largest share.

    Args:
        runs: From `predictions.split_runs`.
    """
    return [
        Ensemble(
            family=family,
            correct=averaged(own).argmax(axis=1) == own[0].labels,
            single=np.stack([run.correct for run in own]),
        )
        for family, own in tuned_runs(runs).items()
        if len(own) >= FEWEST_SEEDS
    ]


def averaged(runs: Sequence[PredictedRun]) -> Floats:
    """The mean of what trainings say of the same images, fractions, [images, classes]."""
    return np.asarray(np.mean([run.probabilities for run in runs], axis=0))
