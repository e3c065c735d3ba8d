"""Hands out attempts at trials: those owed first, then new ones; gives up a failing family."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ray.tune.search import Searcher

from orchestrator.trials.recorder import Recorder
from orchestrator.trials.trial import Failure, TrialRecord, TrialSpec

IDENTICAL_ERRORS: Final = 3
OUT_OF_MEMORY: Final = "out_of_memory"
BELOW_CUTOFF: Final = "below the cut-off of its rung"


class TrialQueue(Searcher):
    """Hands out attempts: those owed to trials that lost theirs, then new trials.

    A trial is the study's and an attempt is Tune's, so each retry is a new Tune trial.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        epochs: int,
        max_attempts: int,
        after_out_of_memory: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Takes the recorder of the phase.

        Args:
            recorder: Of the phase.
            epochs: Of a whole trial.
            max_attempts: At a trial whose process dies; preemptions do not count.
            after_out_of_memory: What a trial's configuration has instead, attempt by attempt, after
                the memory of its device did not do.
        """
        super().__init__()
        self._after_out_of_memory = after_out_of_memory
        self._recorder, self._epochs, self._max_attempts = recorder, epochs, max_attempts
        self._running: dict[str, TrialSpec] = {}
        self._owed: deque[TrialSpec] = deque()
        self._errors: Counter[tuple[str, str]] = Counter()
        self.halted: dict[str, str] = {}

    def propose(self) -> TrialSpec | None:
        """The next new trial, None when there is none (now)."""
        raise NotImplementedError

    def has_work(self) -> bool:
        """Whether anything is left to hand out."""
        raise NotImplementedError

    def ended(self, record: TrialRecord) -> None:
        """Called when a trial has reached its terminal state."""

    def restore_failure(self, family: str, failure: Failure) -> None:
        """Counts a failure of an earlier run against its family."""
        if failure.kind == "error":
            self._errors[family, failure.message] += 1

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: Mapping[str, Any], **spec: Any
    ) -> bool:
        """The objective is fixed, so there is nothing to take over."""
        del metric, mode, config, spec
        return True

    # Ray annotates a dictionary, but its own FINISHED is a string.
    def suggest(  # type: ignore[override]
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """The configuration of Tune's next trial.

        Returns:
            None while something runs that may need another attempt, FINISHED after that.
        """
        spec = self._owed.popleft() if self._owed else self.propose()
        if spec is None:
            return None if self._running else str(Searcher.FINISHED)
        self._running[trial_id] = spec
        attempt = self._recorder.propose(spec)
        return {
            "trial_id": spec.trial_id,
            "family": spec.family,
            "role": spec.role,
            "attempt": attempt,
            "epochs_known": len(self._recorder.trials[spec.trial_id].rows),
            "params": dict(spec.params),
            "seed": spec.seed,
            "train_fraction": spec.train_fraction,
            "accumulation": 1,
            **self._for_memory(self._recorder.trials[spec.trial_id]),
        }

    def _for_memory(self, record: TrialRecord) -> Mapping[str, Any]:
        """What an attempt has otherwise since earlier ones ran out of memory."""
        times = sum(failure.kind == OUT_OF_MEMORY for failure in record.failures)
        steps = self._after_out_of_memory
        return steps[min(times, len(steps)) - 1] if times and steps else {}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing: the scheduler records results."""

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Decides what became of the trial: its state, or another attempt."""
        spec = self._running.pop(trial_id, None)
        if spec is None:
            return
        record = self._recorder.trials[spec.trial_id]
        if error:
            self._after_failure(record)
        elif result is not None and "diverged" in result:
            self._end(record, "diverged", str(result["diverged"]))
        elif len(record.rows) >= self._epochs:
            record.final = dict(result or {})
            self._end(record, "completed")
        elif record.stopping:
            self._end(record, "stopped", BELOW_CUTOFF)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the table is the study, and no state of Tune's is ever read."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, as `save`."""

    def _after_failure(self, record: TrialRecord) -> None:
        failure = record.failures[-1]
        family = record.spec.family
        if failure.kind == "preempted":
            self._owed.append(record.spec)
            return
        counted = [f for f in record.failures if f.kind not in {"preempted", OUT_OF_MEMORY}]
        if failure.kind == OUT_OF_MEMORY:
            times = sum(f.kind == OUT_OF_MEMORY for f in record.failures)
            repeated = times > len(self._after_out_of_memory)
        elif failure.kind == "host_out_of_memory":
            repeated = any(f.kind == failure.kind for f in counted[:-1])
        else:
            repeated = failure.kind in {"error", "timeout"} and failure in counted[:-1]
        if failure.kind == "error":
            self._errors[family, failure.message] += 1
            if self._errors[family, failure.message] >= IDENTICAL_ERRORS:
                self._halt(family, failure.message)
        if repeated or len(counted) >= self._max_attempts or family in self.halted:
            self._end(record, "failed", failure.kind)
        else:
            self._owed.append(record.spec)

    def _halt(self, family: str, message: str) -> None:
        """Stops proposing trials of a family that fails the same way again and again."""
        if family not in self.halted:
            self.halted[family] = message
            self._recorder.event("family_halted", message, family=family)
        for spec in [s for s in self._owed if s.family == family]:
            self._owed.remove(spec)
            self._end(self._recorder.trials[spec.trial_id], "failed", "family_halted")

    def _end(self, record: TrialRecord, status: str, reason: str | None = None) -> None:
        self._recorder.end(record.spec.trial_id, status, reason)
        self.ended(record)


class ListedTrials(TrialQueue):
    """Hands out a list of trials in order, as the finals are."""

    def __init__(self, recorder: Recorder, specs: Sequence[TrialSpec], **options: Any) -> None:
        """Takes the trials, and the options of a `TrialQueue`."""
        super().__init__(recorder, **options)
        self._specs = deque(specs)

    def propose(self) -> TrialSpec | None:
        """The next of the list."""
        return self._specs.popleft() if self._specs else None

    def has_work(self) -> bool:
        """Whether the list has a trial left."""
        return bool(self._owed or self._specs)

    def ended(self, record: TrialRecord) -> None:
        """Notes a divergence, which no table of the finals has a column for."""
        if record.status == "diverged":
            reason = record.stop_reason or record.status
            self._recorder.event("final_diverged", reason, record.spec.trial_id)
