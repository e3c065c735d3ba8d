"""The state of a trial in Optuna: complete, pruned with values or without, or failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from optuna.trial import TrialState

from orchestrator.results.rows import Epoch
from orchestrator.results.states import State
from trainables.epoch_rows import objective


@dataclass(frozen=True, kw_only=True)
class OptunaState:
    """A trial as Optuna knows it.

    Attributes:
        state: Optuna's.
        best_so_far: Epoch to the best objective up to it.
        value: The best objective of a trial that is complete.
    """

    state: TrialState
    best_so_far: Mapping[int, float] = field(default_factory=dict)
    value: float | None = None


def optuna_state(status: str, rows: Sequence[Epoch], cut: int | None) -> OptunaState:
    """The state of a trial in Optuna.

    A diverged trial is pruned without values, so that TPE ranks it last: it would forget a failed
    one and propose the same again. A baseline that ASHA would have stopped is pruned there, since
    TPE ranks every complete trial above every pruned one.

    Args:
        status: As in `trials.parquet`.
        rows: Its epochs in order.
        cut: The epoch at which ASHA would have stopped a baseline; None for never.
    """
    if status == State.FAILED:
        return OptunaState(state=TrialState.FAIL)
    if status == State.DIVERGED:
        return OptunaState(state=TrialState.PRUNED)
    best, best_so_far = 0.0, {}
    for row in rows[:cut]:
        best = max(best, objective(row))
        best_so_far[row["epoch"]] = best
    if status == State.RUNNING:
        return OptunaState(state=TrialState.RUNNING, best_so_far=best_so_far)
    if status == State.COMPLETED and cut is None:
        return OptunaState(state=TrialState.COMPLETE, best_so_far=best_so_far, value=best)
    return OptunaState(state=TrialState.PRUNED, best_so_far=best_so_far)
