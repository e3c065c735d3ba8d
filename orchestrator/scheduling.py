"""Which trials go on: every epoch is recorded, and one ASHA per family stops the weak."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import ray.cloudpickle
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from orchestrator.recording import Failure, Recorder

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController

OBJECTIVE = "validation_accuracy"


class RecordingScheduler(FIFOScheduler):
    """First in, first out; records every epoch and every failure, and stops nothing."""

    def __init__(self, recorder: Recorder) -> None:
        """Takes the recorder of the phase."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._recorder = recorder

    def decide(self, trial_id: str, row: Mapping[str, Any], sequence: int) -> str:
        """What to do after a new epoch: `CONTINUE`, or `STOP`.

        Args:
            trial_id: The study's own.
            row: The epoch's columns.
            sequence: Number of the row in the study.
        """
        del trial_id, row, sequence
        return str(TrialScheduler.CONTINUE)

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """The objective is fixed, so there is nothing to take over."""
        del metric, mode, spec
        return True

    def on_trial_result(
        self, tune_controller: "TuneController", trial: Trial, result: dict[str, Any]
    ) -> str:
        """Records what a trial reports and decides."""
        del tune_controller
        return self._take(trial.config["trial_id"], result)

    def on_trial_complete(
        self, tune_controller: "TuneController", trial: Trial, result: dict[str, Any]
    ) -> None:
        """Records the last report of a trial that ends by itself; a stopped one's is there."""
        del tune_controller
        self._take(trial.config["trial_id"], result)
        self._recorder.attempt_ended(trial.config["trial_id"])

    def on_trial_error(self, tune_controller: "TuneController", trial: Trial) -> None:
        """Records why an attempt failed; the searcher is told right after."""
        del tune_controller
        self._recorder.attempt_ended(trial.config["trial_id"])
        self._recorder.failed_attempt(trial.config["trial_id"], failure_of(trial))

    def _take(self, trial_id: str, result: Mapping[str, Any]) -> str:
        """Records the new epochs of a report; stops at the first that is to stop."""
        for sentence in result.get("damaged_checkpoints", ()):
            self._recorder.event("checkpoint_damaged", sentence, trial_id)
        for row in _rows_of(result):
            sequence = self._recorder.epoch(trial_id, row)
            if sequence is None:
                continue
            decision = self.decide(trial_id, row, sequence)
            if decision == TrialScheduler.STOP:
                self._recorder.trials[trial_id].stopping = True
                return decision
        return str(TrialScheduler.CONTINUE)


class FamilyASHA(RecordingScheduler):
    """One asynchronous successive halving (Li et al. 2020) per family; baselines never stop.

    Ray's ASHA is handed stand-ins that carry the study's own trial ids, since Tune's change with
    each attempt and its rungs are keyed by them.
    """

    def __init__(
        self,
        recorder: Recorder,
        families: Iterable[str],
        *,
        epochs: int,
        grace_period: int,
        reduction_factor: int,
    ) -> None:
        """Makes one ASHA for each family.

        Args:
            recorder: Of the search.
            families: Names.
            epochs: Of a whole trial.
            grace_period: Epochs before a trial can be stopped.
            reduction_factor: One in this many survives a rung.
        """
        super().__init__(recorder)
        self._epochs = epochs
        self._ashas = {
            family: ASHAScheduler(
                time_attr="epoch",
                metric=OBJECTIVE,
                mode="max",
                max_t=epochs,
                grace_period=grace_period,
                reduction_factor=reduction_factor,
                brackets=1,
            )
            for family in families
        }

    def on_trial_add(self, tune_controller: "TuneController", trial: Trial) -> None:
        """Takes up an attempt; a trial's earlier rungs stay."""
        del tune_controller
        self.add(trial.config["family"], trial.config["trial_id"])

    def add(self, family: str, trial_id: str) -> None:
        """Takes up a trial in its family's ASHA."""
        self._ashas[family].on_trial_add(_NO_CONTROLLER, _stand_in(trial_id))

    def decide(self, trial_id: str, row: Mapping[str, Any], sequence: int) -> str:
        """What the family's ASHA says, except that a baseline always goes on."""
        spec = self._recorder.trials[trial_id].spec
        asha, value = self._ashas[spec.family], row[OBJECTIVE]
        arrival = _arrival(asha, trial_id, row["epoch"])
        stand_in, answer = _stand_in(trial_id), TrialScheduler.CONTINUE
        if row["epoch"] >= self._epochs:
            asha.on_trial_complete(_NO_CONTROLLER, stand_in, dict(row))
        else:
            answer = asha.on_trial_result(_NO_CONTROLLER, stand_in, dict(row))
        if arrival is None:
            return str(TrialScheduler.CONTINUE)
        rung, cutoff = arrival
        decision = "continue"
        if row["epoch"] >= self._epochs:
            decision = "finished"
        elif answer == TrialScheduler.STOP:
            decision = "protected" if spec.role == "baseline" else "stop"
        self._recorder.rung(
            trial_id,
            sequence=sequence,
            epoch=row["epoch"],
            rung=rung,
            value=value,
            cutoff=cutoff,
            decision=decision,
        )
        return str(TrialScheduler.STOP if decision == "stop" else TrialScheduler.CONTINUE)

    def first_cut(self, trial_id: str) -> int | None:
        """The epoch at which a baseline fell under a cut-off, None if it never did."""
        cuts = [
            row["epoch"]
            for row in self._recorder.rungs_of(trial_id)
            if row["decision"] == "protected"
        ]
        return cuts[0] if cuts else None


# Ray's ASHA reads nothing of a trial but its id, and nothing of the controller.
_NO_CONTROLLER = cast("TuneController", None)


def _stand_in(trial_id: str) -> Trial:
    return cast("Trial", SimpleNamespace(trial_id=trial_id))


def failure_of(trial: Trial) -> Failure:
    """Why Tune's trial failed, from the exception that the driver keeps of it."""
    error = ray.cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
    return classify(error)


def classify(error: BaseException) -> Failure:
    """The kind and the one line of an exception that ended an attempt."""
    if isinstance(error, RayTaskError):
        cause = error.cause if isinstance(error.cause, BaseException) else error
        return Failure(kind="error", message=f"{type(cause).__name__}: {_first_line(cause)}")
    if isinstance(error, OutOfMemoryError):
        return Failure(kind="host_out_of_memory", message=_first_line(error))
    if isinstance(error, RayActorError):
        kind = "preempted" if error.preempted else "process_died"
        return Failure(kind=kind, message=_first_line(error))
    kind = "process_died" if isinstance(error, RayError) else "error"
    return Failure(kind=kind, message=f"{type(error).__name__}: {_first_line(error)}")


def _rows_of(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The epochs of a report, oldest first; none where the trial diverged in its first."""
    node = {"node": result["node"]} if "node" in result else {}
    earlier: list[Mapping[str, Any]] = [{**row, **node} for row in result.get("earlier_rows", ())]
    return [*earlier, result] if "epoch" in result else earlier


def _arrival(asha: ASHAScheduler, trial_id: str, epoch: int) -> tuple[int, float | None] | None:
    """The rung that an epoch reaches and its cut-off so far, as Ray's bracket sees it."""
    (bracket,) = asha._brackets
    for milestone, recorded in bracket._rungs:
        if epoch >= milestone and trial_id not in recorded:
            cutoff = bracket.cutoff(recorded)
            return int(milestone), None if cutoff is None else float(np.asarray(cutoff))
    return None


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__
