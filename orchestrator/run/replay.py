"""Replay of a study's stored rows, in order, into its records, its rungs and Optuna."""

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

from orchestrator.cli import counted
from orchestrator.config.searches import search_of, trial_order
from orchestrator.plan import remains, warm_start
from orchestrator.plan.provenance import changed
from orchestrator.results import files
from orchestrator.results.final_runs import key_of
from orchestrator.results.rows import EpochRow, EventRow, FinalEpochRow, FinalRow, ProposedRow
from orchestrator.results.schema import PLACE
from orchestrator.results.states import Outcome, State
from orchestrator.results.study_record import StudyRecord
from orchestrator.results.study_results import by_sequence
from orchestrator.run import finals
from orchestrator.run.winners import without_weights
from orchestrator.search.family_searcher import FamilySearch
from orchestrator.search.scheduler import RecordingScheduler
from orchestrator.stats.asha import EXEMPT, FamilyRungs
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.trial import (
    BASELINE_ROLE,
    FAILURES,
    PROGRESS,
    TrialRecord,
    TrialSpec,
    failure_of_text,
    spec_of_row,
)
from trainables import checkpoints
from trainables.trial_files import PREDICTIONS, checkpoint_folder

SHOWN: Final = 5  # files that changed


@dataclass(frozen=True, kw_only=True)
class StoredStudy:
    """Rows of a study's tables as earlier runs left them; a new study has none.

    Attributes:
        trials: Also of trials that only a claim names; sorted by trial.
        epochs: Sorted by sequence, as `final_epochs`.
        claims: Trial or final to its last attempt's claim, where there are checkpoints.
        damaged: Table to what is wrong with it; it counts as missing.
        lost: Trials and finals that had not ended and have no intact checkpoint, to how many epochs
            they have.
        changes: Kind and detail of the events that resuming it gives.
        forgiven: Earlier errors do not count: the code changed, or the study had ended.
    """

    trials: list[ProposedRow] = field(default_factory=list)
    epochs: list[EpochRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    final: list[FinalRow] = field(default_factory=list)
    final_epochs: list[FinalEpochRow] = field(default_factory=list)
    claims: Mapping[str, checkpoints.Claim] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)
    changes: Sequence[tuple[str, str]] = ()
    forgiven: bool = False

    def attempts(self, trial_id: str) -> int:
        """The number of attempts at a trial that have begun, by its checkpoints."""
        return self.claims[trial_id].attempt if trial_id in self.claims else 0


def read(folder: Path, study: StudyRecord, now: StudyRecord) -> StoredStudy:
    """Reads the rows that a killed, interrupted or finished driver left.

    A trial that was proposed just before the driver died may be in no table yet, but its attempt
    has left a claim beside its checkpoints: it too is the study's. `study` is as it was left, and
    `now` as the run that begins describes it.
    """
    claims, damaged_claims = remains.read_claims(folder)
    tables, damaged = remains.read_tables(folder)
    trials: list[ProposedRow] = tables["trials"]
    known = {row["trial_id"] for row in trials}
    searches = {search.name for search in study.searches}
    trials += [
        _row_of_claim(claim)
        for trial_id, claim in claims.items()
        if trial_id not in known and search_of(trial_id) in searches
    ]
    lost = _lost(folder, tables, trials, {*claims})
    return StoredStudy(
        lost=lost,
        trials=sorted(trials, key=lambda row: trial_order(row["trial_id"])),
        epochs=by_sequence(tables["epochs"]),
        events=tables["events"],
        final=tables["final"],
        final_epochs=by_sequence(tables["final_epochs"]),
        claims=claims,
        damaged=damaged,
        changes=[
            *changes(study, now),
            *damaged_claims,
            *(("table_damaged", f"it counts as missing: {why}") for why in damaged.values()),
            *(
                (
                    "checkpoints_lost",
                    f"{name} has none that is intact, so it is trained anew, with "
                    f"{counted(epochs, 'recorded epoch')} kept",
                )
                for name, epochs in lost.items()
            ),
        ],
        forgiven=study.code_sha256 != now.code_sha256 or study.outcome == Outcome.INCOMPLETE,
    )


def _lost(
    folder: Path,
    tables: Mapping[str, Sequence[Any]],
    trials: Sequence[ProposedRow],
    begun: set[str],
) -> dict[str, int]:
    """See `StoredStudy`; finals without any start again, so that those `begun` alone count."""
    known = Counter(row["trial_id"] for row in (*tables["epochs"], *tables["final_epochs"]))
    ended = {
        *(row["trial_id"] for row in tables["final"]),
        *(
            row["trial_id"]
            for row in trials
            if row["status"] != State.RUNNING and known[row["trial_id"]] >= row["epochs_run"]
        ),
    }
    lost = {}
    for name in sorted({*begun, *(row["trial_id"] for row in trials)} - ended, key=trial_order):
        found, damaged = checkpoints.newest(checkpoint_folder(folder, name))
        if found is None and (damaged or known[name]):
            lost[name] = known[name]
    return lost


def changes(study: StudyRecord, now: StudyRecord) -> list[tuple[str, str]]:
    """The events to record when a study is resumed: their kinds and details."""
    last = study.runs[-1].outcome
    before = "killed" if last == Outcome.RUNNING else last
    noted = [("resumed", f"run {len(study.runs) + 1}, after one that was {before}")]
    for what in ("settings", "environment"):
        old, new = study.raw[what], now.raw[what]
        noted += [
            (f"{what}_changed", f"{name}: {old.get(name)} -> {value}")
            for name, value in new.items()
            if old.get(name) != value
        ]
    if study.code_sha256 != now.code_sha256:
        noted.append(("code_changed", f"{study.code_sha256} -> {now.code_sha256}"))
    # Of the test part and the weights, which had not been used.
    other = [
        f"{name}: SHA-256 {before} -> {after}"
        for name, before, after in changed(study.dataset.files, now.dataset.files)
    ]
    if other:
        more = f"; and {len(other) - SHOWN} more" if len(other) > SHOWN else ""
        files_text = f"{'; '.join(other[:SHOWN])}{more}"
        noted.append(("data_changed", f"of the test part, which had not been opened: {files_text}"))
    if study.weights_sha256 != now.weights_sha256:
        why = f"no epoch rests on them: SHA-256 {study.weights_sha256} -> {now.weights_sha256}"
        noted.append(("weights_changed", why))
    return noted


def replay_search(
    stored: StoredStudy, recorder: Recorder, scheduler: RecordingScheduler, search: FamilySearch
) -> None:
    """Restores the state of the search from its rows.

    Each row goes through its search's rungs in its original order; what they decide is what was
    decided then. Optuna learns of ended trials, others get another attempt.
    """
    for row in stored.trials:
        record = _record_of(row)
        record.attempts = max(record.attempts, stored.attempts(record.spec.trial_id))
        record.spent_seconds = recorder.wall_seconds(row["device_seconds"])
        recorder.restore(record)
    for epoch in stored.epochs:
        scheduler.replay(epoch["trial_id"], epoch)
    for row in stored.trials:
        record = recorder.trials[row["trial_id"]]
        if len(record.rows) < row["epochs_run"]:
            # The driver died between two files: what is missing comes again from the checkpoint.
            recorder.reopen(record)
        if row["trial_id"] in stored.lost:
            checkpoints.remove(checkpoint_folder(recorder.folder, row["trial_id"]))
            record.starts_over = True
    if not stored.forgiven:
        _replay_failures(stored, recorder, search)
    for record in list(recorder.trials.values()):
        if record.status != State.RUNNING:
            recorder.discard_checkpoints(record.spec.trial_id)
        search.resume(record)


def replay_warm_start(folder: Path, rungs: FamilyRungs, search: FamilySearch) -> None:
    """Adds the trials that a study learns from to its rungs and to Optuna, in their order there."""
    trials, epochs = warm_start.kept(folder)
    first_cuts: dict[str, int] = {}
    exempt = {row["trial_id"] for row in trials if row["role"] == BASELINE_ROLE}
    for row, arrival in rungs.replay(epochs, exempt=exempt, origin=warm_start.FOLDER):
        if arrival.decision == EXEMPT:
            first_cuts.setdefault(row["trial_id"], row["epoch"])
    records = {trial["trial_id"]: _record_of(trial) for trial in trials}
    for epoch in epochs:
        records[epoch["trial_id"]].rows.append(epoch)
    for trial_id, record in records.items():
        search.learn_from_elsewhere(record, first_cuts.get(trial_id))


def replay_finals(
    stored: StoredStudy, specs: Sequence[TrialSpec], recorder: Recorder, folder: Path
) -> list[TrialSpec]:
    """Restores the state of the finals from their rows.

    Those of a winner that is the winner no more are discarded, and those that had ended without a
    test (and so without a checkpoint to go on from) start again, both with an event.

    Returns:
        Those of `specs` still to be run, those that had begun first.
    """
    begun = {*stored.claims, *(row["trial_id"] for row in stored.final_epochs)}
    begun |= {row["trial_id"] for row in stored.final}
    incomplete = _incomplete(stored, folder)
    for spec in specs:
        if spec.trial_id not in begun:
            continue
        discarded = incomplete.get(spec.trial_id) or _discarded(spec, stored)
        if discarded is None:
            recorder.restore(_final_record(spec, stored, recorder))
        else:
            shutil.rmtree(checkpoint_folder(folder, spec.trial_id), ignore_errors=True)
            recorder.event(*discarded)
    for row in stored.final_epochs:
        if row["trial_id"] in recorder.trials:
            recorder.restore_epoch(row["trial_id"], row)
    records = recorder.trials
    finals.restore_predictions(folder, [r for r in records.values() if r.status != State.RUNNING])
    left = [
        s for s in specs if s.trial_id not in records or records[s.trial_id].status == State.RUNNING
    ]
    return sorted(left, key=lambda spec: spec.trial_id not in records)


def _replay_failures(stored: StoredStudy, recorder: Recorder, search: FamilySearch) -> None:
    for row in stored.events:
        if row["kind"] == "family_halted" and row["family"] is not None:
            search.failed_families[row["family"]] = row["detail"]
        record = recorder.trials.get(row["trial_id"] or "")
        if record is not None and row["kind"] in FAILURES:
            record.failures.append(failure_of_text(row["kind"], row["detail"]))
    ended = [r for r in recorder.trials.values() if r.ended_at is not None]
    for record in sorted(ended, key=lambda each: each.ended_at or datetime.min):
        search.note_end(record)


def _record_of(row: ProposedRow) -> TrialRecord:
    """A trial as its row has it, without its epochs."""
    known: Mapping[str, Any] = row  # of which one that was only proposed has no place
    return TrialRecord(
        spec=spec_of_row(row),
        place={name: known[name] for name in PLACE if known.get(name) is not None},
        device=known.get("device") or None,
        **{name: known[name] for name in PROGRESS},
    )


def _final_record(spec: TrialSpec, stored: StoredStudy, recorder: Recorder) -> TrialRecord:
    """A final as its rows have it, without its epochs; running if it was not tested yet."""
    tested = [row for row in stored.final if row["trial_id"] == spec.trial_id]
    epochs = [row for row in stored.final_epochs if row["trial_id"] == spec.trial_id]
    attempts = max([stored.attempts(spec.trial_id), *(row["attempt"] for row in epochs)])
    # No table has what an attempt took besides its epochs.
    spent = sum(row["epoch_seconds"] for row in epochs)
    record = TrialRecord(spec=spec, attempts=attempts, spent_seconds=spent)
    if tested:
        record.status, record.final = State.COMPLETED, finals.measured(tested[0])
        record.place = {"device_name": tested[0].get("device_name")}
        record.spent_seconds = recorder.wall_seconds(tested[0]["device_seconds"])
    return record


def _incomplete(stored: StoredStudy, folder: Path) -> dict[str, tuple[str, str]]:
    """Tested finals that lost epochs, predictions or a winner's weights, to the event saying so."""
    epochs = Counter(row["trial_id"] for row in stored.final_epochs)
    gone = [
        row
        for row in stored.final
        if not (checkpoint_folder(folder, row["trial_id"]) / PREDICTIONS).exists()
    ]
    known = set()
    if gone:
        with contextlib.suppress(ValueError):
            predictions = files.read_table(folder, "predictions")
            keys = predictions.group_by(["family", "role", "seed", "train_fraction"]).aggregate([])
            known = set(map(key_of, keys.to_pylist()))
    lost = {
        **dict.fromkeys(without_weights(folder, stored.final), "its weights are lost"),
        **{row["trial_id"]: "its predictions are lost" for row in gone if key_of(row) not in known},
        **{
            row["trial_id"]: "epochs of it are lost"
            for row in stored.final
            if epochs[row["trial_id"]] != row["last_epoch"]
        },
    }
    return {name: ("final_restarted", f"{name}: {why}") for name, why in lost.items()}


def _discarded(spec: TrialSpec, stored: StoredStudy) -> tuple[str, str] | None:
    """Why what is stored of a final must not be used, as an event; None if it is this final's.

    What it was trained with is said by its own rows and claim: `study.json` may have a newer choice
    already, if the driver was killed right after that was made.
    """
    trained = [
        *(json.loads(r["params_json"]) for r in stored.final if r["trial_id"] == spec.trial_id),
        *(c.trial["params"] for name, c in stored.claims.items() if name == spec.trial_id),
    ]
    if not trained or spec.trial_id in stored.lost:
        why = "was not tested, and has no checkpoint to go on from"
        return "final_restarted", f"{spec.trial_id} {why}"
    if any(params != dict(spec.params) for params in trained):
        return "final_superseded", f"{spec.trial_id} was of an earlier winner"
    return None


def _row_of_claim(claim: checkpoints.Claim) -> ProposedRow:
    """A trial that no table has yet, as a row of `trials.parquet`."""
    given = {name: value for name, value in claim.trial.items() if name != "params"}
    row = {
        **given,
        "params_json": json.dumps(claim.trial["params"]),
        "status": State.RUNNING,
        "epochs_run": 0,
        "attempts": claim.attempt,
        "device_seconds": 0.0,
        **dict.fromkeys(("stop_reason", "error", "started_at", "ended_at")),
    }
    return cast("ProposedRow", row)
