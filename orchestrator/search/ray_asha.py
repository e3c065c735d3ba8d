"""Early stopping by Ray's ASHA, fed with the study's own trials."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from orchestrator.results.rows import Epoch
from orchestrator.stats.asha import FINISHED, Arrival, FamilyRungs, decision

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController
    from ray.tune.experiment import Trial

# Ray's ASHA reads nothing of the controller.
_NO_CONTROLLER = cast("TuneController", None)


class RayRungs(FamilyRungs):
    """Rungs of each search; one of Ray's ASHA schedulers each decides which trials go on.

    Our own rule says when a trial arrives at a rung, and the cut-off there; Ray is asked then, and
    its answer is what is done and recorded. So Ray never gets to a rung that is not offered. It is
    handed stubs with the study's own trial ids, since Tune's change with each attempt and Ray's
    rungs are keyed by them.
    """

    def __init__(
        self,
        searches: Iterable[str],
        *,
        rungs: Sequence[int],
        epochs: int,
        reduction_factor: int,
    ) -> None:
        """Makes one ASHA for each search; see `FamilyRungs`."""
        searches = list(searches)
        super().__init__(searches, rungs=rungs, epochs=epochs, reduction_factor=reduction_factor)
        self._known: set[str] = set()
        self._ashas = {
            search: ASHAScheduler(
                time_attr="epoch",
                metric="objective",
                mode="max",
                max_t=epochs,
                grace_period=min(rungs, default=epochs),
                reduction_factor=reduction_factor,
                brackets=1,
            )
            for search in searches
        }

    def arrive(self, search: str, trial_id: str, row: Epoch, *, exempt: bool) -> Arrival | None:
        """Records an epoch of a trial, and asks Ray for a decision at a rung."""
        arrival = super().arrive(search, trial_id, row, exempt=exempt)
        if arrival is None:
            return None
        asha, stub = self._ashas[search], cast("Trial", SimpleNamespace(trial_id=trial_id))
        if trial_id not in self._known:  # a trial's further attempts keep its arrivals
            self._known.add(trial_id)
            asha.on_trial_add(_NO_CONTROLLER, stub)
        # Whatever Ray says, the trial counts at this rung from now on.
        report = {"epoch": arrival.rung, "objective": arrival.value}
        stops = asha.on_trial_result(_NO_CONTROLLER, stub, report) == TrialScheduler.STOP
        if arrival.decision == FINISHED:
            return arrival
        return replace(arrival, decision=decision(weak=stops, exempt=exempt))
