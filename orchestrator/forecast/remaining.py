"""Time that a running study still takes, by its rows: in its driver and from its files alike."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from statistics import StatisticsError
from typing import Any, Final

import pyarrow as pa

from orchestrator.config.searches import Search
from orchestrator.forecast.speed import Earlier, Speed, side_by_side
from orchestrator.forecast.workload import Images, Trained, Training, Workload
from orchestrator.results.final_runs import FinalRun
from orchestrator.results.rows import TrialRow
from orchestrator.results.states import State
from orchestrator.results.study_record import ClusterRecord, RunRecord, StudyRecord
from trainables.epoch_rows import objective

SECONDS_PER_HOUR: Final = 3600


@dataclass(frozen=True, kw_only=True)
class TimeLeft:
    """Wall seconds that were left at the last moment of which a study's rows tell."""

    seconds: float
    at: datetime

    def on(self, now: datetime) -> float | None:
        """Wall seconds that are left at a moment; None where the end is overdue."""
        left = self.seconds - max(0.0, (now - self.at).total_seconds())
        return left if left > 0 else None


def forecast_end(
    study: StudyRecord,
    trials: Sequence[Trained],
    retrained: Sequence[Trained],
    finals: Sequence[FinalRun] | None,
    failed_families: Collection[str],
) -> TimeLeft | None:
    """Forecasts when a running study will have done its last final, at its speed so far.

    Trials to come are taken to be as long as those that ended, each training as fast as `Speed`
    says, and as many to run at a time as the study is allowed; what runs has had the time since it
    was last heard of, up to an epoch. Before the choice, where `finals` are None, each family
    counts with its baseline and a winner to re-train; failed families get no more trials.

    Returns:
        None where too little is known: a family without an epoch and an earlier study's throughput,
        or trials to come before any was seen to end.
    """
    if not study.runs or not study.cluster.max_concurrent:
        return None
    outlook = _Outlook(study, trials, retrained)
    try:
        seconds = outlook.seconds(finals, failed_families)
    except StatisticsError:  # the mean of nothing
        return None
    return TimeLeft(seconds=seconds, at=outlook.at)


class _Outlook:
    """A study at the last moment of which its rows tell."""

    def __init__(
        self, study: StudyRecord, trials: Sequence[Trained], retrained: Sequence[Trained]
    ) -> None:
        train, fractions = study.dataset.train_images_at, study.settings.train_fractions
        images = Images(train=train, validation=study.dataset.validation_images)
        if not {*fractions} <= train.keys() or max(train.values()) <= 0:
            # It does not say how many images an epoch has: they count in proportion.
            images = Images(train={fraction: fraction for fraction in fractions}, validation=0)
        self._study = study
        # A table may be damaged, or somebody else's.
        phases = self._trials, self._retrained = [
            [each for each in phase if each.train_fraction in images.train]
            for phase in (trials, retrained)
        ]
        self._settings, self._cluster = study.settings, study.cluster
        self._work = Workload(self._settings, self._settings.families, self._trials, reach="usual")
        self._speed = Speed(
            self._trials,
            images,
            retrained=self._retrained,
            device=self._cluster.device,
            earlier=_earlier(study),
        )
        self._began = _moment(study.runs[-1].started_at)
        # By their order, since a clock may have been set back.
        last = [max(phase, key=lambda each: each.sequence) for phase in phases if phase]
        self.at = max([self._began, *(each.heard_at for each in last if each.heard_at)])

    def seconds(self, finals: Sequence[FinalRun] | None, failed_families: Collection[str]) -> float:
        """Wall seconds to the end."""
        searching = list(self._searching(failed_families))
        if finals is None:
            kept = [name for name in self._settings.families if name not in failed_families]
            final = [each for name in kept for each in self._work.finals(name, self._retrained)]
        else:
            final = list(self._work.finals_left(finals, self._study.choice or {}, self._retrained))
        at_a_time = self._cluster.max_concurrent
        left = sum(side_by_side(phase, self._rest, at_a_time) for phase in (searching, final))
        hours = self._settings.time_budget
        if hours is None or not searching:
            return left
        return min(left, max(0.0, hours * SECONDS_PER_HOUR - self._spent()))

    def _searching(self, failed_families: Collection[str]) -> Iterator[Training]:
        """What runs of the search, and what is to come as far as there is a budget for it."""
        for family in self._settings.families:
            running = list(self._work.running(family))
            yield from running
            if family in failed_families:
                continue
            for search in self._work.searches:
                if search.family == family and search.name not in self._study.closed:
                    yield from self._affordable(search, self._work.to_come(search), running)

    def _affordable(
        self, search: Search, to_come: Sequence[Training], running: Sequence[Training]
    ) -> Sequence[Training]:
        hours = self._settings.budget_gpu_hours
        if hours is None or not to_come:
            return to_come
        own = [each for each in self._trials if each.family == search.family]
        seconds = hours * SECONDS_PER_HOUR / self._cluster.devices_per_trial
        left = seconds / len(self._settings.families) - sum(each.wall_seconds for each in own)
        left -= self._speed.together([*running, *self._work.finals(search.family)])
        *first, others = to_come
        each = self._speed.device_seconds(others)
        if each <= 0:
            return to_come
        return [*first, replace(others, times=min(others.times, max(0, int(left / each))))]

    def _rest(self, training: Training) -> float:
        """What is left of a training at the moment, in wall seconds."""
        whole = self._speed.wall_seconds(training)
        if training.since is None:
            return whole
        passed = (self.at - max(self._began, training.since)).total_seconds()
        epoch = replace(training, epochs=min(1.0, training.epochs))
        return whole - min(max(0.0, passed), self._speed.wall_seconds(epoch))

    def _spent(self) -> float:
        """Wall seconds of the study up to the moment."""
        seen = [
            moment
            for each in (*self._trials, *self._retrained)
            for moment in (each.started_at, each.heard_at, each.ended_at)
            if moment is not None
        ]
        return earlier_seconds(self._study.runs, seen) + (self.at - self._began).total_seconds()


def _earlier(study: StudyRecord) -> Earlier:
    """The middle of what the forecast that `study.json` keeps takes an epoch to last."""
    known: dict[tuple[str, float], float] = {
        (name, float(fraction)): sum(ends) / len(ends)
        for name, each in study.forecast.families.items()
        for fraction, ends in each.epoch_seconds.items()
    }

    def epoch_seconds(family: str, fraction: float) -> float:
        if (family, fraction) not in known:
            raise StatisticsError(f"no earlier study has an epoch of {family}")
        return known[family, fraction]

    return epoch_seconds


def stored_trials(
    rows: Iterable[TrialRow], epochs: pa.Table, cluster: ClusterRecord
) -> list[Trained]:
    """Progress of the trials of a stored search, by the rows of its tables."""
    sums, devices = _sums(epochs), cluster.devices_per_trial
    own: Iterable[Mapping[str, Any]] = rows
    names = ("trial_id", "family", "role", "train_fraction", "status", "attempts")
    blank = {"epochs": 0, "epoch_seconds": 0.0}
    return [
        Trained(
            **{name: row[name] for name in (*names, "started_at", "ended_at")},
            **{**blank, **sums.get(row["trial_id"], {})},
            wall_seconds=row["device_seconds"] / devices,
            device=row["device"] or None,
            edge=row.get("param_input_size"),
            validation=None
            if row["validation_accuracy"] is None
            else (objective(row), row["validation_loss"]),
        )
        for row in own
    ]


def stored_finals(final_epochs: pa.Table) -> list[Trained]:
    """Progress of the final runs of a stored study that have an epoch."""
    names = ("trial_id", "family", "role", "train_fraction")
    keys = {row["trial_id"]: row for row in final_epochs.select(names).to_pylist()}
    return [
        Trained(**keys[trial_id], status=State.RUNNING, **sums)
        for trial_id, sums in _sums(final_epochs).items()
    ]


def _sums(epochs: pa.Table) -> dict[str, dict[str, Any]]:
    """Trial to how many epochs it has, how long they took together, and its last one."""
    names = {
        "epoch_max": "epochs",
        "epoch_seconds_sum": "epoch_seconds",
        "sequence_max": "sequence",
        "reported_at_max": "heard_at",
    }
    sums = epochs.group_by("trial_id").aggregate([tuple(name.rsplit("_", 1)) for name in names])
    return {row.pop("trial_id"): row for row in sums.rename_columns(names).to_pylist()}


def earlier_seconds(runs: Sequence[RunRecord], seen: Iterable[datetime]) -> float:
    """Wall seconds of the runs of a study before its last.

    A run that was killed counts up to the last of the moments at which epochs were seen.
    """
    moments, total = sorted(seen), 0.0
    for run, following in pairwise(runs):
        start, limit = (_moment(each.started_at) for each in (run, following))
        reported = [moment for moment in moments if start <= moment <= limit]
        end = _moment(run.ended_at) if run.ended_at else max(reported, default=start)
        total += max(0.0, (end - start).total_seconds())
    return total


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
