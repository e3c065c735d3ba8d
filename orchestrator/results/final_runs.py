"""Final runs that a study's choice asks for, and the progress of each, from its tables."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from orchestrator.config.searches import search_for
from orchestrator.results.rows import EventRow, FinalEpochRow, FinalRow
from orchestrator.results.study_record import Choices, StudyRecord

Key = tuple[str, str, int, float]

FAILED: Final = "final_failed"
DIVERGED: Final = "final_diverged"


@dataclass(frozen=True)
class FinalRun:
    """One final run: a re-training of a baseline or winner.

    Attributes:
        role: `baseline` or `tuned`.
        trial_id: As in the tables; None before its first epoch.
        epochs: How many it has.
        done: It was tested.
        failed: It failed for good, or diverged, in the study's last run.
    """

    family: str
    role: str
    seed: int
    train_fraction: float
    trial_id: str | None
    epochs: int
    done: bool
    failed: bool


def final_id(family: str, role: str, seed: int, fraction: float) -> str:
    """The trial id of a final."""
    return f"{family}-{role}-s{seed}-f{fraction:g}"


def final_runs(
    study: StudyRecord,
    final_epochs: Sequence[FinalEpochRow],
    final: Sequence[FinalRow],
    events: Sequence[EventRow],
) -> list[FinalRun] | None:
    """All re-trainings of a study, None before the choice; a baseline that won is trained once."""
    if study.choice is None:
        return None
    epochs = Counter(key_of(row) for row in final_epochs)
    names = {key_of(row): row["trial_id"] for row in final_epochs}
    tested = {key_of(row) for row in final}
    began = datetime.fromisoformat(study.runs[-1].started_at) if study.runs else None
    # Those that ended without a test; another run tries them again.
    failed = {
        row["trial_id"]
        for row in events
        if row["kind"] in {FAILED, DIVERGED} and (began is None or row["at"] >= began)
    }
    return [
        FinalRun(
            *key,
            trial_id=names.get(key),
            epochs=epochs[key],
            done=key in tested,
            failed=key not in tested and final_id(*key) in failed,
        )
        for key in _expected(study, study.choice)
    ]


def _expected(study: StudyRecord, choice: Choices) -> Iterator[Key]:
    settings, searches = study.settings, study.searches
    for fraction in settings.train_fractions:
        for seed in range(settings.seeds):
            for family in settings.families:
                chosen = choice.get(search_for(searches, family, fraction).name)
                if chosen is None:
                    continue
                yield family, "baseline", seed, fraction
                if not chosen.baseline_won:
                    yield family, "tuned", seed, fraction


def key_of(row: FinalRow | FinalEpochRow) -> Key:
    """Key of a final run, unique among the others."""
    return row["family"], row["role"], row["seed"], row["train_fraction"]
