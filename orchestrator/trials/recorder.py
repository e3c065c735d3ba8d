"""Rows of a running study in memory: its trials, epochs, rungs and events."""

import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from orchestrator.config.searches import trial_order
from orchestrator.forecast.workload import Trained
from orchestrator.results.rows import Epoch, EpochRow, EventRow, RungRow
from orchestrator.results.schema import LATER, PLACE, parameter_columns
from orchestrator.results.states import State
from orchestrator.stats.asha import Arrival
from orchestrator.trials.device_types import DeviceTypes
from orchestrator.trials.family_totals import FamilyTotals
from orchestrator.trials.table_writer import TableWriter
from orchestrator.trials.trial import PROGRESS, Failure, TrialRecord, TrialSpec
from trainables import checkpoints
from trainables.epoch_rows import objective
from trainables.secrets import redacted
from trainables.trial_files import checkpoint_folder

Report = Mapping[str, Any]
"""What a trial tells of an epoch, as Tune passes it on."""


class Unpickled:
    """Base of what Tune pickles and nothing ever reads back: an empty object stands for it."""

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        return object, ()


class Recorder(Unpickled):
    """Keeps the rows of one phase (search or finals) and hands them to the writer."""

    def __init__(
        self,
        *,
        study: str,
        folder: Path,
        writer: TableWriter,
        devices_per_trial: float,
        device: str,
        epochs_table: str,
        events: list[EventRow],
        types: DeviceTypes | None = None,
    ) -> None:
        """Starts empty.

        What trials reserve are `devices_per_trial` GPUs, or a share of one, and CPUs where there is
        none. The rows of `events` are shared by the phases, and so are the types of devices.
        """
        self._types = types or DeviceTypes({}, lambda _: None)
        self._study, self.folder, self._writer = study, folder, writer
        self._devices, self._device, self._epochs_table = devices_per_trial, device, epochs_table
        self.lock = writer.lock  # what is recorded under it is written together
        self.check_kept = writer.check_running
        self._sequence = 0
        self.trials: dict[str, TrialRecord] = {}
        self._totals: defaultdict[str, FamilyTotals] = defaultdict(FamilyTotals)
        self._epochs: list[EpochRow] = []
        self._rungs: list[RungRow] = []
        self._events = events

    def publish(self, *, search: bool) -> None:
        """Has the tables of this phase written from now on; restored rows must be there already.

        Args:
            search: Also `trials` and `rungs`.
        """
        self._writer.add(self._epochs_table, lambda: list(self._epochs))
        self._writer.add("events", lambda: list(self._events))
        if search:
            self._writer.add("trials", self.trial_rows)
            self._writer.add("rungs", lambda: list(self._rungs))

    def restore(self, record: TrialRecord) -> None:
        """Restores a trial of an earlier run; its epochs follow by `restore_epoch`."""
        self.trials[record.spec.trial_id] = record
        self.totals(record.spec.family).take(record)

    def reopen(self, record: TrialRecord) -> None:
        """Has an ended trial run again; one that runs does so anyway."""
        if record.status == State.RUNNING:
            return
        with self.lock:
            self.totals(record.spec.family).reopen(record)
            record.status, record.stop_reason, record.ended_at = State.RUNNING, None, None

    def restore_epoch(self, trial_id: str, row: EpochRow) -> int:
        """Restores a row of `epochs.parquet`, in the order of `sequence`; returns that."""
        record = self.trials[trial_id]
        record.rows.append(_epoch_of(row))
        self.totals(record.spec.family).epoch(record, row)
        self._epochs.append(row.copy())
        self._sequence = record.sequence = row["sequence"]
        record.heard_at = row["reported_at"]
        return self._sequence

    def propose(self, spec: TrialSpec) -> int:
        """Records a new attempt at a trial; returns its number, from 1."""
        with self.lock:
            if spec.trial_id not in self.trials:
                self.restore(TrialRecord(spec=spec))
            record = self.trials[spec.trial_id]
            record.attempts += 1
            record.device = self._device
            record.started_at = record.started_at or _now()
        self._writer.changed("trials")
        return record.attempts

    def attempt_began(self, trial_id: str, devices: float | None = None) -> None:
        """Starts the clock: the attempt's process has its devices; None: as many as trials do."""
        record = self.trials[trial_id]
        record.attempt_devices = 1.0 if devices is None else devices / self._devices
        record.attempt_began, record.attempt_weight = time.monotonic(), 1.0

    def attempt_ended(self, trial_id: str) -> None:
        """Stops the clock: the attempt gives its devices back."""
        with self.lock:
            record = self.trials[trial_id]
            record.spent_seconds = record.wall_seconds()
            record.attempt_began = None

    def epoch(self, trial_id: str, result: Report) -> int | None:
        """Records an epoch; returns its sequence number, None if the row was there already.

        A trial that is to stop gets no more rows: an attempt may report some at once.
        """
        with self.lock:
            record = self.trials[trial_id]
            record.starts_over = False  # that epoch has a checkpoint
            if result["epoch"] <= len(record.rows) or record.stopping:
                return None
            assert result["epoch"] == len(record.rows) + 1, (trial_id, result["epoch"])
            row = _epoch_of(result)
            record.rows.append(row)
            self.totals(record.spec.family).epoch(record, row)
            place = place_of(result) or record.place
            before = self._types.take(place)
            if before:
                other = f"{place['device_name']} on {place['node']}, earlier trials ran on {before}"
                self.event("other_device", other, trial_id)
            # Where it runs says what a second of its attempt counts.
            record.place, record.attempt_weight = place, self._types.weight(place)
            self._sequence = record.sequence = self._sequence + 1
            record.heard_at = _now()
            self._epochs.append(self._epoch_columns(record, row))
        self._writer.changed(self._epochs_table, "trials")
        return self._sequence

    def rung(self, trial_id: str, sequence: int, arrival: Arrival) -> None:
        """Records an arrival at a rung of ASHA and what was decided."""
        family = self.trials[trial_id].spec.family
        row = {"study": self._study, "family": family, "trial_id": trial_id, "sequence": sequence}
        with self.lock:
            self._rungs.append(cast("RungRow", {**row, **vars(arrival)}))
        self._writer.changed("rungs")

    def rungs_of(self, trial_id: str) -> list[RungRow]:
        """A trial's arrivals at rungs, in order."""
        return [row for row in self._rungs if row["trial_id"] == trial_id]

    def failed_attempt(self, trial_id: str, failure: Failure) -> None:
        """Records why an attempt ended early."""
        record = self.trials[trial_id]
        record.failures.append(failure)
        record.error = redacted(failure.message)
        self.event(failure.kind, failure.message, trial_id)

    def end(self, trial_id: str, status: str, reason: str | None = None) -> None:
        """Records a trial's terminal state; its checkpoints go once its rows are on disk."""
        with self.lock:
            record = self.trials[trial_id]
            record.status, record.stop_reason, record.ended_at = status, reason, _now()
            self.totals(record.spec.family).end(record)
        self._writer.changed("trials", "final", "predictions")
        self.discard_checkpoints(trial_id)

    def discard_checkpoints(self, trial_id: str) -> None:
        """Removes the checkpoints of an ended trial once its rows are on disk."""
        folder = checkpoint_folder(self.folder, trial_id)
        self._writer.afterwards(lambda: checkpoints.remove(folder))

    def event(
        self, kind: str, detail: str, trial_id: str | None = None, family: str | None = None
    ) -> None:
        """Records a fault, a retry, a test opening; a known trial's family need not be named."""
        family = self.trials[trial_id].spec.family if trial_id in self.trials else family
        self._events.append(event_row(self._study, kind, detail, family, trial_id))
        self._writer.changed("events")

    def device_seconds(self, record: TrialRecord) -> float:
        """Wall seconds of a trial times the devices it reserves."""
        return self.device_seconds_of(record.wall_seconds())

    def device_seconds_of(self, wall_seconds: float) -> float:
        """Wall seconds of trials times the devices that each reserves."""
        return wall_seconds * self._devices

    def wall_seconds(self, device_seconds: float) -> float:
        """The inverse of `device_seconds`, for a stored row."""
        return device_seconds / self._devices

    def of_family(self, family: str) -> list[TrialRecord]:
        """The records of a family in the order of their first attempts."""
        with self.lock:
            return list(self.totals(family).records)

    def trained(self, family: str | None = None) -> list[Trained]:
        """Progress of the trials, of one family or of all, for a forecast."""
        with self.lock:
            records = self.trials.values() if family is None else self.totals(family).records
            return [_trained(record) for record in records]

    def totals(self, family: str) -> FamilyTotals:
        """A family's running totals; they change with each row, so read them under `lock`."""
        return self._totals[family]

    def of_search(self, search: str) -> list[TrialRecord]:
        """The records of a search in the order of their first attempts."""
        with self.lock:
            return [r for r in self.trials.values() if r.spec.search == search]

    def known(self) -> int:
        """Number that grows with each epoch, failure and end of a trial."""
        with self.lock:
            records = self.trials.values()
            ends = sum(len(r.failures) + (r.status != State.RUNNING) for r in records)
            return len(self._epochs) + ends

    def epoch_rows(self) -> list[EpochRow]:
        """The rows of the phase's table of epochs, in the order in which they came."""
        with self.lock:
            return list(self._epochs)

    def trial_rows(self) -> list[dict[str, Any]]:
        """The rows of `trials.parquet`, sorted by trial."""
        with self.lock:
            return [self._trial_row(self.trials[n]) for n in sorted(self.trials, key=trial_order)]

    def _trial_row(self, record: TrialRecord) -> dict[str, Any]:
        spec = record.spec
        best: Mapping[str, Any] = record.best or {}
        validation = ("loss", "accuracy", "precision", "recall", "f1")
        return {
            "study": self._study,
            **spec.columns,
            **{name: getattr(record, name) for name in PROGRESS},
            "epochs_run": len(record.rows),
            "best_epoch": best.get("epoch"),
            **{f"validation_{name}": best.get(f"validation_{name}") for name in validation},
            "objective": objective(best) if best else None,
            "device_seconds": self.device_seconds(record),
            **{name: record.place.get(name) for name in PLACE},
            "device": record.device or self._device,
            **parameter_columns(spec.params),
        }

    def _epoch_columns(self, record: TrialRecord, row: Epoch) -> EpochRow:
        spec = record.spec
        assert record.heard_at is not None
        columns = {
            "study": self._study,
            "family": spec.family,
            "trial_id": spec.trial_id,
            "sequence": self._sequence,
            "attempt": record.attempts,
            "reported_at": record.heard_at,
            "device_name": record.place.get("device_name"),
            **row,
        }
        if self._epochs_table == "final_epochs":
            columns |= {"role": spec.role, "seed": spec.seed_index}
            columns["train_fraction"] = spec.train_fraction
        return cast("EpochRow", columns)


def _epoch_of(row: Report) -> Epoch:
    """The columns of an epoch; some may be missing in a study of an earlier version."""
    found = {name: row.get(name) if name in LATER else row[name] for name in Epoch.__annotations__}
    return cast("Epoch", found)


def _trained(record: TrialRecord) -> Trained:
    spec, best = record.spec, record.best
    same = ("status", "attempts", "device", "started_at", "heard_at", "ended_at", "sequence")
    return Trained(
        **{name: getattr(spec, name) for name in ("trial_id", "family", "role", "train_fraction")},
        **{name: getattr(record, name) for name in same},
        epochs=len(record.rows),
        epoch_seconds=sum(row["epoch_seconds"] for row in record.rows),
        wall_seconds=record.wall_seconds(),
        edge=spec.params.get("input_size"),
        validation=None if best is None else (objective(best), best["validation_loss"]),
    )


def event_row(
    study: str, kind: str, detail: str, family: str | None = None, trial_id: str | None = None
) -> EventRow:
    """A row of `events.parquet` for what happens now."""
    return {
        "study": study,
        "at": _now(),
        "kind": kind,
        "family": family,
        "trial_id": trial_id,
        "detail": redacted(detail),
    }


def place_of(result: Report) -> dict[str, Any]:
    """The device and node that a trial reports; see `trainables.place.Place`."""
    return {name: result[name] for name in PLACE if name in result}


def _now() -> datetime:
    return datetime.now(UTC)
