"""Queue of attempts at trials: pending ones first, then new ones; gives up a failing family."""

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from ray.tune.search import Searcher

from orchestrator.results.final_runs import DIVERGED, FAILED
from orchestrator.results.states import State
from orchestrator.trials.recorder import Recorder, Unpickled
from orchestrator.trials.trial import BASELINE_ROLE, TrialRecord, TrialSpec, failure_of_text
from search_spaces.baseline import Params

SAME_BUG: Final = 3
"""Trials of a family in a row that failed for good by one bug: it is given up."""
ALL_FAILED: Final = 5
"""So many in a row, whatever by; and so many must have ended before fewer than three are judged."""
LOST_NODES: Final = 10
"""So many nodes that a trial ran on do not die by chance."""
OUT_OF_MEMORY: Final = "out_of_memory"
HOST_OUT_OF_MEMORY: Final = "host_out_of_memory"
DEVICE, HOST = "device", "host"
NOT_ITS_FAULT: Final = frozenset({"preempted", "node_lost"})
HALTED: Final = "family_halted"
BELOW_CUTOFF: Final = "below the cut-off of its rung"


class RowsSearcher(Unpickled, Searcher):
    """Searcher that Tune stores nothing of: the rows are the study."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: no state of Tune's is ever read."""


class TrialQueue(RowsSearcher):
    """Queue of attempts: pending ones of trials that lost theirs first, then new trials.

    A trial is the study's and an attempt is Tune's, so each retry is a new Tune trial.

    Attributes:
        of_finals: Its trials are finals.
        failed_families: Families that get no more trials, and why: they failed again and again.
    """

    of_finals = False

    def __init__(
        self,
        recorder: Recorder,
        *,
        epochs: int,
        max_attempts: int,
        after_out_of_memory: Sequence[Params] = (),
    ) -> None:
        """Takes the recorder of the phase.

        Args:
            recorder: Of the phase.
            epochs: Of a whole trial that does not say so itself.
            max_attempts: At a trial whose process dies; lost nodes do not count.
            after_out_of_memory: What a trial's configuration has instead, attempt by attempt, after
                the memory of its device did not do.
        """
        super().__init__()
        self._after_out_of_memory = after_out_of_memory
        self._recorder, self._epochs, self._max_attempts = recorder, epochs, max_attempts
        self._running: dict[str, TrialSpec] = {}
        # By what an attempt needs for itself.
        self._pending: dict[str, deque[TrialSpec]] = {"": deque(), DEVICE: deque(), HOST: deque()}
        self._running_alone: str | None = None
        self._failed: dict[str, list[TrialRecord]] = {}  # in a row, by family
        self.failed_families: dict[str, str] = {}

    def propose(self) -> TrialSpec | None:
        """The next new trial, None when there is none (now)."""
        raise NotImplementedError

    def has_work(self) -> bool:
        """Whether anything is left to hand out."""
        raise NotImplementedError

    def ended(self, record: TrialRecord) -> None:
        """Called when a trial has reached its terminal state."""

    def add_pending(self, record: TrialRecord) -> None:
        """Adds another attempt at a trial; it runs alone if its host ran out of memory."""
        needed = DEVICE if self._needs_whole_device(record) else ""
        if any(failure.kind == HOST_OUT_OF_MEMORY for failure in record.failures):
            needed = HOST
        self._pending[needed].append(record.spec)

    def has_pending(self) -> bool:
        """Whether an attempt is pending."""
        return any(self._pending.values())

    def runs(self, trial_id: str | None = None) -> bool:
        """Whether one of Tune's trials is an attempt that was handed out here; None: any."""
        return bool(self._running) if trial_id is None else trial_id in self._running

    def wants_host(self) -> bool:
        """Whether an attempt has its host for itself, or is to have it."""
        return bool(self._pending[HOST]) or self._running_alone is not None

    def wants_slots(self) -> bool:
        """Whether an attempt is to be handed out, or waits for a whole device or host."""
        return self.wants_host() or self._waits_for_device() or self.has_work()

    def attempt_began(self, trial_id: str, devices: float | None = None) -> None:
        """See `Recorder.attempt_began`."""
        self._recorder.attempt_began(trial_id, devices)

    def may_use_idle(self, *, and_next: bool) -> bool:
        """Whether a process that is idle may be of use, here or, if it says so, in the next phase.

        It is not beside an attempt whose host's memory did not do.
        """
        return not self.wants_host() and (and_next or self.has_work())

    def note_end(self, record: TrialRecord) -> str | None:
        """Counts an ended trial for or against its family.

        Returns:
            Why the family is to be given up, None if it is not.
        """
        failed = self._failed.setdefault(record.spec.family, [])
        if record.status == State.FAILED and record.stop_reason != HALTED:
            failed.append(record)
        elif failed and len(record.rows) > _farthest(failed):
            failed.clear()  # one that ended sooner has not met what they met
        if not failed:
            return None
        if self._is_every_trials_bug(failed):
            return failed[-1].error
        if len(failed) >= ALL_FAILED:
            return f"{len(failed)} trials in a row failed, the last by {failed[-1].error}"
        return None

    def _is_every_trials_bug(self, failed: Sequence[TrialRecord]) -> bool:
        """Whether one bug has ended these, three in a row, or all of five that came so far.

        Where early stopping leaves few trials to meet it, the baseline must be among them.
        """
        last = [(each.stop_reason or "", each.error or "") for each in failed[-SAME_BUG:]]
        bugs = {failure_of_text(kind, text).bug for kind, text in last}
        if failed[-1].stop_reason != "error" or len(bugs) > 1:
            return False
        of_all = self._recorder.of_family(failed[-1].spec.family)
        ended = sum(each.status != State.RUNNING for each in of_all)
        none_further = max(len(each.rows) for each in of_all) <= _farthest(failed)
        baseline = any(each.spec.role == BASELINE_ROLE for each in failed)
        of_five = len(failed) > 1 and baseline and ended >= ALL_FAILED and none_further
        return len(failed) >= SAME_BUG or of_five

    def take_back(self) -> None:
        """Adds another attempt at each running trial, since Tune has ended without them."""
        for spec in self._running.values():
            self._recorder.attempt_ended(spec.trial_id)
            self.add_pending(self._recorder.trials[spec.trial_id])
        self._running.clear()
        self._running_alone = None

    # Ray annotates a dictionary, but its own FINISHED is a string.
    def suggest(  # type: ignore[override]
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """The configuration of Tune's next trial.

        Returns:
            None while something runs that may need another attempt, FINISHED after that.
        """
        spec = self._next(trial_id)
        if spec is None:
            return None if self._running else str(Searcher.FINISHED)
        self._running[trial_id] = spec
        attempt = self._recorder.propose(spec)
        record = self._recorder.trials[spec.trial_id]
        return {
            **spec.columns,
            "attempt": attempt,
            "epochs_known": 0 if record.starts_over else len(record.rows),
            "params": dict(spec.params),
            "epochs": self._whole(spec),
            "accumulation": 1,
            "is_final": self.of_finals,
            **self._for_memory(record),
        }

    def _next(self, trial_id: str) -> TrialSpec | None:
        """What is handed out next; nothing beside an attempt that is to have its host alone.

        Such a one waits until nothing runs: a reservation of a whole node can starve beside others.
        One of a whole device would too, among shares of it, so nothing is handed out after it until
        it has its device.
        """
        if self._running_alone is not None or self._waits_for_device():
            return None
        if self._pending[HOST] and not self._running:
            self._running_alone = trial_id
            return self._pending[HOST].popleft()
        pending = self._pending[DEVICE] or self._pending[""]
        return pending.popleft() if pending else self.propose()

    def _whole(self, spec: TrialSpec) -> int:
        """The epochs of a trial that is not stopped."""
        return self._epochs if spec.epochs is None else spec.epochs

    def _waits_for_device(self) -> bool:
        """Whether an attempt that was handed out waits until a whole device is free."""
        records = (self._recorder.trials[spec.trial_id] for spec in self._running.values())
        return any(r.attempt_began is None and self._needs_whole_device(r) for r in records)

    def _needs_whole_device(self, record: TrialRecord) -> bool:
        """Whether a trial's next attempt reserves a device of which trials have shares."""
        return "resources" in self._for_memory(record)

    def _for_memory(self, record: TrialRecord) -> Params:
        """What an attempt has otherwise since earlier ones ran out of memory."""
        times = sum(failure.kind == OUT_OF_MEMORY for failure in record.failures)
        steps = self._after_out_of_memory
        return steps[min(times, len(steps)) - 1] if times and steps else {}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Decides what becomes of a trial: its final state, or another attempt."""
        spec = self._running.pop(trial_id, None)
        if trial_id == self._running_alone:
            self._running_alone = None
        if spec is None:
            return
        record = self._recorder.trials[spec.trial_id]
        if error:
            failure = record.failures[-1]
            if record.spec.family in self.failed_families or self._is_last_attempt(record):
                record.error = str(failure)
                self._end(record, State.FAILED, failure.kind)
            else:
                self.add_pending(record)
        elif record.diverged or (result is not None and "diverged" in result):
            self._end(record, State.DIVERGED, record.diverged or str((result or {})["diverged"]))
        elif len(record.rows) >= self._whole(spec):
            record.final = dict(result or {})
            self._end(record, State.COMPLETED)
        elif record.stopping:
            self._end(record, State.STOPPED, BELOW_CUTOFF)

    def _is_last_attempt(self, record: TrialRecord) -> bool:
        """Whether a trial whose attempt has failed is given up."""
        *earlier, failure = record.failures
        same_kind = sum(each.kind == failure.kind for each in earlier)
        if failure.kind in NOT_ITS_FAULT:
            return failure.kind == "node_lost" and same_kind + 1 >= LOST_NODES
        if failure.kind == OUT_OF_MEMORY:
            return same_kind >= len(self._after_out_of_memory)
        if failure.kind in {HOST_OUT_OF_MEMORY, "timeout"} and same_kind:
            return True
        if failure.kind == "error" and any(map(failure.is_again, earlier)):
            return True
        uncounted = {*NOT_ITS_FAULT, OUT_OF_MEMORY}
        return sum(each.kind not in uncounted for each in record.failures) >= self._max_attempts

    def _give_up(self, family: str, message: str) -> None:
        """Stops proposing trials of a family that fails again and again."""
        self.failed_families[family] = message
        self._recorder.event("family_halted", message, family=family)
        for pending in self._pending.values():
            for spec in [s for s in pending if s.family == family]:
                pending.remove(spec)
                self._end(self._recorder.trials[spec.trial_id], State.FAILED, HALTED)

    def _end(self, record: TrialRecord, status: State, reason: str | None = None) -> None:
        self._recorder.end(record.spec.trial_id, status, reason)
        self.ended(record)
        why = self.note_end(record)
        if why is not None and record.spec.family not in self.failed_families:
            self._give_up(record.spec.family, why)


def _farthest(records: Sequence[TrialRecord]) -> int:
    return max(len(each.rows) for each in records)


class ListedTrials(TrialQueue):
    """Queue of the finals: a fixed list, in order."""

    of_finals = True

    def __init__(self, recorder: Recorder, specs: Sequence[TrialSpec], **options: Any) -> None:
        """Takes the trials, and the options of a `TrialQueue`."""
        super().__init__(recorder, **options)
        self._specs = deque(specs)

    def propose(self) -> TrialSpec | None:
        """The next trial of the list."""
        return self._specs.popleft() if self._specs else None

    def has_work(self) -> bool:
        """Whether the list has a trial left."""
        return bool(self.has_pending() or self._specs)

    def ended(self, record: TrialRecord) -> None:
        """Records an event for a final that ended without a test: no table has a column for it."""
        if record.status != State.COMPLETED:
            kind = DIVERGED if record.status == State.DIVERGED else FAILED
            reason = record.stop_reason or record.status
            self._recorder.event(kind, reason, record.spec.trial_id)
