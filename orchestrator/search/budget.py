"""What a study may spend: device time, equal for each family, or wall time, finals included."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from orchestrator.config.searches import Search
from orchestrator.config.settings import Settings
from orchestrator.forecast.workload import Images
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.trial import BASELINE_ROLE, RUNNING, TrialRecord, winner

SECONDS_PER_HOUR: Final = 3600


class Budget:
    """Says whether a search may propose a trial and still leave enough for the finals.

    Each family has an equal share of the device time. What has been spent counts as measured, a
    trial that runs to the last epoch at its own pace, a new one to the last epoch at the mean pace
    of its family's trials, each final at the pace of the baseline or of the winner so far, and each
    with the mean of what a trial takes beside its epochs, such as the start of its process.
    A baseline runs whatever it costs, and nothing that runs is ended for a budget.
    """

    def __init__(
        self,
        settings: Settings,
        recorder: Recorder,
        searches: Sequence[Search],
        *,
        images: Images,
        at_a_time: int,
        spent_seconds: float = 0.0,
        closed: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts the clock of this run.

        Args:
            settings: The study's.
            recorder: Of the search.
            searches: All of the study.
            images: Of an epoch.
            at_a_time: Trials that run at a time.
            spent_seconds: Wall seconds of the study's earlier runs.
            closed: Search to the setting that ended it for good.
            clock: Seconds from any moment on.
        """
        self._settings, self._recorder, self._images = settings, recorder, images
        self._families = list(dict.fromkeys(search.family for search in searches))
        self._at_a_time, self._clock, self._closed = at_a_time, clock, closed or {}
        self._began = clock() - spent_seconds

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        """An empty object, as the recorder: Tune pickles what it is given and never reads it."""
        return object, ()

    def refuses(self, search: Search) -> str | None:
        """The setting that keeps a search from proposing now; None where it may.

        It may be able to later: a trial that is stopped early gives back what it was counted at.
        """
        if search.name in self._closed:
            return self._closed[search.name]
        if not self._recorder.tally(search.family).started[search.name]:
            return None
        for name, left in (
            ("budget_gpu_hours", self._device_seconds_left),
            ("time_budget", self._wall_seconds_left),
        ):
            if getattr(self._settings, name) is not None and left(search) < 0:
                return name
        return None

    def _device_seconds_left(self, search: Search) -> float:
        """Of a family's share after a new trial, those that run, and its finals."""
        hours = self._settings.budget_gpu_hours
        assert hours is not None
        share = hours * SECONDS_PER_HOUR / len(self._families)
        costs = self._costs(search.family)
        if costs is None:
            return self._unknown(search.family)
        spent = self._recorder.tally(search.family).wall_seconds()
        planned = sum(costs.running) + costs.trial(search) + sum(costs.finals)
        return share - self._recorder.device_seconds_of(spent + planned)

    def _wall_seconds_left(self, search: Search) -> float:
        """After a new trial, all that run, and the finals of all families."""
        hours = self._settings.time_budget
        assert hours is not None
        left = hours * SECONDS_PER_HOUR - (self._clock() - self._began)
        own = self._costs(search.family)
        if own is None:
            return min(left, self._unknown(search.family))
        of_all = [costs for costs in map(self._costs, self._families) if costs is not None]
        running = [each for costs in of_all for each in costs.running]
        finals = [each for costs in of_all for each in costs.finals]
        return left - sum(
            max(sum(lengths) / self._at_a_time, max(lengths, default=0.0))
            for lengths in ([*running, own.trial(search)], finals)
        )

    def _unknown(self, family: str) -> float:
        """Nothing is known of a family's pace: it waits for what runs, or tries once more."""
        return -1.0 if self._recorder.tally(family).running else 0.0

    def _costs(self, family: str) -> "_Costs | None":
        """What a family's trials take, in wall seconds; None before its first epoch."""
        records = [record for record in self._recorder.tally(family).records if record.rows]
        if not records:
            return None
        paces = {record.spec.trial_id: self._pace(record) for record in records}
        usual = fmean(paces.values())
        over = [record for record in records if record.status != RUNNING]
        start = max(0.0, fmean(map(_beside_epochs, over))) if over else 0.0
        baselines = [paces[r.spec.trial_id] for r in records if r.spec.role == BASELINE_ROLE]
        best = winner(records)
        winners = [paces[r.spec.trial_id] for r in records if r is best or r.status == RUNNING]
        settings = self._settings
        return _Costs(
            start=start,
            whole=settings.epochs * usual,
            work=self._images.work,
            running=[
                (0.0 if record.rows else start)
                + (settings.epochs - len(record.rows))
                * paces.get(record.spec.trial_id, usual)
                * self._images.work(record.spec.train_fraction)
                for record in self._recorder.tally(family).running.values()
            ],
            finals=[
                start + settings.epochs * pace * self._images.work(fraction)
                for fraction in settings.train_fractions
                for pace in (max(baselines, default=usual), max(winners, default=usual))
                for _ in range(settings.seeds)
            ],
        )

    def _pace(self, record: TrialRecord) -> float:
        """Wall seconds of an epoch at the largest share."""
        seconds = fmean(row["epoch_seconds"] for row in record.rows)
        return float(seconds / self._images.work(record.spec.train_fraction))


@dataclass(frozen=True, kw_only=True)
class _Costs:
    """What a family's trials take, in wall seconds.

    Attributes:
        start: Beside the epochs of a trial.
        whole: All epochs of a trial at the largest share.
        work: What an epoch at a share costs against that.
        running: What is left of each trial that runs.
        finals: Each final run.
    """

    start: float
    whole: float
    work: Callable[[float], float]
    running: Sequence[float]
    finals: Sequence[float]

    def trial(self, search: Search) -> float:
        """A whole new trial."""
        return self.start + self.whole * self.work(search.train_fraction)


def _beside_epochs(record: TrialRecord) -> float:
    """Wall seconds of a trial that no epoch of its took."""
    return float(record.wall_seconds() - sum(row["epoch_seconds"] for row in record.rows))
