"""Speed of trainings: by a study's own epochs where there are some, else an earlier study's."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from statistics import fmean, median

from orchestrator.forecast.workload import Images, Trained, Training
from orchestrator.results.states import State

Earlier = Callable[[str, float], float]
"""Wall seconds of an epoch of a family at a share of the training images, by an earlier study."""


class Speed:
    """Speed of the trainings of a study; all times are wall seconds.

    A training is as fast as the trial that it is like, where that has an epoch; else as the mean of
    its family's trials, in proportion to the pixels where these differ. What ran on another kind of
    device says nothing.
    """

    def __init__(
        self,
        trials: Sequence[Trained],
        images: Images,
        *,
        retrained: Sequence[Trained] = (),
        device: str | None = None,
        earlier: Earlier | None = None,
    ) -> None:
        """Takes the trials of the search, and final runs, of which only the epochs are asked.

        The study runs on a device, `cuda` or `cpu`, if that is known; `earlier` is asked of a
        family without an epoch.
        """
        self._images, self._earlier = images, earlier
        here = [each for each in trials if device is None or each.device in {None, device}]
        self._own: defaultdict[str, list[Trained]] = defaultdict(list)
        for each in (*here, *retrained):
            if each.epochs:
                self._own[each.family].append(each)
        self._epoch_seconds = {
            each.trial_id: each.epoch_seconds / each.epochs / images.work(each.train_fraction)
            for own in self._own.values()
            for each in own
        }
        over = [each for each in here if each.status != State.RUNNING]
        self._waiting, self._beside = _waiting(over), _beside_epochs(over)

    def epoch_seconds(self, training: Training) -> float:
        """Wall seconds of one epoch; a `StatisticsError` where nothing is known of the family."""
        own = self._own[training.family]
        if not own and self._earlier is not None:
            return self._earlier(training.family, training.train_fraction)
        like = [self._epoch_seconds[name] for name in training.like if name in self._epoch_seconds]
        seconds = max(like) if like else fmean(self._scaled(each, training.edge) for each in own)
        return seconds * self._images.work(training.train_fraction)

    def device_seconds(self, training: Training) -> float:
        """Wall seconds with its devices: its epochs, and what comes beside them in its process."""
        beside = 0.0 if training.begun else self._beside(training.family)
        return beside + training.epochs * self.epoch_seconds(training)

    def wall_seconds(self, training: Training) -> float:
        """Wall seconds from proposal to end, the start of its process included."""
        waiting = 0.0 if training.begun else self._waiting
        return waiting + self.device_seconds(training)

    def together(self, trainings: Iterable[Training]) -> float:
        """Wall seconds with devices of trainings, one after another."""
        return sum(each.times * self.device_seconds(each) for each in trainings)

    def _scaled(self, trial: Trained, edge: int | None) -> float:
        seconds = self._epoch_seconds[trial.trial_id]
        return seconds * (edge / trial.edge) ** 2 if edge and trial.edge else seconds


def _beside_epochs(over: Sequence[Trained]) -> Callable[[str], float]:
    """Family to the mean of its trials that have ended; that of all where it has none."""
    beside: defaultdict[str, list[float]] = defaultdict(list)
    for each in over:
        if each.epochs:
            beside[each.family].append(each.wall_seconds - each.epoch_seconds)
    means = {family: max(0.0, fmean(own)) for family, own in beside.items()}
    usual = max(0.0, fmean(chain(*beside.values()))) if beside else 0.0
    return lambda family: means.get(family, usual)


def _waiting(over: Sequence[Trained]) -> float:
    """Median of the trials that ended in their first attempt: what they took without devices."""
    waited = [
        (each.ended_at - each.started_at).total_seconds() - each.wall_seconds
        for each in over
        if each.started_at and each.ended_at and each.attempts == 1
    ]
    return max(0.0, median(waited)) if waited else 0.0


def side_by_side(
    trainings: Iterable[Training], seconds: Callable[[Training], float], at_a_time: int
) -> float:
    """Wall seconds of trainings, of so many seconds each and so many of them at a time."""
    lengths = [(each.times, seconds(each)) for each in trainings]
    whole = sum(times * each for times, each in lengths)
    return max(whole / at_a_time, max((each for _, each in lengths), default=0.0))
