"""Publisher of a running study's metrics through Ray, from a thread, so the driver never waits."""

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ray.util.metrics import Counter, Gauge

from orchestrator.run.metrics import METRICS, Metric, Sample

LEAST_SECONDS: Final = 5.0
REST_FACTOR: Final = 20
# Ray's agents forget a gauge that is not set again within two of its reports, 20 s.
MOST_SECONDS: Final = 15.0

Measure = Callable[[], Iterable[Sample]]

log = logging.getLogger(__name__)


class Publisher:
    """Publishes metrics: waits 20 times what measuring takes, 5 to 15 s; Ray sends every 10 s."""

    def __init__(self, measure: Measure) -> None:
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
    return {
        metric: (Counter if metric.counter else Gauge)(
            metric.name, metric.description, metric.labels
        )
        for metric in METRICS
    }
