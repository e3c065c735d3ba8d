"""How much a study trains at most, in epochs and images, before any of it is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.config.rungs import earliest_stop
from orchestrator.config.searches import list_searches
from orchestrator.config.settings import Settings

VALIDATION_SHARE: Final = 1 / 3
"""What a validation image costs against one trained on, which goes forward and backward."""


@dataclass(frozen=True, kw_only=True)
class Images:
    """How many images a trial sees in an epoch.

    Attributes:
        train: Share of the training images to their number.
        validation: Images validated on.
    """

    train: Mapping[float, int]
    validation: int

    def work(self, fraction: float) -> float:
        """An epoch at a share of the training images against one at the largest."""
        extra = VALIDATION_SHARE * self.validation
        return (self.train[fraction] + extra) / (max(self.train.values()) + extra)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """How much a study trains at most, in epochs and images.

    Attributes:
        searches: One per family, or per family and fraction.
        search_trials: Their trials.
        search_epochs: Their epochs if no trial is stopped.
        least_search_epochs: The same if ASHA stops all it may at the first rung, or a budget
            leaves the baselines alone.
        smaller_search_epochs: Of `search_epochs`, those at smaller fractions than the largest, each
            counted at its share of the images of one at the largest.
        final_runs: Re-trainings.
        final_epochs: Their epochs.
    """

    searches: int
    search_trials: int
    search_epochs: int
    least_search_epochs: int
    smaller_search_epochs: float
    final_runs: int
    final_epochs: int


def work_of(families: Sequence[str], settings: Settings) -> Workload:
    """The work of a study of these families before any of it is measured."""
    searches = list_searches(
        families, settings.train_fractions, per_fraction=settings.tune_per_fraction
    )
    others = 0 if settings.has_budget else settings.trials - 1
    largest = max(settings.train_fractions)
    smaller = sum(each.train_fraction / largest for each in searches) - len(families)
    final_runs = len(families) * 2 * settings.seeds * len(settings.train_fractions)
    return Workload(
        searches=len(searches),
        search_trials=len(searches) * settings.trials,
        search_epochs=len(searches) * settings.trials * settings.epochs,
        least_search_epochs=len(searches) * (settings.epochs + others * earliest_stop(settings)),
        smaller_search_epochs=smaller * settings.trials * settings.epochs,
        final_runs=final_runs,
        final_epochs=final_runs * settings.epochs,
    )
