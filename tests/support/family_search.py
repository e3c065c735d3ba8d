"""The searcher of two families, over a recorder of made-up trials."""

from collections.abc import Callable

from orchestrator.config.samplers import TPE
from orchestrator.config.searches import list_searches
from orchestrator.config.sources import resolve
from orchestrator.plan.families import FamilyPlan, plan_families
from orchestrator.search.family_searcher import FamilySearch
from orchestrator.search.samplers import MAKE
from orchestrator.trials.recorder import Recorder

EPOCHS = 3


def plans_of(*assignments: str) -> list[FamilyPlan]:
    """Two families, their spaces narrowed."""
    settings = {"families": "cnn,resnet50_scratch"}
    return plan_families(resolve(settings, config=None, assignments=list(assignments)))


def make_search(
    recorder: Recorder,
    *,
    trials: int = 4,
    plans: list[FamilyPlan] | None = None,
    first_cut: Callable[[str], int | None] = lambda _: None,
    by_device_time: bool = False,
    fractions: tuple[float, ...] = (1.0,),
    max_attempts: int = 3,
    sampler: str = TPE,
) -> FamilySearch:
    """Proposes trials and records them, without Ray."""
    plans = plans or plans_of()
    return FamilySearch(
        recorder,
        plans,
        list_searches([plan.name for plan in plans], fractions, per_fraction=True),
        trials=trials,
        seed=7,
        epochs=EPOCHS,
        max_attempts=max_attempts,
        first_cut=first_cut,
        by_device_time=by_device_time,
        sampler=MAKE[sampler],
    )
