"""Calibration shown: is a model right as often as it says, by its expected calibration error."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from orchestrator.analysis.section import Section, percent, spread
from orchestrator.stats.bootstrap import Bools, Floats
from orchestrator.stats.predictions import PredictedRun, repeated

BINS = 15


def expected_calibration_error(
    confidences: Floats, correct: Bools, *, bins: int = BINS
) -> float | None:
    """How far confidence is from accuracy, on average over the images.

    The images are put into `bins` bins of equal width by their confidence, (0, 1/bins],
    (1/bins, 2/bins], ...; the error is the sum over the bins of (images in it / images) x
    |accuracy in it - mean confidence in it|. Source: Guo et al. (2017), On Calibration of Modern
    Neural Networks, equation 3, with their 15 bins.

    Args:
        confidences: The probability of the predicted class, fractions, [images].
        correct: Whether the predicted class is the true one, [images].
        bins: How many.

    Returns:
        A fraction; None without an image or where a confidence is no number.
    """
    if not len(confidences) or not np.isfinite(confidences).all():
        return None
    index = np.clip(np.ceil(confidences * bins).astype(np.int64) - 1, 0, bins - 1)
    # The sizes cancel: n_b / n x |hits_b / n_b - confidence_b / n_b|.
    gaps = np.bincount(index, weights=correct - confidences, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidences))


def calibration_sections(runs: Sequence[PredictedRun]) -> tuple[Section, ...]:
    """The section on calibration, for `comparison.md` and the terminal.

    Args:
        runs: The final runs, from `predictions.split_runs`.
    """
    rows, sentences = [], []
    left_out = repeated(runs)
    largest = max((run.fraction for run in runs), default=None)
    for (fraction, model), group in groupby(runs, key=lambda run: (run.fraction, run.model)):
        own = [run for run in group if run not in left_out]
        if not own:
            continue
        confidences = [run.probabilities.max(axis=1) for run in own]
        errors = [
            expected_calibration_error(sure, run.correct)
            for sure, run in zip(confidences, own, strict=True)
        ]
        sure = [float(each.mean()) for each in confidences]
        right = [float(run.correct.mean()) for run in own]
        cells = (spread(values, "accuracy") for values in (errors, sure, right))
        rows.append((" ".join(model), f"{fraction:g}", *cells))
        if None not in errors and fraction == largest:
            verdict = _verdict(float(np.mean(sure)), float(np.mean(right)))
            sentences.append(f"{' '.join(model)} at train fraction {fraction:g} {verdict}")
    return (
        Section(
            title="Calibration on the test images",
            columns=("model", "train fraction", "calibration error", "confidence", "accuracy"),
            rows=tuple(rows),
            sentences=(*_notes(runs, left_out), *sentences),
        ),
    )


def _notes(runs: Sequence[PredictedRun], left_out: Sequence[PredictedRun]) -> Iterator[str]:
    if runs:
        yield (
            f"Expected calibration error in {BINS} bins of equal width on the probability of the "
            "predicted class (Guo et al. 2017): 0% means that a model is right as often as it says."
        )
    if left_out:
        yield "Tuned models that are their family's baseline are not shown again."


def _verdict(sure: float, right: float) -> str:
    if percent(sure) == percent(right):
        return f"is on average as sure as it is right ({percent(right)})."
    word = "overconfident" if sure > right else "underconfident"
    return f"is {word}: on average {percent(sure)} sure and {percent(right)} right."
