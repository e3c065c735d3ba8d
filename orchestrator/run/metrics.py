"""Metrics of a running study, beside Ray's own: their current values, and what publishes them."""

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from ray.util.metrics import Counter, Gauge

from orchestrator.results.states import State
from orchestrator.trials.recorder import Recorder

LEAST_SECONDS: Final = 5.0
REST_FACTOR: Final = 20
# Ray's agents forget a gauge that is not set again within two of its reports, 20 s.
MOST_SECONDS: Final = 15.0

OF_STUDY: Final = ("study", "phase")
OF_FAMILY: Final = (*OF_STUDY, "family")

log = logging.getLogger(__name__)


class Metric(NamedTuple):
    """A metric of a study.

    Attributes:
        name: Without Ray's prefix; the unit in it.
        description: What it is.
        labels: Names of its labels: few, and none with a value for each trial.
        counter: It only rises.
    """

    name: str
    description: str
    labels: tuple[str, ...] = OF_FAMILY
    counter: bool = False

    @property
    def exported_name(self) -> str:
        """Name at a node's end point: with Ray's prefix, and Prometheus's suffix of counters."""
        return f"ray_{self.name}{'_total' if self.counter else ''}"


class Sample(NamedTuple):
    """One value of a metric."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


BEST: Final = Metric(
    "study_best_validation_accuracy",
    "Highest validation accuracy, whatever the objective, of any epoch of the family's trials that "
    "can win so far, from 0 to 1",
)
TRIALS: Final = Metric("study_trials", "Trials in this state", labels=(*OF_FAMILY, "state"))
EPOCHS: Final = Metric("study_epochs", "Epochs recorded", counter=True)
EPOCHS_PER_SECOND: Final = Metric(
    "study_epochs_per_second", "Epochs per second of the running trials, by the last epoch of each"
)
IMAGES_PER_SECOND: Final = Metric(
    "study_images_per_second",
    "Training images per second of the running trials, by the last epoch of each",
)
DEVICE_SECONDS: Final = Metric(
    "study_device_seconds", "Wall seconds of the trials times the devices that each reserves"
)
DEVICE_MEMORY: Final = Metric(
    "study_device_memory_peak_bytes",
    "Most memory that tensors of a running trial took in its last epoch; 0 without GPU",
)
SECONDS_LEFT: Final = Metric(
    "study_seconds_left", "Estimate of the wall seconds that the study still takes", OF_STUDY
)
METRICS: Final = (
    *(BEST, TRIALS, EPOCHS, EPOCHS_PER_SECOND, IMAGES_PER_SECOND),
    *(DEVICE_SECONDS, DEVICE_MEMORY, SECONDS_LEFT),
)


def measure(
    recorder: Recorder,
    families: Sequence[str],
    time_left: Callable[[], float | None],
    *,
    study: str,
    phase: str,
) -> Iterator[Sample]:
    """The values of all metrics: of families, from the rows of a phase, and of the time left."""
    where = (study.encode("ascii", "backslashreplace").decode(), phase)  # as Ray takes labels
    for family in families:
        with recorder.lock:
            totals = recorder.totals(family)
            running = [r for r in totals.running.values() if r.rows and r.attempt_began is not None]
            last = [record.rows[-1] for record in running]
            seconds = [row["epoch_seconds"] for row in last if row["epoch_seconds"]]
            memory = [float(row["device_memory_peak_bytes"] or 0) for row in last]
            values = {
                BEST: totals.best_validation_accuracy,
                EPOCHS: float(totals.epochs),
                DEVICE_SECONDS: recorder.device_seconds_of(totals.wall_seconds()),
                EPOCHS_PER_SECOND: sum(1 / each for each in seconds),
                IMAGES_PER_SECOND: sum(row["images_per_second"] for row in last),
                DEVICE_MEMORY: max(memory, default=0.0),
            }
            # Those without any too: a gauge keeps its last value.
            trials = {state.value: float(totals.ended[state]) for state in State}
            trials[State.RUNNING.value] = float(totals.at_work())
        for metric, value in values.items():
            if value is not None:
                yield Sample(metric, (*where, family), value)
        for state, number in trials.items():
            yield Sample(TRIALS, (*where, family, state), number)
    left = time_left()
    if left is not None:
        yield Sample(SECONDS_LEFT, where, left)


class Publisher:
    """Publishes metrics: waits 20 times what measuring takes, 5 to 15 s; Ray sends every 10 s."""

    def __init__(self, measure: Callable[[], Iterable[Sample]]) -> None:
        """Takes what measures; it is called in the publisher's thread."""
        self._measure = measure
        self._counted: dict[tuple[str, tuple[str, ...]], float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def publish(self) -> None:
        """Publishes all values as they are now."""
        for sample in self._measure():
            labels = dict(zip(sample.metric.labels, sample.labels, strict=True))
            metric = _metrics()[sample.metric]
            if isinstance(metric, Counter):
                key = (sample.metric.name, sample.labels)
                rise = sample.value - self._counted.get(key, 0.0)
                if rise > 0:
                    metric.inc(rise, labels)
                    self._counted[key] = sample.value
            else:
                metric.set(sample.value, labels)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Publishes at once, then now and then, and once more at the end."""
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def _run(self) -> None:
        last = False
        while True:
            started = time.monotonic()
            try:
                self.publish()
            except Exception:  # a study goes on whether it is watched or not
                log.exception("the study's metrics are published no more")
                return
            if last:
                return
            rest = REST_FACTOR * (time.monotonic() - started)
            pause = min(max(LEAST_SECONDS, rest), MOST_SECONDS)
            last = self._stop.wait(pause)


@functools.cache
def _metrics() -> dict[Metric, Counter | Gauge]:
    """Ray's metrics, made once: a process may not have two of a name."""
    return {metric: (Counter if metric.counter else Gauge)(*metric[:3]) for metric in METRICS}
