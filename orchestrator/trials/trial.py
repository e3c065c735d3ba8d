"""A trial in memory: its specification, its record and failures, and the choice of the winner."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from orchestrator.config.searches import search_of, trial_order
from orchestrator.results.rows import Epoch, ProposedRow
from orchestrator.results.states import MAY_WIN, State
from orchestrator.trials.device_types import Place
from search_spaces.baseline import Params
from trainables.epoch_rows import best_row, objective

BASELINE_ROLE: Final = "baseline"
COLUMNS: Final = ("trial_id", "family", "role", "seed", "train_fraction")
"""Of `trials.parquet`, which say what trial it is; and, next, what has become of it."""
PROGRESS: Final = ("status", "stop_reason", "error", "attempts", "started_at", "ended_at")
# Kinds of `Failure`.
OF_MEMORY: Final = frozenset({"out_of_memory", "host_out_of_memory"})
FAILURES: Final = OF_MEMORY | {"error", "process_died", "timeout", "preempted", "node_lost"}


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """Specification of a trial, the same for all its attempts.

    Attributes:
        trial_id: `<family>-<nnn>`, in a search at a smaller share `<family>-f<fraction>-<nnn>`; in
            the finals `<family>-<role>-s<seed>-f<fraction>`.
        role: `baseline` or `search`; in the finals `baseline` or `tuned`.
        seed_index: In the finals the number of the re-training, from 0.
        epochs: Of all of it; None: as many as its phase's trials have.
    """

    trial_id: str
    family: str
    role: str
    params: Params
    seed: int
    train_fraction: float
    seed_index: int = 0
    epochs: int | None = None

    @property
    def search(self) -> str:
        """The name of the search that it belongs to."""
        return search_of(self.trial_id)

    @property
    def columns(self) -> dict[str, Any]:
        """Its columns of `trials.parquet`, without the hyperparameters."""
        return {name: getattr(self, name) for name in COLUMNS}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Failure of an attempt: its kind and message.

    Attributes:
        kind: `error` (raised by the trial), `process_died`, `timeout` (it hung and was ended),
            `preempted`, `node_lost`, `out_of_memory` (of its device), `host_out_of_memory`.
        message: One line.
        place: File and line of the trial's code, where it raised an error of its own.
    """

    kind: str
    message: str
    place: str = ""

    @property
    def bug(self) -> str:
        """Text shared by all failures by one bug: error type and place, else the message."""
        error_type = self.message.partition(":")[0]
        return f"{error_type} ({self.place})" if self.place else self.message

    def is_again(self, other: "Failure") -> bool:
        """Whether another failure is the same; of an earlier run's only the message is known."""
        return self.kind == other.kind and (self.bug == other.bug or self.message == other.message)

    def __str__(self) -> str:
        return f"{self.message} ({self.place})" if self.place else self.message


def failure_of_text(kind: str, text: str) -> Failure:
    """The failure that a text describes; `str` is the inverse."""
    found = re.fullmatch(r"(.*) \(([^() ]+:\d+)\)", text)
    message, place = found.groups() if found else (text, "")
    return Failure(kind=kind, message=message, place=place)


@dataclass(kw_only=True)
class TrialRecord:
    """Record of a trial: its epochs, failures and state.

    Attributes:
        rows: Its epochs in order.
        place: Of its last attempt; see `trainables.place.Place`.
        device: On which its last attempt runs, or ran: `cuda` or `cpu`.
        heard_at: When it reported the last of them, whose number in its phase is `sequence`.
        stopping: It is to be stopped as one of the weakest.
        starts_over: Its checkpoints are lost, so that the epochs that it has are computed again.
        diverged: What it reported that cannot be; empty where there is nothing.
    """

    spec: TrialSpec
    status: str = State.RUNNING
    stop_reason: str | None = None
    error: str | None = None
    attempts: int = 0
    rows: list[Epoch] = field(default_factory=list)
    stopping: bool = False
    starts_over: bool = False
    diverged: str = ""
    failures: list[Failure] = field(default_factory=list)
    final: dict[str, Any] | None = None
    place: Place = field(default_factory=dict)
    device: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    spent_seconds: float = 0.0
    attempt_began: float | None = None
    attempt_devices: float = 1.0
    attempt_weight: float = 1.0
    heard_at: datetime | None = None
    sequence: int = 0

    @property
    def best(self) -> Epoch | None:
        """The row of the best epoch, None before the first."""
        return best_row(self.rows) if self.rows else None

    def wall_seconds(self) -> float:
        """Wall seconds of all attempts, the running one up to now.

        An attempt that reserves more than trials usually do counts that many times as much, and one
        on a type of device that is measured to be faster than the study's first, too.
        """
        running = 0.0 if self.attempt_began is None else time.monotonic() - self.attempt_began
        return self.spent_seconds + running * self.attempt_devices * self.attempt_weight


def spec_of_row(row: ProposedRow) -> TrialSpec:
    """The trial of the search that a row of `trials.parquet` describes."""
    known: Mapping[str, Any] = row
    params = json.loads(row["params_json"])
    return TrialSpec(params=params, **{name: known[name] for name in COLUMNS})


def winner(records: Sequence[TrialRecord]) -> TrialRecord | None:
    """The trial of the highest objective among those that neither diverged nor failed.

    Ties go to the lower validation loss, then to the first trial_id.
    """
    eligible = [r for r in records if r.status in MAY_WIN and r.best is not None]
    return min(eligible, key=_rank, default=None)


def _rank(record: TrialRecord) -> tuple[float, float, tuple[str, int, str]]:
    best = record.best
    assert best is not None
    order = trial_order(record.spec.trial_id)
    return -objective(best), best["validation_loss"], order
