"""Types of the rows of a study's tables, as `to_pylist` gives them.

A column that may be None is null in some rows, or in all of a study of an earlier version. The
columns `param_<name>`, which depend on the families, are left out.
"""

from datetime import datetime
from typing import Annotated, Any, TypedDict

# The second part of each is the type that a column has on disk; see `schema`.
Name = Annotated[str, "one of few"]
Int16 = Annotated[int, "int16"]
Int32 = Annotated[int, "int32"]
Probabilities = Annotated[list[float], "float32"]
NewCount = Annotated[int | None, "int64"]
"""Null in studies of an earlier version alone."""


class _Study(TypedDict):
    study: Name


class _Proposed(TypedDict):
    family: Name
    trial_id: str
    role: Name
    status: Name
    stop_reason: str | None
    epochs_run: Int32
    attempts: Int32


class _BestEpoch(TypedDict):
    best_epoch: Int32 | None
    validation_loss: float | None
    validation_accuracy: float | None
    validation_precision: float | None
    validation_recall: float | None
    validation_f1: float | None
    objective: float | None


class _Training(TypedDict):
    device_seconds: float
    train_fraction: float
    seed: int


class _Place(TypedDict):
    node: str | None
    device: str
    device_name: str | None
    device_memory_bytes: int | None
    driver: str | None
    cuda: str | None
    cudnn: str | None
    device_speed: float | None


class _Ended(TypedDict):
    started_at: datetime | None
    ended_at: datetime | None
    error: str | None
    params_json: str


class ProposedRow(_Proposed, _Training, _Ended):
    """Columns of `trials.parquet` that a trial has before its first epoch."""


class TrialRow(_Study, _Proposed, _BestEpoch, _Training, _Place, _Ended):
    """A row of `trials.parquet`; see `docs/COLUMNS.md`."""


class _EpochMetrics(TypedDict):
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    validation_precision: float
    validation_recall: float
    validation_f1: float | None
    objective: float | None
    learning_rate: float
    epoch_seconds: float
    images_per_second: float
    device_memory_peak_bytes: int | None


class Epoch(_EpochMetrics):
    """Report of one epoch of a training, in the names of the tables of epochs."""

    epoch: int


class _EpochKey(_Study):
    family: Name
    trial_id: str
    epoch: Int32
    sequence: int
    attempt: Int32


class _EpochPlace(TypedDict):
    reported_at: datetime
    device_name: Name | None


class EpochRow(_EpochKey, _EpochMetrics, _EpochPlace):
    """A row of `epochs.parquet`; see `docs/COLUMNS.md`."""


class RungRow(_Study):
    """A row of `rungs.parquet`; see `docs/COLUMNS.md`."""

    sequence: int
    family: Name
    trial_id: str
    epoch: Int32
    rung: Int32
    value: float
    cutoff: float | None
    decision: Name


class EventRow(_Study):
    """A row of `events.parquet`; see `docs/COLUMNS.md`."""

    at: datetime
    kind: Name
    family: Name | None
    trial_id: str | None
    detail: str


class _Final(_Study):
    family: Name
    role: Name
    seed: int


class FinalRow(_Final):
    """A row of `final.parquet`; see `docs/COLUMNS.md`."""

    trial_id: str
    train_fraction: float
    train_images: int
    validation_images: int
    epoch: Int32
    validation_loss: float
    validation_accuracy: float
    objective: float | None
    test_loss: float
    test_accuracy: float
    test_precision: float
    test_recall: float
    test_precision_micro_at_half: float
    test_recall_micro_at_half: float
    last_epoch: Int32
    test_loss_last_epoch: float
    test_accuracy_last_epoch: float
    test_precision_last_epoch: float
    test_recall_last_epoch: float
    test_precision_micro_at_half_last_epoch: float
    test_recall_micro_at_half_last_epoch: float
    classes_never_predicted: Int32
    test_images: int
    parameters: NewCount
    trained_parameters: int | None  # studies of before it have rows without
    forward_flops_per_image: int | None
    train_seconds: float
    device_seconds: float
    device: str
    device_name: str | None
    params_json: str


class FinalEpochRow(EpochRow):
    """A row of `final_epochs.parquet`; see `docs/COLUMNS.md`."""

    role: Name
    seed: int
    train_fraction: float


class PredictionRow(_Final):
    """A row of `predictions.parquet`; see `docs/COLUMNS.md`."""

    train_fraction: float
    image_index: Int32
    label: Int16
    predicted: Int16
    probabilities: Probabilities
    file: Name | None


class Pair(_Study):
    """The columns of `comparison.parquet` that say what is compared."""

    train_fraction: float
    seed: int | None
    a_family: Name
    a_role: Name
    b_family: Name
    b_role: Name
    metric: Name


class _Difference(TypedDict):
    difference: float | None
    ci_low: float | None
    ci_high: float | None


class _PairTests(TypedDict):
    p_value: float | None
    p_value_holm: float | None
    n_images: int
    n_seeds: Int32
    registered: bool | None


class ComparisonRow(Pair, _Difference, _PairTests):
    """A row of `comparison.parquet`; see `docs/COLUMNS.md`."""


class MeasuredRow(Pair, _PairTests):
    """A row of `comparison.parquet` that has a difference with an interval."""

    difference: float
    ci_low: float
    ci_high: float


Model = tuple[str, str]
"""A family and a role (`baseline` or `tuned`)."""


def models_of(row: Pair) -> tuple[Model, Model]:
    """Family and role of both models of a pair, a and b."""
    return (row["a_family"], row["a_role"]), (row["b_family"], row["b_role"])


def tested(row: FinalRow) -> dict[str, float]:
    """The four metrics on the test images at the best epoch, by their columns."""
    columns: Any = row
    names = ("test_loss", "test_accuracy", "test_precision", "test_recall")
    return {name: columns[name] for name in names}
