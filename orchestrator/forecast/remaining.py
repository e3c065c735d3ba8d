"""How long a running study will still take if it goes on as it went so far, from its tables."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from statistics import StatisticsError, fmean, median
from typing import Any, Final

from orchestrator.config.searches import Search, search_of, stored_searches
from orchestrator.forecast.workload import Images
from orchestrator.results.final_runs import FinalRun

SECONDS_PER_HOUR: Final = 3600
Row = Mapping[str, Any]


@dataclass(frozen=True)
class _Pace:
    """What the trials so far say about those to come; all times are wall seconds."""

    study: Row
    trials: Sequence[Row]

    def phase(self, seconds: Sequence[float]) -> float:
        """How long trainings of these lengths take together."""
        at_a_time: int = self.study["cluster"]["max_concurrent"]
        return max(sum(seconds) / at_a_time, max(seconds, default=0.0))

    def search(self, given_up: Collection[str]) -> Iterator[float]:
        """The lengths of the search's trials to come and of the rests of those that run."""
        settings = self.study["settings"]
        for search in stored_searches(settings):
            family, work = search.family, self._work(search.train_fraction)
            own = [row for row in self.trials if search_of(row["trial_id"]) == search.name]
            running = [row for row in own if row["status"] == "running"]
            for row in running:
                epochs = self._epochs_left(row) * work
                yield self._training(family, epochs, begun=row["epochs_run"] > 0)
            if family not in given_up:
                yield from self._to_come(search, settings["trials"] - len(own))

    def _to_come(self, search: Search, trials: int) -> list[float]:
        """The lengths of so many trials to be proposed, as far as there is a budget for them."""
        settings = self.study["settings"]
        if trials <= 0 or search.name in (self.study.get("closed") or {}):
            return []
        epochs = self._usual_epochs(search.family, 0) * self._work(search.train_fraction)
        usual = self._training(search.family, epochs)
        hours = settings.get("budget_gpu_hours")
        if hours is None or usual <= 0:
            return [usual] * trials
        cluster, family = self.study["cluster"], search.family
        devices = cluster["gpus_per_trial"] or cluster["cpus_per_trial"]
        limit = hours * SECONDS_PER_HOUR / devices / len(settings["families"])
        spent = sum(self._seconds(row) for row in self.trials if row["family"] == family)
        finals = sum(self._all_finals(family))
        return [usual] * min(trials, max(0, int((limit - spent - finals) / usual)))

    def finals(self, runs: Sequence[FinalRun] | None, given_up: Collection[str]) -> Iterator[float]:
        """The lengths of the re-trainings that are not done, or of what is left of them."""
        settings = self.study["settings"]
        if runs is not None:
            for run in runs:
                if not (run.done or run.failed):
                    epochs = (settings["epochs"] - run.epochs) * self._work(run.train_fraction)
                    yield self._training(run.family, epochs, begun=run.epochs > 0)
            return
        for family in settings["families"]:
            if family not in given_up:
                yield from self._all_finals(family)

    def _all_finals(self, family: str) -> Iterator[float]:
        """The lengths of a family's re-trainings, before the choice."""
        settings = self.study["settings"]
        for fraction in settings["train_fractions"]:
            seconds = self._training(family, settings["epochs"] * self._work(fraction))
            yield from [seconds] * (2 * settings["seeds"])

    def _training(self, family: str, epochs: float, *, begun: bool = False) -> float:
        return (0.0 if begun else self._start_seconds()) + epochs * self._epoch_seconds(family)

    def _epochs_left(self, row: Row) -> float:
        done: int = row["epochs_run"]
        if row["role"] == "baseline":
            return float(self.study["settings"]["epochs"] - done)
        return self._usual_epochs(row["family"], done) - done

    def _usual_epochs(self, family: str, done: int) -> float:
        """Epochs of a search trial that has had `done` so far, by those that came further."""
        ended = [r for r in self.trials if r["status"] != "running" and r["role"] != "baseline"]
        lengths = [r["epochs_run"] for r in ended if r["family"] == family]
        lengths = lengths or [r["epochs_run"] for r in ended]
        further = [length for length in lengths if length > done]
        if lengths and not further:
            return float(self.study["settings"]["epochs"])
        return fmean(further)

    def _epoch_seconds(self, family: str) -> float:
        """Of an epoch at the largest share of the training images."""
        own = [r for r in self.trials if r["family"] == family and r["epochs_run"]]
        epochs = [r["epochs_run"] * self._work(r["train_fraction"]) for r in own]
        seconds = [self._seconds(r) / n for r, n in zip(own, epochs, strict=True)]
        return fmean(seconds, weights=epochs)

    def _work(self, fraction: float) -> float:
        """An epoch at a share against one at the largest; validation takes as long at each."""
        largest: float = max(self.study["settings"]["train_fractions"])
        return self._works.get(fraction, fraction / largest)

    @cached_property
    def _works(self) -> dict[float, float]:
        """Share to work, where `study.json` has the numbers of images."""
        data = self.study.get("dataset") or {}
        by_fraction = data.get("train_images_by_fraction") or {}
        train = {float(fraction): number for fraction, number in by_fraction.items()}
        if max(train.values(), default=0) <= 0:
            return {}
        images = Images(train=train, validation=data.get("validation_images", 0))
        return {fraction: images.work(fraction) for fraction in train}

    def _start_seconds(self) -> float:
        """What a trial takes beside its device time, above all the start of its process."""
        waited = [
            (r["ended_at"] - r["started_at"]).total_seconds() - self._seconds(r)
            for r in self.trials
            if r["status"] != "running" and r["attempts"] == 1
        ]
        return max(0.0, median(waited)) if waited else 0.0

    def _seconds(self, row: Row) -> float:
        cluster = self.study["cluster"]
        return float(
            row["device_seconds"] / (cluster["gpus_per_trial"] or cluster["cpus_per_trial"])
        )


def seconds_left(
    study: Row,
    trials: Sequence[Row],
    finals: Sequence[FinalRun] | None,
    given_up: Collection[str],
) -> float | None:
    """Wall seconds from the moment the tables were written to the last final.

    Trials to come are taken to be as long as those that ended, an epoch to last as long as the
    family's others, and as many trials to run at a time as the study is allowed. Before the choice
    each family counts with its baseline and a winner to re-train.

    Args:
        study: `study.json`.
        trials: Rows of `trials.parquet`.
        finals: The re-trainings; None before the choice.
        given_up: Families that get no more trials.

    Returns:
        None where the tables say too little: a family without an epoch, or trials to come before
        any was seen to end.
    """
    if "cluster" not in study:
        return None
    pace = _Pace(study, trials)
    try:
        search = list(pace.search(given_up))
        left = pace.phase(search) + pace.phase(list(pace.finals(finals, given_up)))
    except StatisticsError:  # the mean of nothing
        return None
    hours = study["settings"].get("time_budget")
    return left if hours is None or not search else min(left, _of_budget(study, trials, hours))


def _of_budget(study: Row, trials: Sequence[Row], hours: float) -> float:
    """What is left of a study's wall time at the last moment that its trials tell of."""
    runs = study.get("runs") or [study]
    began = datetime.fromisoformat(runs[-1]["started_at"])
    moments = [row[name] for row in trials for name in ("started_at", "ended_at") if row[name]]
    spent = earlier_seconds(runs, moments) + (max(moments, default=began) - began).total_seconds()
    return max(0.0, hours * SECONDS_PER_HOUR - spent)


def earlier_seconds(runs: Sequence[Row], seen: Iterable[datetime]) -> float:
    """Wall seconds of the runs of a study before its last.

    Args:
        runs: Of `study.json`, the present one last.
        seen: When epochs were reported; a run that was killed counts up to its last one.
    """
    moments, total = sorted(seen), 0.0
    for run, following in pairwise(runs):
        start, limit = (datetime.fromisoformat(each["started_at"]) for each in (run, following))
        reported = [moment for moment in moments if start <= moment <= limit]
        ended = run.get("ended_at")
        end = datetime.fromisoformat(ended) if ended else max(reported, default=start)
        total += max(0.0, (end - start).total_seconds())
    return total
