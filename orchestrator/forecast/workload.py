"""Workload of a study: the epochs and images that are left to train."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import fmean
from typing import Final, Literal

from orchestrator.config.final_epochs import final_epochs
from orchestrator.config.rungs import earliest_stop
from orchestrator.config.searches import (
    Search,
    baseline_of,
    search_for,
    search_of,
    searches_of,
    trial_order,
)
from orchestrator.config.settings import BUDGETS, FEWEST_TO_SETTLE, Settings
from orchestrator.config.stored_settings import AnySettings
from orchestrator.results.final_runs import FinalRun
from orchestrator.results.states import MAY_WIN, State
from orchestrator.results.study_record import Choices

VALIDATION_SHARE: Final = 1 / 3
"""What a validation image costs against one trained on, which goes forward and backward."""


Reach = Literal["least", "usual", "most"]
"""How far trials of a search come: no further than early stopping must let them, and the baseline
wins; as far as those that ended; or all to the last epoch, and the slowest of them wins."""


@dataclass(frozen=True, kw_only=True)
class Images:
    """Number of images that a trial sees in an epoch; those trained on by their share."""

    train: Mapping[float, float]
    validation: int

    def work(self, fraction: float) -> float:
        """Work of an epoch at a share of the training images, relative to one at the largest."""
        extra = VALIDATION_SHARE * self.validation
        return (self.train[fraction] + extra) / (max(self.train.values()) + extra)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Progress of a trial of the search, or of a final run.

    Attributes:
        role: `baseline`; `search`, or `tuned` in the finals.
        epoch_seconds: Of its epochs together.
        wall_seconds: Of its attempts while they had their devices.
        device: On which the last one ran, `cuda` or `cpu`; None where that is not known.
        edge: In pixels of what its network is given; None where all of a family have the same.
        validation: Accuracy and loss of its best epoch; None before its first.
        started_at: When it was proposed.
        heard_at: When it reported its last epoch; None before its first.
        ended_at: When it ended; None where it has not.
        sequence: Of its last epoch among those of the phase.
    """

    trial_id: str
    family: str
    role: str
    train_fraction: float
    status: str
    epochs: int
    epoch_seconds: float
    wall_seconds: float = 0.0
    attempts: int = 1
    device: str | None = None
    edge: int | None = None
    validation: tuple[float, float] | None = None
    started_at: datetime | None = None
    heard_at: datetime | None = None
    ended_at: datetime | None = None
    sequence: int = 0


@dataclass(frozen=True)
class Training:
    """A training to come, or the rest of one: the unit that every forecast sums up.

    Attributes:
        times: How many there are that are all alike.
        like: Trials that it is as fast as: the slowest of those that have an epoch.
        begun: Its process has started.
        edge: In pixels of what its network is given, where that is known.
        since: When it was last heard of, where it runs.
    """

    family: str
    train_fraction: float
    epochs: float
    times: int = 1
    like: tuple[str, ...] = ()
    begun: bool = False
    edge: int | None = None
    since: datetime | None = None


class Workload:
    """Trainings that a study has left, with its searches."""

    def __init__(
        self,
        settings: AnySettings,
        families: Iterable[str],
        trials: Sequence[Trained] = (),
        *,
        reach: Reach,
    ) -> None:
        """Takes how far the search of a study is, or of some of its families."""
        self._settings, self._trials, self._reach = settings, trials, reach
        self._epochs = settings.epochs
        self.searches = searches_of(families, settings)
        self._started = Counter(search_of(each.trial_id) for each in trials)

    def running(self, family: str) -> Iterator[Training]:
        """The rest of each of a family's running trials."""
        for each in self._trials:
            if each.family == family and each.status == State.RUNNING:
                yield _rest(each, self._end(family, each.role, each.epochs))

    def to_come(self, search: Search) -> list[Training]:
        """A search's trials that are still to be proposed; its first one is the baseline."""
        first, trials = self._started[search.name], self._settings.trials
        if self._reach == "least" and self._settings.stop_when_settled:
            trials = min(trials, FEWEST_TO_SETTLE)
        if self._reach == "least" and any(getattr(self._settings, name) for name in BUDGETS):
            trials = 1  # a budget may leave the baseline alone
        baseline = [self.new(search, "baseline")] if first == 0 else []
        others = trials - max(1, first)
        return [*baseline, replace(self.new(search), times=others)] if others > 0 else baseline

    def new(self, search: Search, role: str = "search") -> Training:
        """One trial that is yet to be proposed."""
        epochs = self._end(search.family, role, 0)
        return Training(search.family, search.train_fraction, epochs)

    def finals(self, family: str, begun: Sequence[Trained] = ()) -> Iterator[Training]:
        """What is left before the choice of a family's final runs, of its baseline and a winner.

        Some of the baseline's may have `begun` already, in idle slots of the search.
        """
        for fraction in self._settings.train_fractions:
            search = search_for(self.searches, family, fraction).name
            epochs, seeds = final_epochs(self._settings, fraction), self._settings.seeds
            own = [r for r in begun if r.family == family and r.train_fraction == fraction]
            yield from (_rest(each, epochs) for each in own)
            likes = [((baseline_of(search),), seeds - len(own)), (self._may_win(search), seeds)]
            for like, times in likes[:1] if self._reach == "least" else likes:
                if times:
                    yield Training(family, fraction, epochs, times, like)

    def finals_left(
        self, runs: Sequence[FinalRun], choice: Choices, retrained: Sequence[Trained]
    ) -> Iterator[Training]:
        """What is left of all final runs after the choice, with how far they are."""
        known = {each.trial_id: each for each in retrained}
        for run in runs:
            if run.done or run.failed:
                continue
            search = search_for(self.searches, run.family, run.train_fraction).name
            origin = baseline_of(search) if run.role == "baseline" else choice[search].trial_id
            own = known.get(run.trial_id or "")
            yield Training(
                run.family,
                run.train_fraction,
                final_epochs(self._settings, run.train_fraction) - run.epochs,
                like=(own.trial_id if own else origin,),
                begun=own is not None,
                since=None if own is None else own.heard_at,
            )

    def _may_win(self, search: str) -> tuple[str, ...]:
        """The trials at whose throughput a search's winner may have to be re-trained."""
        own = [each for each in self._trials if search_of(each.trial_id) == search]
        ranks = (
            (-each.validation[0], each.validation[1], trial_order(each.trial_id), each.trial_id)
            for each in own
            if each.validation and each.status in MAY_WIN
        )
        running = [each.trial_id for each in own if each.status == State.RUNNING]
        return (*min(ranks, default=())[-1:], *(running if self._reach == "most" else ()))

    def _end(self, family: str, role: str, done: int) -> float:
        """The epoch at which a trial that has had `done` of them is taken to end.

        Raises:
            StatisticsError: By those that ended, and none has.
        """
        if role == "baseline" or self._reach == "most":
            return self._epochs
        if self._reach == "least":
            return earliest_stop(self._settings)
        over = [each for each in self._trials if each.status != State.RUNNING]
        proposed = [each for each in over if each.role != "baseline"]
        own = [each.epochs for each in proposed if each.family == family]
        lengths = own or [each.epochs for each in proposed]
        further = [length for length in lengths if length > done]
        return self._epochs if lengths and not further else fmean(further)


def _rest(trained: Trained, end: float) -> Training:
    """What is left of a training up to its last epoch."""
    return Training(
        trained.family,
        trained.train_fraction,
        end - trained.epochs,
        like=(trained.trial_id,),
        begun=trained.epochs > 0,
        edge=trained.edge,
        since=trained.heard_at or trained.started_at,
    )


@dataclass(frozen=True, kw_only=True)
class WholeWork:
    """Workload of a whole study before any of it is measured.

    Attributes:
        search_epochs: If no trial is stopped.
        least_search_epochs: If ASHA stops all it may at the first rung, or a budget leaves the
            baselines alone.
        smaller_search_epochs: Of `search_epochs`, those at smaller fractions than the largest, each
            counted at its share of the images of one at the largest.
    """

    searches: int
    search_trials: int
    search_epochs: int
    least_search_epochs: int
    smaller_search_epochs: float
    final_runs: int
    final_epochs: int


def whole_work(
    families: Sequence[str], settings: AnySettings, reach: Reach
) -> tuple[list[Training], list[Training]]:
    """Workload of a whole study: trials of the searches and final runs, before the first."""
    work = Workload(settings, families, reach=reach)
    search = [each for one in work.searches for each in work.to_come(one)]
    return search, [run for family in families for run in work.finals(family)]


def work_of(families: Sequence[str], settings: Settings) -> WholeWork:
    """The work of a study of these families before any of it is measured."""
    search, finals = whole_work(families, settings, "most")
    least, _ = whole_work(families, settings, "least")
    largest = max(settings.train_fractions)
    smaller = [each for each in search if each.train_fraction < largest]
    return WholeWork(
        searches=len({(each.family, each.train_fraction) for each in search}),
        search_trials=sum(each.times for each in search),
        search_epochs=epochs_of(search),
        least_search_epochs=epochs_of(least),
        smaller_search_epochs=sum(e.times * e.epochs * e.train_fraction for e in smaller) / largest,
        final_runs=sum(each.times for each in finals),
        final_epochs=epochs_of(finals),
    )


def epochs_of(trainings: Iterable[Training]) -> int:
    """Total epochs of trainings, each of which ends at a whole epoch."""
    return round(sum(each.times * each.epochs for each in trainings))
