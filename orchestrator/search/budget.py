"""Budgets of a study: device time in equal shares of the families, and wall time with finals."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from itertools import chain
from statistics import StatisticsError
from typing import Final

from orchestrator.config.searches import Search
from orchestrator.config.settings import Settings
from orchestrator.forecast.speed import Speed, side_by_side
from orchestrator.forecast.workload import Images, Trained, Workload
from orchestrator.trials.recorder import Recorder

SECONDS_PER_HOUR: Final = 3600


@dataclass
class Budget:
    """Budgets of a study: whether a search may propose a trial and leave enough for the finals.

    Each family has an equal share of the device time. What has been spent counts as measured; to
    come are, as `Workload` and `Speed` have them, a new trial and all that run to the last epoch,
    and finals of the baseline and of the slowest trial that may win.
    A baseline runs whatever it costs, and nothing that runs is ended for a budget.

    Attributes:
        images: Of an epoch.
        at_a_time: Trials that run at a time.
        spent_seconds: Wall seconds of the study's earlier runs.
        ended_early: Search to the setting that ended it for good.
        clock: Seconds from any moment on.
    """

    settings: Settings
    recorder: Recorder
    searches: Sequence[Search]
    _: KW_ONLY
    images: Images
    at_a_time: int
    spent_seconds: float = 0.0
    ended_early: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """Starts the clock of this run."""
        self._families = list(dict.fromkeys(search.family for search in self.searches))
        self._began = self.clock() - self.spent_seconds

    def blocked_by(self, search: Search) -> str | None:
        """The budget's setting that keeps a search from proposing now; None where it may.

        It may be able to later: a trial that is stopped early gives back what it was counted at.
        """
        if search.name in self.ended_early:
            return self.ended_early[search.name]
        if not self.recorder.totals(search.family).started[search.name]:
            return None
        for name, left in (
            ("budget_gpu_hours", self._device_seconds_left),
            ("time_budget", self._wall_seconds_left),
        ):
            hours: float | None = getattr(self.settings, name)
            if hours is not None and left(search, hours * SECONDS_PER_HOUR) < 0:
                return name
        return None

    def wall_seconds(self) -> float:
        """Of the study so far, its earlier runs included."""
        return self.clock() - self._began

    def _device_seconds_left(self, search: Search, seconds: float) -> float:
        """Of a family's share after a new trial, those that run, and its finals."""
        family = search.family
        share = seconds / len(self._families)
        trials = self.recorder.trained(family)
        work, speed = self._work(trials), Speed(trials, self.images)
        planned = [*work.running(family), work.new(search), *work.finals(family)]
        try:
            to_come = speed.together(planned)
        except StatisticsError:
            return self._unknown(family)
        spent = self.recorder.totals(family).wall_seconds()
        return share - self.recorder.device_seconds_of(spent + to_come)

    def _wall_seconds_left(self, search: Search, seconds: float) -> float:
        """After a new trial, all that run, and the finals of all families."""
        left = seconds - self.wall_seconds()
        trials = self.recorder.trained()
        known = {each.family for each in trials if each.epochs}
        if search.family not in known:
            return min(left, self._unknown(search.family))
        work, speed = self._work(trials), Speed(trials, self.images)
        families = [family for family in self._families if family in known]
        searching = [work.new(search), *chain.from_iterable(map(work.running, families))]
        finals = chain.from_iterable(map(work.finals, families))
        return left - sum(
            side_by_side(phase, speed.wall_seconds, self.at_a_time) for phase in (searching, finals)
        )

    def _work(self, trials: Sequence[Trained]) -> Workload:
        """All that runs goes on to the last epoch."""
        return Workload(self.settings, self._families, trials, reach="most")

    def _unknown(self, family: str) -> float:
        """Nothing is known of a family's throughput: it waits for what runs, or tries once more."""
        return -1.0 if self.recorder.totals(family).running else 0.0
