"""Running totals of a family's trials, updated with each row, since a search asks at each step."""

from collections import Counter
from dataclasses import dataclass, field

from orchestrator.results.rows import Epoch
from orchestrator.results.states import CANNOT_WIN, State
from orchestrator.trials.trial import TrialRecord


@dataclass(kw_only=True)
class FamilyTotals:
    """Totals of one family; their cost does not grow with the trials that have ended.

    Attributes:
        records: Its trials in the order of their first attempts.
        started: Search to number of its trials.
        ended: State to number of trials that have.
        ended_wall_seconds: Of the attempts of these.
        best_validation_accuracy: Of the epochs of all that neither diverged nor failed.
    """

    records: list[TrialRecord] = field(default_factory=list)
    started: Counter[str] = field(default_factory=Counter)
    running: dict[str, TrialRecord] = field(default_factory=dict)
    ended: Counter[str] = field(default_factory=Counter)
    ended_wall_seconds: float = 0.0
    epochs: int = 0
    best_validation_accuracy: float | None = None

    def take(self, record: TrialRecord) -> None:
        """Adds a trial that is new here, running or ended."""
        self.records.append(record)
        self.started[record.spec.search] += 1
        self.running[record.spec.trial_id] = record
        if record.status != State.RUNNING:
            self.end(record)

    def end(self, record: TrialRecord) -> None:
        """Counts a trial that has reached its terminal state."""
        del self.running[record.spec.trial_id]
        self.ended[record.status] += 1
        self.ended_wall_seconds += record.wall_seconds()
        own = {row["validation_accuracy"] for row in record.rows}
        if record.status in CANNOT_WIN and self.best_validation_accuracy in own:
            others = [each for each in self.records if each.status not in CANNOT_WIN]
            rows = [row["validation_accuracy"] for each in others for row in each.rows]
            self.best_validation_accuracy = max(rows, default=None)

    def reopen(self, record: TrialRecord) -> None:
        """Counts an ended trial as running again; it still has its former state."""
        self.running[record.spec.trial_id] = record
        self.ended[record.status] -= 1
        self.ended_wall_seconds -= record.wall_seconds()

    def epoch(self, record: TrialRecord, row: Epoch) -> None:
        """Counts one more epoch of a trial."""
        self.epochs += 1
        if record.status not in CANNOT_WIN:
            accuracy, best = row["validation_accuracy"], self.best_validation_accuracy
            self.best_validation_accuracy = accuracy if best is None else max(best, accuracy)

    def at_work(self) -> int:
        """Number of trials that have their devices now; others wait for an attempt."""
        return sum(record.attempt_began is not None for record in self.running.values())

    def wall_seconds(self) -> float:
        """Wall seconds of all attempts, running ones up to now."""
        return self.ended_wall_seconds + sum(r.wall_seconds() for r in self.running.values())

    def forecast_wall_seconds(self) -> float:
        """The same with each running trial at what an ended one took, if that is more."""
        ended = self.ended.total()
        usual = self.ended_wall_seconds / ended if ended else 0.0
        running = sum(max(r.wall_seconds(), usual) for r in self.running.values())
        return self.ended_wall_seconds + running
