"""Rule that ends searches once more trials would hardly change which family wins."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from orchestrator.config.searches import Search
from orchestrator.results.states import CANNOT_WIN, State
from orchestrator.stats.settled import SearchProgress, chance_of_another
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.trial import TrialRecord
from trainables.epoch_rows import objective

SETTING: Final = "stop_when_settled"


class Settled:
    """Rule that ends the searches at one share of the training images once they are settled.

    They may be so no longer, if a trial that runs meanwhile ends with something better.
    """

    def __init__(
        self,
        recorder: Recorder,
        searches: Sequence[Search],
        *,
        trials: int,
        below: float | None,
        images: int,
    ) -> None:
        """Has looked at nothing yet.

        Args:
            recorder: Of the search.
            searches: All of the study.
            trials: Per search.
            below: The chance below which they are settled; None: they never are.
            images: Validation images.
        """
        self._recorder, self._searches = recorder, searches
        self._trials, self._below, self._images = trials, below, images
        self._said: dict[tuple[float, int], bool] = {}

    def blocked_by(self, search: Search) -> str | None:
        """The rule's setting if it keeps a search from proposing; None where it may."""
        if self._below is None:
            return None
        families = {
            each.family: self._progress(self._recorder.of_search(each.name))
            for each in self._searches
            if each.train_fraction == search.train_fraction
        }
        left = sum(each.to_come for each in families.values())
        seen = search.train_fraction, left  # what is said changes only where a trial ends
        if seen not in self._said:
            chance = chance_of_another(families, images=self._images)
            self._said[seen] = chance is not None and chance < self._below
        return SETTING if self._said[seen] else None

    def _progress(self, records: Sequence[TrialRecord]) -> SearchProgress:
        ended = [record for record in records if record.status != State.RUNNING]
        found = [
            objective(record.best)
            for record in ended
            if record.status not in CANNOT_WIN and record.best is not None
        ]
        return SearchProgress(accuracies=np.array(found), to_come=self._trials - len(ended))
