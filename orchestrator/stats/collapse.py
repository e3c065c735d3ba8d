"""Trainings that collapsed: far below the other seeds of their model, on the way to chance.

The intervals of means take training noise for normal. A model that now and then fails to train
breaks them, see docs/STATISTICS.md: most studies of few seeds show no such training at all, so all
that can be done is to name it where the seeds show it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.stats.bootstrap import Bools, Floats
from orchestrator.stats.predictions import PredictedRun, largest_share, repeated

FEWEST_OTHERS = 2
"""That agree with each other, so that one seed can stand out."""
LOST = 0.5
"""Share of what the others have above chance that a collapsed training has lost, or more."""
TIMES_APART = 5
"""Ranges of the other seeds between their median and a collapsed training, or more."""
STANDARD_ERRORS = 4
"""Of the test images between the two, or more."""


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """A training that collapsed: its accuracy, and the median of the seeds that did not."""

    run: PredictedRun
    accuracy: float
    others: float


def find_collapses(runs: Sequence[PredictedRun]) -> Iterator[Collapse]:
    """The final runs of a study whose accuracy says that their training collapsed.

    A collapsed run has lost half of what the other seeds have above chance (above what naming the
    most frequent class gives), and lies from their median five times as far as they lie apart, and
    four standard errors of the test images. Most seeds of the model must not have collapsed, and
    two or more. Where the noise of the seeds is normal, with a standard deviation of up to 15% of
    what is above chance, a study of six models with 3 or 5 seeds has a false alarm in under 2%
    (`benchmarks/false_alarms.py`). A winner that is its baseline is named as baseline.
    """
    twice = repeated(runs)
    models: dict[tuple[float, str, str], list[PredictedRun]] = {}
    for run in runs:
        if run not in twice:
            models.setdefault((run.fraction, *run.model), []).append(run)
    for own in models.values():
        labels = own[0].labels
        accuracies = np.array([run.correct.mean() for run in own])
        found = collapsed(accuracies, chance=largest_share(labels), images=len(labels))
        for number in np.flatnonzero(found):
            others = float(np.median(accuracies[~found]))
            yield Collapse(run=own[number], accuracy=float(accuracies[number]), others=others)


def collapsed(accuracies: Floats, *, chance: float, images: int) -> Bools:
    """Whether each training of one model collapsed, [seeds]; see `find_collapses`.

    Of fractions of the test images that each is right on, [seeds], and by chance.
    """
    low = accuracies < chance + (1 - LOST) * (np.median(accuracies) - chance)
    others = accuracies[~low]
    if len(others) < max(FEWEST_OTHERS, low.sum() + 1):
        return np.zeros_like(low)
    middle = np.median(others)
    error = np.sqrt((accuracies * (1 - accuracies) + middle * (1 - middle)) / images)
    apart = np.maximum(TIMES_APART * np.ptp(others), STANDARD_ERRORS * error)
    return np.asarray(low & (middle - accuracies > apart))
