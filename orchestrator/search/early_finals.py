"""Finals begun early: a slot that the search leaves idle re-trains a family's baseline.

A baseline is re-trained whatever trial wins, so nothing is trained in vain. Such an attempt ends
after an epoch where the search wants its slot, and with the search; the finals go on from its
checkpoint. It has no test part: that stays closed until the choice is made.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from ray.tune.experiment import Trial

from orchestrator.forecast.workload import Trained
from orchestrator.results.rows import Epoch
from orchestrator.search.scheduler import RecordingScheduler
from orchestrator.search.trial_queue import ListedTrials, RowsSearcher, TrialQueue
from orchestrator.trials.recorder import Recorder, Unpickled
from orchestrator.trials.trial import TrialRecord, TrialSpec

STRETCH_SECONDS: Final = 2.0
"""Epochs that are shorter are reported together; the search may have to wait so long for a slot."""


class EarlyFinals(ListedTrials):
    """Queue of finals that may begin before the search has ended; how they end is for the finals.

    Attributes:
        recorder: Of the finals.
    """

    def __init__(
        self,
        recorder: Recorder,
        specs: Sequence[TrialSpec],
        *,
        certain: Callable[[TrialSpec], bool],
        **options: Any,
    ) -> None:
        """Takes the finals that may be begun; the `certain` ones will be wanted in any case.

        The `options` are those of a `TrialQueue`.
        """
        super().__init__(recorder, specs, **options)
        self.recorder, self._certain = recorder, certain

    def begun(self) -> list[Trained]:
        """The progress of the finals that have at least one epoch."""
        return [each for each in self.recorder.trained() if each.epochs]

    # As in `TrialQueue`, Ray's own FINISHED is a string.
    def suggest(  # type: ignore[override]
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """The configuration of an attempt at a final, with epochs reported soon."""
        config = super().suggest(trial_id)
        if isinstance(config, dict):
            config["checkpoint_seconds"] = STRETCH_SECONDS
        return config

    def propose(self) -> TrialSpec | None:
        """The first final of the list that is certain to be wanted."""
        spec = next(filter(self._certain, self._specs), None)
        if spec is not None:
            self._specs.remove(spec)
        return spec

    def add_pending(self, record: TrialRecord) -> None:
        """Puts an interrupted final back at the front of the list."""
        record.stopping = False
        self._specs.appendleft(record.spec)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Puts an unfinished final back, unless it failed or diverged; the finals end it."""
        record = self._recorder.trials[self._running.pop(trial_id).trial_id]
        record.stopping = False
        in_order = not (error or record.diverged or (result and "diverged" in result))
        if in_order and len(record.rows) < self._whole(record.spec):
            self.add_pending(record)


class SearchAndFinals(RowsSearcher):
    """Searcher that hands out the search's trials, and finals where these leave slots idle."""

    def __init__(self, search: TrialQueue, finals: EarlyFinals) -> None:
        """Takes both."""
        super().__init__()
        self._search, self._finals = search, finals

    def finals_must_end(self) -> bool:
        """Whether the search is over, or wants a slot that a final has."""
        return not self._search.runs() or self._search.wants_slots()

    # As in `TrialQueue`, Ray's own FINISHED is a string.
    def suggest(  # type: ignore[override]
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """See `TrialQueue.suggest`."""
        if self._finals.runs() and self._search.wants_host():
            return None
        config = self._search.suggest(trial_id)
        if config is None and not self._search.wants_slots():
            begun = self._finals.suggest(trial_id)
            return begun if isinstance(begun, dict) else None
        if isinstance(config, str) and self._finals.runs():
            return None
        return config

    def attempt_began(self, trial_id: str, devices: float | None = None) -> None:
        """See `TrialQueue.attempt_began`."""
        queue = self._finals if trial_id in self._finals.recorder.trials else self._search
        queue.attempt_began(trial_id, devices)

    def may_use_idle(self, *, and_next: bool) -> bool:
        """See `TrialQueue.may_use_idle`."""
        return self._search.may_use_idle(and_next=and_next)

    def take_back(self) -> None:
        """See `TrialQueue.take_back`."""
        self._search.take_back()
        self._finals.take_back()

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """See `TrialQueue.on_trial_complete`."""
        queue = self._finals if self._finals.runs(trial_id) else self._search
        queue.on_trial_complete(trial_id, result, error)


class SearchAndFinalsScheduler(Unpickled, RecordingScheduler):
    """Scheduler that passes reports to the search's own, and ends attempts at finals in time."""

    def __init__(
        self, search: RecordingScheduler, finals: Recorder, must_end: Callable[[], bool]
    ) -> None:
        """Takes the search's, the recorder of the finals, and whether their attempts must end."""
        super().__init__(finals)
        self._search, self._must_end = search, must_end
        self.overdue = search.overdue

    def stops(self, _trial_id: str, _row: Epoch, _sequence: int) -> bool:
        """Stops a final's attempt where there is no longer a slot for it."""
        return self._must_end()

    def whose(self, trial: Trial) -> RecordingScheduler:
        """See `RecordingScheduler.whose`."""
        return self if trial.config["is_final"] else self._search
