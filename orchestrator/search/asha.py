"""The rungs of each search: Ray's ASHA, fed with the study's own trials, live or replayed."""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController

OBJECTIVE: Final = "validation_accuracy"


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A trial's arrival at a rung; the last columns of `rungs.parquet`.

    Attributes:
        epoch: At which it arrived.
        rung: The rung's milestone, in epochs.
        value: The objective there.
        cutoff: What the rung's earlier arrivals ask for; None for the first.
        decision: `continue`, `stop`, `protected` (a baseline that would have been stopped) or
            `finished` (the last epoch).
    """

    epoch: int
    rung: int
    value: float
    cutoff: float | None
    decision: str


class FamilyRungs:
    """One asynchronous successive halving (Li et al. 2020) per search; baselines never stop.

    Ray's ASHA is handed stand-ins that carry the study's own trial ids, since Tune's change with
    each attempt and its rungs are keyed by them. It decides by the order of arrivals alone, so the
    same rows in the same order give the same rungs.
    """

    def __init__(
        self, searches: Iterable[str], *, epochs: int, grace_period: int, reduction_factor: int
    ) -> None:
        """Makes one ASHA for each search.

        Args:
            searches: Names; see `orchestrator.config.searches`.
            epochs: Of a whole trial.
            grace_period: Epochs before a trial can be stopped.
            reduction_factor: One in this many survives a rung.
        """
        self._epochs = epochs
        self._known: set[str] = set()
        self._ashas = {
            search: ASHAScheduler(
                time_attr="epoch",
                metric=OBJECTIVE,
                mode="max",
                max_t=epochs,
                grace_period=grace_period,
                reduction_factor=reduction_factor,
                brackets=1,
            )
            for search in searches
        }
        self._cutoffs = {search: _remembered(asha) for search, asha in self._ashas.items()}

    def arrive(
        self, search: str, trial_id: str, row: Mapping[str, Any], *, protected: bool
    ) -> Arrival | None:
        """Takes up an epoch of a trial.

        Args:
            search: The name of the trial's.
            trial_id: The study's own.
            row: The epoch's columns.
            protected: The trial is a baseline, which goes on whatever ASHA says.

        Returns:
            What was decided, None between rungs.
        """
        asha, epoch, value = self._ashas[search], row["epoch"], row[OBJECTIVE]
        stand_in, answer = _stand_in(trial_id), TrialScheduler.CONTINUE
        if trial_id not in self._known:  # a trial's further attempts keep its arrivals
            self._known.add(trial_id)
            asha.on_trial_add(_NO_CONTROLLER, stand_in)
        rung = _reached(asha, trial_id, epoch)
        if epoch >= self._epochs:
            asha.on_trial_complete(_NO_CONTROLLER, stand_in, dict(row))
        else:
            answer = asha.on_trial_result(_NO_CONTROLLER, stand_in, dict(row))
        if rung is None:
            return None
        decision = "continue"
        if epoch >= self._epochs:
            decision = "finished"
        elif answer == TrialScheduler.STOP:
            decision = "protected" if protected else "stop"
        cutoff = self._cutoffs[search].latest
        return Arrival(epoch=epoch, rung=rung, value=value, cutoff=cutoff, decision=decision)


# Ray's ASHA reads nothing of a trial but its id, and nothing of the controller.
_NO_CONTROLLER = cast("TuneController", None)


def _stand_in(trial_id: str) -> Trial:
    return cast("Trial", SimpleNamespace(trial_id=trial_id))


def _reached(asha: ASHAScheduler, trial_id: str, epoch: int) -> int | None:
    """The rung that an epoch reaches, as Ray's bracket sees it."""
    (bracket,) = asha._brackets
    for milestone, recorded in bracket._rungs:
        if epoch >= milestone and trial_id not in recorded:
            return int(milestone)
    return None


class Cutoff:
    """The cut-off of a rung as Ray's bracket has it, quick on a rung of thousands, and remembered.

    Ray makes an array of a rung's values at each arrival, which is most of what an arrival costs.
    """

    def __init__(self, reduction_factor: float) -> None:
        """Starts without any rung."""
        self._percent = (1 - 1 / reduction_factor) * 100
        self._values: dict[int, array[float]] = {}
        self.latest: float | None = None

    def __call__(self, recorded: Mapping[str, float]) -> float | None:
        """What the rung's arrivals ask for: trial to value, in order; None for none."""
        values = self._values.setdefault(id(recorded), array("d"))
        values.extend(islice(recorded.values(), len(values), None))
        self.latest = None
        if values:
            self.latest = float(np.nanpercentile(np.array(values), self._percent))
        return self.latest


def _remembered(asha: ASHAScheduler) -> Cutoff:
    """Has an ASHA's bracket decide by cut-offs that are remembered."""
    (bracket,) = asha._brackets
    cutoff = Cutoff(bracket.rf)
    # The bracket has no setting for it; a test holds the two to the same answers.
    bracket.cutoff = cutoff  # type: ignore[method-assign]
    return cutoff
