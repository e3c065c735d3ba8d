"""What the trials to come may still change: which family wins, and what finding out costs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

import numpy as np

from orchestrator.config.searches import search_of
from orchestrator.results.rows import TrialRow
from orchestrator.results.states import MAY_WIN, State
from orchestrator.results.study_record import StudyRecord
from orchestrator.stats.settled import SearchProgress, chance_of_another
from trainables.epoch_rows import objective

SECONDS_PER_HOUR: Final = 3600


@dataclass(frozen=True, kw_only=True)
class MoreTrials:
    """The trials that run or are to come, at the largest share of the training images.

    Attributes:
        trials: How many.
        chance_of_another_winner: That they change which family is the most accurate in the end.
        device_hours: That they take, if they are like those that have ended.
    """

    trials: int
    chance_of_another_winner: float
    device_hours: float


def more_trials(
    study: StudyRecord, trials: Sequence[TrialRow], failed_families: Collection[str]
) -> MoreTrials | None:
    """What more trials may change; None where too few have ended, or there is one family.

    Args:
        study: The study.
        trials: Rows of `trials.parquet`.
        failed_families: Families that get no more trials.
    """
    images = study.dataset.validation_images
    families, seconds = {}, 0.0
    for name in study.settings.families:
        own = [row for row in trials if search_of(row["trial_id"]) == name]
        ended = [row for row in own if row["status"] != State.RUNNING]
        found = [
            objective(row)
            for row in ended
            if row["status"] in MAY_WIN and row["validation_accuracy"] is not None
        ]
        to_come = len(own) if name in failed_families else study.settings.trials
        families[name] = SearchProgress(accuracies=np.array(found), to_come=to_come - len(ended))
        if ended:
            usual = fmean(row["device_seconds"] for row in ended)
            begun = sum(row["device_seconds"] for row in own if row["status"] == State.RUNNING)
            seconds += max(0.0, usual * families[name].to_come - begun)
    chance = chance_of_another(families, images=images) if images else None
    if chance is None:
        return None
    return MoreTrials(
        trials=sum(each.to_come for each in families.values()),
        chance_of_another_winner=chance,
        device_hours=seconds / SECONDS_PER_HOUR,
    )
