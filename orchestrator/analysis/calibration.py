"""Calibration shown: is a model right as often as it says, by its expected calibration error."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from orchestrator.analysis.formats import number, spread, words
from orchestrator.analysis.frames import over_seeds
from orchestrator.analysis.section import Section
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


def calibration_sections(runs: Sequence[PredictedRun]) -> Iterator[Section]:
    """How sure each model is and how often right, by fraction; nothing without a final run."""
    again = repeated(runs)
    rows = []
    for run in runs:
        if run not in again:
            sure, right = run.probabilities.max(axis=1), run.correct
            error = expected_calibration_error(sure, right)
            rows.append((run.fraction, *run.model, error, float(sure.mean()), float(right.mean())))
    if not rows:
        return
    by, shown = ["train_fraction", "family", "role"], ("error", "confidence", "accuracy")
    table = over_seeds(pd.DataFrame(rows, columns=[*by, *shown]), by, shown)
    yield Section(
        key="classes/calibration",
        title="Calibration on the test images",
        table=table.sort_values("train_fraction", ascending=False, kind="stable"),
        formats={
            "model": words("family", "role"),
            "train fraction": number("train_fraction", "g"),
            "calibration error": spread("error", "accuracy"),
            **{name: spread(name, "accuracy") for name in shown[1:]},
        },
        notes=(
            f"Expected calibration error in {BINS} bins of equal width on the probability of the "
            "predicted class (Guo et al. 2017): 0% means that a model is right as often as it "
            "says; confident above its accuracy, it is overconfident. A winner that is its "
            "family's baseline stands once.",
        ),
    )
