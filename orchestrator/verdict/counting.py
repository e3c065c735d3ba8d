"""Classes that are counted from 0 in one column and from 1 in another."""

from collections.abc import Iterator, Sequence

import numpy as np

from orchestrator.verdict.said import Said


def counted_otherwise(found: Sequence[Said]) -> Iterator[str]:
    """Trainings whose labels and predictions begin at other numbers, and agree once they do not."""
    for said in found:
        if said.labels is None or said.predicted is None:
            continue
        if not all(each.isdecimal() for each in (*said.labels, *said.predicted)):
            continue
        labels, predicted = (np.array([*map(int, each)]) for each in (said.labels, said.predicted))
        by = int(labels.min() - predicted.min())
        shifted, agree = (int(np.sum(predicted + each == labels)) for each in (by, 0))
        begin = {int(labels.min()), int(predicted.min())} == {0, 1}
        end = predicted.max() + by <= labels.max() != predicted.max()
        if begin and end and shifted > agree:
            yield (
                f"{said}: labels and predictions must count classes from the same number, but "
                f"labels are {labels.min()} to {labels.max()} and predictions {predicted.min()} to "
                f"{predicted.max()} (they agree on {agree:,} of {len(labels):,} images, on "
                f"{shifted:,} were both counted alike)"
            )
