"""How far the search of one family is, from the rows of its trials."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.config.searches import search_of
from orchestrator.results.rows import TrialRow
from orchestrator.results.states import CANNOT_WIN, State
from orchestrator.results.study_record import StudyRecord
from trainables.epoch_rows import objective


@dataclass(frozen=True, kw_only=True)
class FamilyStatus:
    """One family in the search.

    Attributes:
        best_validation_accuracy: Of the trials at the largest share of the training images that
            neither diverged nor failed.
        best_trial_id: The trial that has it.
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


def family_status(
    name: str,
    trials: Sequence[TrialRow],
    study: StudyRecord,
    *,
    alive: bool,
    given_up: str | None,
) -> FamilyStatus:
    """How far a family's search is.

    Args:
        name: The family's.
        trials: Rows of `trials.parquet`, of all families.
        study: The study.
        alive: The study has a driver, so that trials that are said to run do.
        given_up: Why the family gets no more trials, if so.
    """
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
        stopped=count[State.STOPPED],
        completed=count[State.COMPLETED],
        failed=count[State.FAILED],
        diverged=count[State.DIVERGED],
        trials=sum(study.closed.get(each, study.settings).trials for each in searches),
        epochs=sum(row["epochs_run"] for row in own),
        device_seconds=sum(row["device_seconds"] for row in own),
        given_up=given_up,
    )
