"""What a trainer answers, checked before a study rests on it: a trainer may be anybody's."""

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from trainables.data.dataset import LabeledImages
from trainables.epoch_rows import HIGHEST, ROUNDING
from trainables.trainers import COUNTS, SIZES, TestEvaluation, Trainer

NOTES: Final = frozenset({"graph_fell_back", "images_fed"})
"""What the row of an epoch may tell beside its columns, a sentence each."""
LATER: Final = frozenset({"validation_f1"})
"""Columns that a trainer of an earlier version does not have."""
NOT_NEGATIVE: Final = ("learning_rate", "epoch_seconds", "images_per_second")
MEMORY: Final = "device_memory_peak_bytes"
TESTED: Final[Mapping[str, float]] = {
    "test_loss": math.inf,
    **dict.fromkeys(("test_accuracy", "test_precision", "test_recall"), 1.0),
    **dict.fromkeys(("test_precision_micro_at_half", "test_recall_micro_at_half"), 1.0),
}
"""The columns of a test, and the highest that each can be."""
SUM_TOLERANCE: Final = 1e-4


class Tested(NamedTuple):
    """What a trainer says of the test part.

    Attributes:
        metrics: The `test_*` columns of `final.parquet`.
        probabilities: float32, shape [images, classes].
        classes_never_predicted: How many classes no image was assigned to.
    """

    metrics: dict[str, float]
    probabilities: npt.NDArray[np.float32]
    classes_never_predicted: int


def epoch_row(row: object) -> dict[str, Any]:
    """An epoch's columns, and no others, in the types of the tables.

    What is measured may be out of its range: then the trial has diverged.

    Raises:
        ValueError: It is no row, or columns are missing or have no such value: all of them.
    """
    if not isinstance(row, Mapping):
        raise ValueError(f"a trainer's epoch must be columns by name, but is {_shown(row)}")
    measured = [name for name in HIGHEST if name in row or name not in LATER]
    faults = [*_faults(row, "epoch", kind=Integral)]
    for name in measured:
        faults += _faults(row, name, lowest=None)
    for name in NOT_NEGATIVE:
        faults += _faults(row, name)
    faults += _faults({MEMORY: 0, **row}, MEMORY, optional=True)
    if faults:
        raise ValueError(f"a trainer's epoch must have its columns, but {'; '.join(faults)}")
    memory = row.get(MEMORY)
    return {
        "epoch": int(row["epoch"]),
        **{name: float(row[name]) for name in (*measured, *NOT_NEGATIVE)},
        MEMORY: None if memory is None else int(memory),
        **{name: str(row[name]) for name in NOTES & row.keys()},
    }


def counts(trainer: Trainer) -> dict[str, int]:
    """How many parameters a trainer's network has, and how many of them it trains.

    Raises:
        ValueError: One is no such number.
    """
    found: dict[str, Any] = {name: getattr(trainer, name, None) for name in COUNTS}
    faults = [fault for name in COUNTS for fault in _faults(found, name, kind=Integral)]
    if not faults and found["trained_parameters"] > found["parameters"]:
        faults = [f"it trains {found['trained_parameters']} of {found['parameters']}"]
    if faults:
        raise ValueError(f"a trainer must count its network's parameters, but {'; '.join(faults)}")
    return {name: int(value) for name, value in found.items()}


def sizes(trainer: Trainer) -> dict[str, int | None]:
    """The columns of `final.parquet` that say how large a network is.

    Raises:
        ValueError: One is no such number.
    """
    (flops,) = {*SIZES} - {*COUNTS}
    found: dict[str, Any] = {flops: getattr(trainer, flops, None)}
    if faults := [*_faults(found, flops, optional=True)]:
        raise ValueError(f"a trainer must count operations, or say None, but {faults[0]}")
    value = found[flops]
    return {**counts(trainer), flops: None if value is None else int(value)}


def tested(evaluation: TestEvaluation, test: LabeledImages, classes: int) -> Tested:
    """What a trainer says of the test part, as it is kept.

    Args:
        evaluation: The trainer's.
        test: What it was given.
        classes: How many there are.

    Raises:
        ValueError: It is not about these images, or says what cannot be.
    """
    if not np.array_equal(np.asarray(evaluation.labels), test.labels):
        raise ValueError("a test must keep the labels of its images in their order, but does not")
    probabilities = _probabilities(evaluation.probabilities, (len(test), classes))
    metrics = evaluation.test_metrics()
    if not isinstance(metrics, Mapping):
        raise ValueError(f"a test's metrics must be columns by name, but are {_shown(metrics)}")
    faults = [
        fault
        for name, highest in TESTED.items()
        for fault in _faults(metrics, name, highest=highest)
    ]
    predicted = probabilities.argmax(axis=1)
    right = float((predicted == test.labels).mean())
    if not faults and abs(right - float(metrics["test_accuracy"])) > ROUNDING:
        faults = [f"test_accuracy is {metrics['test_accuracy']}, by its probabilities {right}"]
    if faults:
        raise ValueError(f"a test must have its metrics, but {'; '.join(faults)}")
    return Tested(
        metrics={name: float(metrics[name]) for name in TESTED},
        probabilities=probabilities,
        classes_never_predicted=classes - len(np.unique(predicted)),
    )


def _probabilities(given: Any, shape: Sequence[int]) -> npt.NDArray[np.float32]:
    found = np.asarray(given)
    rule = f"a test's probabilities must be {list(shape)}, images by classes"
    if found.shape != tuple(shape) or found.dtype.kind not in "fiu":
        raise ValueError(f"{rule}, but are {list(found.shape)} of {found.dtype}")
    sums = found.sum(axis=1, dtype=np.float64)
    bad = ~((found >= 0).all(axis=1) & (np.abs(sums - 1) <= SUM_TOLERANCE))
    if bad.any():
        image = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"{rule}, none below 0, those of an image 1 in sum, but {int(bad.sum())} images have "
            f"others; the first, {image}, has {float(found[image].min()):g} as least and "
            f"{float(sums[image]):g} in sum"
        )
    return found.astype(np.float32)


def _faults(
    values: Mapping[Any, Any],
    name: str,
    *,
    kind: Any = Real,
    lowest: float | None = 0.0,
    highest: float = math.inf,
    optional: bool = False,
) -> Sequence[str]:
    """What is wrong with a value: empty, or a sentence; `lowest` None takes what is not finite."""
    value: Any = values.get(name)
    if name not in values or (value is None and not optional):
        return [f"{name} is missing"]
    if value is None:
        return []
    if not isinstance(value, kind) or isinstance(value, bool | np.bool_):
        what = "a whole number" if kind is Integral else "a number"
        return [f"{name} must be {what}, but is {_shown(value)}"]
    if lowest is None:
        return []
    if not (math.isfinite(value) and lowest - ROUNDING <= value <= highest + ROUNDING):
        limits = "at least 0" if highest == math.inf else f"from 0 to {highest:g}"
        return [f"{name} must be finite and {limits}, but is {value}"]
    return []


def _shown(value: object) -> str:
    return f"{str(value)[:40]!r}, a {type(value).__name__}"
