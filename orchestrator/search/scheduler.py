"""Schedulers: every epoch is recorded, and one ASHA per search stops weak trials early."""

import errno
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from orchestrator.results.rows import Epoch, EpochRow
from orchestrator.search.failures import failure_of, kills_on
from orchestrator.stats.asha import EXEMPT, FamilyRungs
from orchestrator.trials.recorder import Recorder, Report, place_of
from orchestrator.trials.trial import BASELINE_ROLE, Failure
from trainables import memory_kills, watchdog
from trainables.answers import NOTES
from trainables.checkpoints import DiskFullError, NotKeptError
from trainables.epoch_rows import impossible
from trainables.trial_error import DISK_FULL, NOT_KEPT


class RecordingScheduler(FIFOScheduler):
    """First-in-first-out scheduler that records every epoch and failure, and stops nothing.

    Attributes:
        overdue: Trials whose attempt was ended from outside, since it could not end itself.
    """

    def __init__(self, recorder: Recorder) -> None:
        """Takes the recorder of the phase."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._recorder = recorder
        self.overdue: set[str] = set()

    def stops(self, _trial_id: str, _row: Epoch, _sequence: int) -> bool:
        """Whether a trial ends with a new epoch, given its columns and its number in the study."""
        return False

    def whose(self, _trial: Trial) -> "RecordingScheduler":
        """The scheduler that records a trial and decides whether it goes on."""
        return self

    def on_trial_result(self, _: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Records what a trial reports, and decides whether it goes on."""
        return self.whose(trial)._take(trial.config["trial_id"], result)

    def on_trial_complete(self, _: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Records the last report of a trial that ends by itself; a stopped one's is there."""
        self.whose(trial)._take(trial.config["trial_id"], result)
        self.whose(trial)._recorder.attempt_ended(trial.config["trial_id"])

    def on_trial_error(self, _: Any, trial: Trial) -> None:
        """Records why an attempt failed; the searcher is informed right after.

        Raises:
            NotKeptError: A trial cannot keep what it finds, or has lost what it had, which is not
                its fault: the study ends, and can go on later.
        """
        recorder = self.whose(trial)._recorder
        recorder.attempt_ended(trial.config["trial_id"])
        failure = self._failure_of(trial)
        if failure.kind in {DISK_FULL, NOT_KEPT}:
            number, _, why = failure.message.partition("[Errno ")[2].partition("] ")
            known = int(number) if number.isdecimal() else errno.ENOSPC
            kind = DiskFullError if failure.kind == DISK_FULL else NotKeptError
            raise kind(known, why or failure.message)
        recorder.failed_attempt(trial.config["trial_id"], failure)

    def _failure_of(self, trial: Trial) -> Failure:
        """Why an attempt failed; a process that died may have been ended for a reason."""
        trial_id, failure = trial.config["trial_id"], failure_of(trial)
        before = memory_kills.take(self._recorder.folder, trial_id)
        if failure.kind not in {"process_died", "node_lost"}:
            return failure
        hung = watchdog.take_traceback(self._recorder.folder, trial_id)
        if hung or trial_id in self.overdue:
            self.overdue.discard(trial_id)
            where = f"where it was stands in logs/{trial_id}.log" if hung else "its process stood"
            message = (
                f"an epoch took longer than epoch_time_limit, "
                f"{trial.config['epoch_time_limit']:g} s; {where}"
            )
            return Failure(kind="timeout", message=message)
        if failure.kind == "node_lost" or not before:
            return failure
        if kills_on(before["node_id"]) > before["kills"]:
            message = "the kernel killed its process for want of memory (exit 137)"
            return Failure(kind="host_out_of_memory", message=message)
        return failure

    def replay(self, trial_id: str, row: EpochRow) -> None:
        """Restores a stored row as if it came now; what was decided then has been done."""
        sequence = self._recorder.restore_epoch(trial_id, row)
        self._recorder.trials[trial_id].stopping |= self.stops(trial_id, row, sequence)

    def _take(self, trial_id: str, result: Report) -> str:
        """Records the new epochs of a report; stops at the first that is to stop."""
        for sentence in result.get("damaged_checkpoints", ()):
            self._recorder.event("checkpoint_damaged", sentence, trial_id)
        with self._recorder.lock:  # an epoch and its decision are written together
            record = self._recorder.trials[trial_id]
            for row in [] if record.diverged else _rows_of(result):
                record.diverged = impossible(row)
                if record.diverged:
                    return str(TrialScheduler.STOP)
                sequence = self._recorder.epoch(trial_id, row)
                if sequence is None:
                    continue
                for kind in NOTES & row.keys():
                    self._recorder.event(kind, row[kind], trial_id)
                record.stopping = self.stops(trial_id, record.rows[-1], sequence)
                if record.stopping:
                    return str(TrialScheduler.STOP)
        return str(TrialScheduler.CONTINUE)


class FamilyASHA(RecordingScheduler):
    """Scheduler that stops trials by their search's rungs, and records each arrival at one."""

    def __init__(self, recorder: Recorder, rungs: FamilyRungs) -> None:
        """Takes the recorder and the rungs of the searches."""
        super().__init__(recorder)
        self._rungs = rungs

    def stops(self, trial_id: str, row: Epoch, sequence: int) -> bool:
        """The decision of the search's ASHA; a baseline always goes on."""
        spec = self._recorder.trials[trial_id].spec
        arrival = self._rungs.arrive(spec.search, trial_id, row, exempt=spec.role == BASELINE_ROLE)
        if arrival is None:
            return False
        self._recorder.rung(trial_id, sequence, arrival)
        return arrival.decision == "stop"

    def first_cut(self, trial_id: str) -> int | None:
        """The epoch at which a baseline fell under a cut-off; None if it never did."""
        rungs = self._recorder.rungs_of(trial_id)
        return next((row["epoch"] for row in rungs if row["decision"] == EXEMPT), None)


def _rows_of(result: Report) -> list[Report]:
    """The epochs of a report, oldest first; none where the trial diverged in its first."""
    place = place_of(result)
    earlier: list[Report] = [{**row, **place} for row in result.get("earlier_rows", ())]
    return [*earlier, result] if "epoch" in result else earlier
