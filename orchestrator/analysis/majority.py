"""Who is no better than saying the largest class each time."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from orchestrator.analysis.section import Row, Section, grouped, percent
from orchestrator.results.study_record import StudyRecord
from orchestrator.stats.predictions import PredictedRun

UNEVEN: Final = 1.5
"""Times its even share that the largest class has of the test images, from which on accuracy is
said to be that of the large ones."""


def majority_sections(study: StudyRecord, runs: Sequence[PredictedRun]) -> Iterator[Section]:
    """A warning, where there is such a model.

    Args:
        study: `study.json`, with the names of the classes in its `dataset`.
        runs: From `predictions.split_runs`.
    """
    if not runs:
        return
    counts = np.bincount(runs[0].labels)
    largest, classes = int(counts.argmax()), runs[0].probabilities.shape[1]
    share = counts[largest] / counts.sum()
    known = study.dataset.classes
    name = known[largest] if largest < len(known) else str(largest)
    fraction = max(run.fraction for run in runs)
    rows: list[Row] = [{"model": run.model, "run": run} for run in runs if run.fraction == fraction]
    weak = [
        " ".join(model)
        for (model,), own in grouped(rows, "model")
        if np.mean([each["run"].correct.mean() for each in own]) <= share
    ]
    more = ""
    if share * classes >= UNEVEN:
        more = " Recall, or `--set objective=balanced_accuracy`, counts each class alike."
    if weak:
        yield Section(
            key="warnings/majority",
            title="No better than the largest class",
            notes=(
                f"Who always says {name!r} is right on {percent(float(share))} of the test images; "
                f"no more than that is {', '.join(weak)}.{more}",
            ),
        )
