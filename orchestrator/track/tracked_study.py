"""A study as trackers see it: runs with parameters, metrics by epoch, a summary and tags.

And what a tracker must do with it; a tracker's package is imported when it is opened.
"""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from orchestrator.config.searches import search_for, search_of
from orchestrator.config.trackers import Target
from orchestrator.results import schema
from orchestrator.results.final_runs import final_id, final_runs
from orchestrator.results.rows import models_of
from orchestrator.results.states import Outcome, State
from orchestrator.results.study_results import StudyResults

FILES: Final = ("study.json", "comparison.md", "report.html")
LONGEST_TAG: Final = 5_000
# Columns of a run's row that a tracker has otherwise: as what the run is, and as its parameters.
_ELSEWHERE: Final = frozenset({"study", "trial_id", "params_json", "started_at", "ended_at"})
_PARAMETERS: Final = ("role", "seed", "train_fraction")
_EPOCH_NUMBERS: Final = sorted(
    {*schema.FIXED_SCHEMAS["epochs"].names}
    - {"study", "family", "trial_id", "reported_at", "device_name"}
)

Metrics = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class TrackedEpoch:
    """A row of `epochs` or `final_epochs`.

    Attributes:
        epoch: From 1; the step of its metrics.
        at: When it was reported.
        metrics: Its numbers by the names of their columns, `epoch` among them.
    """

    epoch: int
    at: datetime
    metrics: Metrics


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """A trial of the search, or a re-training.

    Attributes:
        search: The search it belongs to: a family's, or that of a smaller share.
        phase: `search` or `finals`.
        status: `running`, `completed`, `stopped`, `diverged` or `failed`; it has ended only once
            all its epochs are here.
        params: Its hyperparameters, role, seed and share; of a re-training once it is tested.
        tags: The texts of its row.
        epochs: In order.
        summary: The numbers of its row once it has ended, those of its best epoch as `best_...`.
        started_at: None before its first attempt.
        ended_at: None while it runs.
    """

    name: str
    search: str
    phase: str
    status: str
    params: Mapping[str, bool | int | float | str]
    tags: Mapping[str, str]
    epochs: Sequence[TrackedEpoch]
    summary: Metrics
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class TrackedStudy:
    """A study as its folder has it at one moment.

    Attributes:
        identity: Different for each study, also for two of one name.
        outcome: As in `study.json`: `running` until it has ended.
        searches: Names of its searches, a family each or a family at a share.
        runs: Its trials, then its re-trainings.
        comparison: The final comparison's numbers, means over seeds, by name.
        files: Those there of `FILES`, once it has ended.
    """

    folder: Path
    name: str
    identity: str
    outcome: str
    tags: Mapping[str, str]
    searches: Sequence[str]
    runs: Sequence[TrackedRun]
    comparison: Metrics
    files: Sequence[Path]
    started_at: datetime | None
    ended_at: datetime | None


class Tracker(Protocol):
    """Where a study is sent to; its errors are those of its package."""

    def update(self, study: TrackedStudy) -> None:
        """Sends what is not there yet; nothing twice, whoever sent it and was killed meanwhile."""

    def close(self) -> None:
        """Ends what is open of it, if anything is."""


def open_tracker(target: Target) -> Tracker:
    """The tracker with nothing sent yet by this object."""
    module = import_module(f"orchestrator.track.to_{target.tracker}")
    tracker: Tracker = getattr(module, f"{target.tracker.capitalize()}Tracker")(target.place)
    return tracker


def read_tracked(folder: Path) -> TrackedStudy:
    """Reads a study, running or ended.

    Raises:
        ValueError: The folder is no study, or a table is damaged.
    """
    results = StudyResults(folder)
    study = results.study
    outcome, first = study.outcome, study.runs[0].started_at if study.runs else ""
    files = [folder / name for name in FILES] if outcome != Outcome.RUNNING else []
    return TrackedStudy(
        folder=folder,
        name=study.name,
        identity=hashlib.sha256(f"{study.name} {first}".encode()).hexdigest()[:16],
        outcome=outcome,
        tags={
            "study": study.name,
            "dataset": study.settings.dataset,
            "status": outcome,
            **({"git_commit": study.git_commit} if study.git_commit else {}),
        },
        searches=[search.name for search in results.searches],
        runs=[*_trials(results), *_finals(results)],
        comparison=dict(_comparison(results)),
        files=[path for path in files if path.is_file()],
        started_at=_moment(first),
        ended_at=_moment(study.ended_at),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _trials(results: StudyResults) -> Iterator[TrackedRun]:
    epochs = _epochs(results, "epochs")  # first: trials read later have at least these
    for row in results.rows("trials"):
        own = epochs[row["trial_id"]]
        whole = len(own) >= row["epochs_run"]
        status = row["status"] if whole else State.RUNNING.value  # W&B has an enum by its name
        yield _run(row, search_of(row["trial_id"]), "search", status, own)


def _finals(results: StudyResults) -> Iterator[TrackedRun]:
    """Re-trainings that have begun; one that has two roles is one run."""
    epochs, rows = _epochs(results, "final_epochs"), results.rows("final")
    tested = {row["trial_id"]: row for row in rows}
    roles: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        roles[row["trial_id"]].append(row["role"])
    stored = results.rows("final_epochs")
    for run in final_runs(results.study, stored, rows, results.rows("events")) or ():
        name = run.trial_id or final_id(run.family, run.role, run.seed, run.train_fraction)
        search = search_for(results.searches, run.family, run.train_fraction).name
        own, done = epochs[name], tested.get(name)
        times = {"started_at": own[0].at, "ended_at": own[-1].at} if own else {}
        if done is not None:
            both = {"role": ",".join(sorted(roles[name]))}
            yield _run({**done, **both, **times}, search, "finals", State.COMPLETED.value, own)
        elif own:
            status = (State.FAILED if run.failed else State.RUNNING).value
            known = {"family": run.family, "role": run.role, "trial_id": name, **times}
            yield _run(known, search, "finals", status, own)


def _run(
    row: Mapping[str, Any], search: str, phase: str, status: str, epochs: Sequence[TrackedEpoch]
) -> TrackedRun:
    numbers, texts = {}, {}
    for name, value in row.items():
        if value is None or name in _ELSEWHERE or name.startswith("param_"):
            continue
        if isinstance(value, str):
            texts[name] = value[:LONGEST_TAG]
        elif name not in _PARAMETERS:  # what epochs have of the same name is another number
            numbers[f"best_{name}" if name in _EPOCH_NUMBERS else name] = float(value)
    ended = status != State.RUNNING
    given = json.loads(row["params_json"]) if "params_json" in row else {}
    kept = {name: row[name] for name in _PARAMETERS if name in row} if given else {}
    return TrackedRun(
        name=row["trial_id"],
        search=search,
        phase=phase,
        status=status,
        params={n: v for n, v in {**given, **kept}.items() if v is not None},
        tags={**texts, "phase": phase, "status": status},
        epochs=epochs,
        summary=numbers if ended else {},
        started_at=row.get("started_at"),
        ended_at=row.get("ended_at") if ended else None,
    )


def _epochs(
    results: StudyResults, table: Literal["epochs", "final_epochs"]
) -> defaultdict[str, list[TrackedEpoch]]:
    epochs: defaultdict[str, list[TrackedEpoch]] = defaultdict(list)
    for row in sorted(results.rows(table), key=lambda row: row["epoch"]):
        known: Mapping[str, Any] = row
        metrics = {n: float(known[n]) for n in _EPOCH_NUMBERS if known.get(n) is not None}
        tracked = TrackedEpoch(epoch=row["epoch"], at=row["reported_at"], metrics=metrics)
        epochs[row["trial_id"]].append(tracked)
    return epochs


def _comparison(results: StudyResults) -> Iterator[tuple[str, float]]:
    for row in results.rows("comparison"):
        if row["seed"] is not None:
            continue
        a, b = map("_".join, models_of(row))
        pair = f"{a}-{b}-f{row['train_fraction']:g}"
        known: Mapping[str, Any] = row
        for column in ("difference", "ci_low", "ci_high", "p_value", "p_value_holm"):
            if known[column] is not None and math.isfinite(known[column]):
                yield f"test_{row['metric']}_{column}/{pair}", known[column]
