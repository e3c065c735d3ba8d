"""Metrics of a running study, shown beside Ray's own, and their current values."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.results.states import State
from orchestrator.trials.family_totals import FamilyTotals
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.trial import TrialRecord

# Ray puts this before the name of each metric, and Prometheus expects the other after a counter's.
PREFIX: Final = "ray_"
COUNTER_SUFFIX: Final = "_total"

OF_STUDY: Final = ("study", "phase")
OF_FAMILY: Final = (*OF_STUDY, "family")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric of a study.

    Attributes:
        name: Without the prefix; the unit in it.
        labels: Names of its labels: few, and none with a value for each trial.
        description: What it is.
        counter: It only rises.
    """

    name: str
    labels: tuple[str, ...]
    description: str
    counter: bool = False

    @property
    def exported_name(self) -> str:
        """Name of the metric at a node's end point."""
        return f"{PREFIX}{self.name}{COUNTER_SUFFIX if self.counter else ''}"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One value of a metric."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


BEST: Final = Metric(
    name="study_best_validation_accuracy",
    labels=OF_FAMILY,
    description="Best validation accuracy of the family's trials that can win so far, from 0 to 1",
)
TRIALS: Final = Metric(
    name="study_trials", labels=(*OF_FAMILY, "state"), description="Trials in this state"
)
EPOCHS: Final = Metric(
    name="study_epochs", labels=OF_FAMILY, description="Epochs recorded", counter=True
)
EPOCHS_PER_SECOND: Final = Metric(
    name="study_epochs_per_second",
    labels=OF_FAMILY,
    description="Epochs per second of the running trials, by the last epoch of each",
)
IMAGES_PER_SECOND: Final = Metric(
    name="study_images_per_second",
    labels=OF_FAMILY,
    description="Training images per second of the running trials, by the last epoch of each",
)
DEVICE_SECONDS: Final = Metric(
    name="study_device_seconds",
    labels=OF_FAMILY,
    description="Wall seconds of the trials times the devices that each reserves",
)
DEVICE_MEMORY: Final = Metric(
    name="study_device_memory_peak_bytes",
    labels=OF_FAMILY,
    description="Most memory that tensors of a running trial took in its last epoch; 0 without GPU",
)
SECONDS_LEFT: Final = Metric(
    name="study_seconds_left",
    labels=OF_STUDY,
    description="Estimate of the wall seconds that the study still takes",
)
METRICS: Final = (
    *(BEST, TRIALS, EPOCHS, EPOCHS_PER_SECOND, IMAGES_PER_SECOND),
    *(DEVICE_SECONDS, DEVICE_MEMORY, SECONDS_LEFT),
)


def measure(
    recorder: Recorder, families: Sequence[str], *, study: str, phase: str
) -> Iterator[Sample]:
    """The values of the families' metrics, from the rows of a phase.

    Args:
        recorder: Of the phase.
        families: Names.
        study: The study's name.
        phase: `search` or `finals`.
    """
    for family in families:
        with recorder.lock:
            totals = recorder.totals(family)
            values = {
                BEST: totals.best_validation_accuracy,
                EPOCHS: float(totals.epochs),
                DEVICE_SECONDS: recorder.device_seconds_of(totals.wall_seconds()),
                **_of_running(totals.running.values()),
            }
            trials = _trials(totals)
        labels = (_ascii(study), phase, family)
        for metric, value in values.items():
            if value is not None:
                yield Sample(metric=metric, labels=labels, value=value)
        for state, number in trials.items():
            yield Sample(metric=TRIALS, labels=(*labels, state), value=number)


def measure_time_left(seconds: float | None, *, study: str, phase: str) -> Iterator[Sample]:
    """The estimate of the time left; nothing where there is none."""
    if seconds is not None:
        yield Sample(metric=SECONDS_LEFT, labels=(_ascii(study), phase), value=seconds)


def _of_running(records: Iterable[TrialRecord]) -> dict[Metric, float]:
    """What the last epoch of each running trial says; memory is 0 where no GPU is."""
    last = [r.rows[-1] for r in records if r.rows and r.attempt_began is not None]
    return {
        EPOCHS_PER_SECOND: sum(1 / row["epoch_seconds"] for row in last if row["epoch_seconds"]),
        IMAGES_PER_SECOND: sum(row["images_per_second"] for row in last),
        DEVICE_MEMORY: max(
            (float(row["device_memory_peak_bytes"] or 0) for row in last), default=0.0
        ),
    }


def _trials(totals: FamilyTotals) -> dict[str, float]:
    """State to number of trials, those without any included: a gauge keeps what it was told."""
    found = {state.value: float(totals.ended[state]) for state in State}
    return {**found, State.RUNNING.value: float(totals.at_work())}


def _ascii(text: str) -> str:
    """The text as Ray takes it in a label."""
    return text.encode("ascii", "backslashreplace").decode()
