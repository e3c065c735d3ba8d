"""How a study stands, from its tables and `study.json` alone, during a run and after it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import numpy as np

from orchestrator.config.final_epochs import final_epochs
from orchestrator.config.searches import search_of
from orchestrator.config.stored_settings import StoredSettings
from orchestrator.forecast.remaining import forecast_end, stored_finals, stored_trials
from orchestrator.results.final_runs import FinalRun, final_runs
from orchestrator.results.going_on import resume_command
from orchestrator.results.lock import Holder, holder_of, state_of
from orchestrator.results.rows import EventRow, TrialRow
from orchestrator.results.states import CANNOT_WIN, ENDED, MAY_WIN, Outcome, State
from orchestrator.results.study_record import StudyRecord
from orchestrator.results.study_results import StudyResults
from orchestrator.stats.settled import SearchProgress, chance_of_another
from trainables.epoch_rows import objective

SECONDS_PER_HOUR: Final = 3600
# What is noted as an event and is as it should be; a kind that is new here counts as a fault.
NO_FAULTS: Final = (
    *("test_opened", "resumed", "settings_changed", "environment_changed", "code_changed"),
    *("data_changed", "weights_changed", "final_superseded", "final_restarted", "budget_reached"),
    "images_fed",
)


@dataclass(frozen=True, kw_only=True)
class FamilyStatus:
    """One family in the search.

    Attributes:
        best_validation_accuracy: That of the best trial by the objective, of those at the largest
            share of the training images that neither diverged nor failed.
        interrupted: Trials that ran when their driver ended.
        stopped: Trials that ASHA stopped.
        completed: Trials that reached the last epoch.
        diverged: Trials whose loss was no longer finite.
        trials: How many were planned, or came where a budget ended a search.
        epochs: Of all its trials together, as `device_seconds`.
        given_up: Why it gets no more trials, if so.
    """

    family: str
    best_validation_accuracy: float | None
    best_trial_id: str | None
    running: int
    interrupted: int
    stopped: int
    completed: int
    failed: int
    diverged: int
    trials: int
    epochs: int
    device_seconds: float
    given_up: str | None


@dataclass(frozen=True, kw_only=True)
class FinalsStatus:
    """The re-trainings.

    Attributes:
        done: How many were tested, of those `expected`.
        epochs: Of all together; `epochs_expected` once all are done.
        unfinished: Those that have an epoch and go on, or will when the study does.
        failed: Those that ended without a test in the study's last run.
    """

    done: int
    expected: int
    epochs: int
    epochs_expected: int
    unfinished: tuple[FinalRun, ...]
    failed: tuple[FinalRun, ...]


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What went wrong: kind to how often, and of `events.parquet` the last three, latest first."""

    counts: Mapping[str, int]
    latest: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class MoreTrials:
    """The trials that run or are to come, at the largest share of the training images.

    Attributes:
        chance_of_another_winner: That they change which family is the most accurate in the end.
        device_hours: That they take, if they are like those that have ended.
    """

    trials: int
    chance_of_another_winner: float
    device_hours: float


@dataclass(frozen=True, kw_only=True)
class StudyStatus:
    """How a study stands.

    Attributes:
        folder: Absolute.
        objective: By which the best trial is the best.
        state: `running` (a driver holds it), `interrupted`, `completed`, `incomplete`, `failed`.
        run: Which run is the last one, from 1; more than 1 if it was resumed.
        driver: Who holds it, or died holding it.
        ended_at: None while it runs and where its driver was killed.
        resume_command: How to go on where it was interrupted or its driver failed.
        finals: None before the choice.
        finals_begun: Re-trainings of baselines that idle slots of the search have begun.
        tables_age_seconds: Since the last table was written; None where there is none.
        time_left_seconds: An estimate; None where there is nothing to estimate it from, or the end
            is overdue.
        more_trials: What the trials to come may change; None once the search is over, and before
            ten trials of each of two families have ended.
    """

    study: str
    folder: str
    demo: tuple[str, ...]
    objective: str
    state: str
    run: int
    driver: Holder | None
    started_at: str | None
    run_started_at: str | None
    ended_at: str | None
    resume_command: str | None
    families: tuple[FamilyStatus, ...]
    finals: FinalsStatus | None
    finals_begun: int
    faults: Faults
    tables_age_seconds: float | None
    time_left_seconds: float | None
    more_trials: MoreTrials | None


def read_status(folder: Path, *, now: float | None) -> StudyStatus:
    """Reads how a study stands; tables that are not there yet count as empty.

    Args:
        folder: The study's.
        now: The time, in seconds since the epoch; None: the last of which the tables tell.

    Raises:
        ValueError: The folder is no study, or a file in it is damaged.
        OSError: A file cannot be read.
    """
    folder = folder.resolve()
    # The holder first: one that ends while the rest is read has then written the outcome.
    holder = holder_of(folder)
    results = StudyResults(folder)
    study = results.study
    state = state_of(study.outcome, holder)
    trials, events = results.rows("trials"), results.rows("events")
    alive = state == Outcome.RUNNING
    searching = state not in ENDED and _searching(study, trials)
    if searching:
        # A choice there is was made before the study was extended.
        study = study.model_copy(update={"choice": None, "halted": {}})
    finals = final_runs(study, results.rows("final_epochs"), results.rows("final"), events)
    # Finals of a choice that was made before the study was extended are not those begun early.
    stale = searching and results.study.choice is not None
    retrained = [] if stale else stored_finals(results.table_or_empty("final_epochs"))
    failed_families = _failed_families(study, trials, events)
    left, moment = None, None if now is None else datetime.fromtimestamp(now, UTC)
    if alive:
        stored = stored_trials(trials, results.table_or_empty("epochs"), study.cluster)
        left = forecast_end(study, stored, retrained, finals, failed_families)
    return StudyStatus(
        study=study.name,
        folder=str(folder),
        demo=tuple(study.demo),
        objective=study.settings.objective,
        state=state,
        run=max(1, len(study.runs)),
        driver=holder if state in {Outcome.RUNNING, Outcome.INTERRUPTED} else None,
        started_at=study.started_at,
        run_started_at=study.runs[-1].started_at if study.runs else None,
        ended_at=None if alive or study.outcome == Outcome.RUNNING else study.ended_at,
        resume_command=None if alive or state in ENDED else resume_command(folder),
        families=tuple(
            _family(name, trials, study, alive=alive, given_up=failed_families.get(name))
            for name in study.settings.families
        ),
        finals=None if finals is None else _finals(finals, study.settings),
        finals_begun=len(retrained) if finals is None else 0,
        faults=_faults(events),
        tables_age_seconds=_age(folder, now),
        time_left_seconds=None if left is None else left.on(moment or left.at),
        more_trials=_more_trials(study, trials, failed_families) if searching else None,
    )


def _searching(study: StudyRecord, trials: Sequence[TrialRow]) -> bool:
    """Whether the search is not over: a trial runs, or is still to come."""
    counted = Counter(search_of(row["trial_id"]) for row in trials)
    return any(row["status"] == State.RUNNING for row in trials) or any(
        counted[search.name] < study.settings.trials
        for search in study.searches
        if search.name not in study.closed and search.family not in study.halted
    )


def _failed_families(
    study: StudyRecord, trials: Sequence[TrialRow], events: Sequence[EventRow]
) -> dict[str, str]:
    """Family to why; `study.json` says so after the search, until then the events do."""
    if study.choice is not None:
        return study.halted
    # One that was given up in an earlier run may be tried again.
    busy = {row["family"] for row in trials if row["status"] == State.RUNNING}
    return {
        row["family"]: row["detail"]
        for row in events
        if row["kind"] == "family_halted"
        and row["family"] is not None
        and row["family"] not in busy
    }


def _family(
    name: str, trials: Sequence[TrialRow], study: StudyRecord, *, alive: bool, given_up: str | None
) -> FamilyStatus:
    """How far a family's search is; trials that are said to run do where a driver is alive."""
    searches = [each.name for each in study.searches if each.family == name]
    own = [row for row in trials if row["family"] == name]
    count = Counter(row["status"] for row in own)
    eligible = [
        row
        for row in own
        if search_of(row["trial_id"]) == name  # at the largest share
        and row["status"] not in CANNOT_WIN
        and row["validation_accuracy"] is not None
    ]
    eligible.sort(key=lambda row: (-objective(row), row["validation_loss"], row["trial_id"]))
    best = eligible[0] if eligible else None
    return FamilyStatus(
        family=name,
        best_validation_accuracy=best and best["validation_accuracy"],
        best_trial_id=best and best["trial_id"],
        running=count[State.RUNNING] if alive else 0,
        interrupted=0 if alive else count[State.RUNNING],
        **{state: count[state] for state in ("stopped", "completed", "failed", "diverged")},
        trials=sum(study.closed.get(each, study.settings).trials for each in searches),
        epochs=sum(row["epochs_run"] for row in own),
        device_seconds=sum(row["device_seconds"] for row in own),
        given_up=given_up,
    )


def _more_trials(
    study: StudyRecord, trials: Sequence[TrialRow], failed_families: Collection[str]
) -> MoreTrials | None:
    """What more trials may change; None where too few have ended, or there is one family."""
    images = study.dataset.validation_images
    families, seconds = {}, 0.0
    for name in study.settings.families:
        own = [row for row in trials if search_of(row["trial_id"]) == name]
        ended = [row for row in own if row["status"] != State.RUNNING]
        found = [
            objective(row)
            for row in ended
            if row["status"] in MAY_WIN and row["validation_accuracy"] is not None
        ]
        to_come = len(own) if name in failed_families else study.settings.trials
        families[name] = SearchProgress(accuracies=np.array(found), to_come=to_come - len(ended))
        if ended:
            usual = fmean(row["device_seconds"] for row in ended)
            begun = sum(row["device_seconds"] for row in own if row["status"] == State.RUNNING)
            seconds += max(0.0, usual * families[name].to_come - begun)
    chance = chance_of_another(families, images=images) if images else None
    if chance is None:
        return None
    return MoreTrials(
        trials=sum(each.to_come for each in families.values()),
        chance_of_another_winner=chance,
        device_hours=seconds / SECONDS_PER_HOUR,
    )


def _finals(runs: Sequence[FinalRun], settings: StoredSettings) -> FinalsStatus:
    return FinalsStatus(
        done=sum(run.done for run in runs),
        expected=len(runs),
        epochs=sum(run.epochs for run in runs),
        epochs_expected=sum(final_epochs(settings, run.train_fraction) for run in runs),
        unfinished=tuple(run for run in runs if run.epochs and not (run.done or run.failed)),
        failed=tuple(run for run in runs if run.failed),
    )


def _faults(events: Sequence[EventRow]) -> Faults:
    faults = [row for row in events if row["kind"] not in NO_FAULTS]
    said = [{**row, "detail": " ".join(row["detail"].split())} for row in reversed(faults[-3:])]
    latest = [{name: row[name] for name in ("at", "kind", "trial_id", "detail")} for row in said]
    counts = Counter(row["kind"] for row in faults).most_common()
    return Faults(counts=dict(counts), latest=tuple(latest))


def _age(folder: Path, now: float | None) -> float | None:
    written = max((path.stat().st_mtime for path in folder.glob("*.parquet")), default=None)
    return None if written is None else max(0.0, (now or written) - written)
