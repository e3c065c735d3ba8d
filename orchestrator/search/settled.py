"""Rule that ends searches once more trials would hardly change which family wins."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Final

import numpy as np

from orchestrator.config.searches import Search
from orchestrator.results.states import CANNOT_WIN, State
from orchestrator.stats.settled import SearchProgress, chance_of_another
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.trial import TrialRecord
from trainables.epoch_rows import objective

SETTING: Final = "stop_when_settled"


@dataclass
class Settled:
    """Rule that ends the searches at one share of the training images once they are settled.

    They may be so no longer, if a trial that runs meanwhile ends with something better.

    Attributes:
        trials: Per search.
        below: The chance below which they are settled; None: they never are.
        images: Validation images.
    """

    recorder: Recorder
    searches: Sequence[Search]
    _: KW_ONLY
    trials: int
    below: float | None
    images: int
    _said: dict[tuple[float, int], bool] = field(default_factory=dict, init=False)

    def blocked_by(self, search: Search) -> str | None:
        """The rule's setting if it keeps a search from proposing; None where it may."""
        if self.below is None:
            return None
        families = {
            each.family: self._progress(self.recorder.of_search(each.name))
            for each in self.searches
            if each.train_fraction == search.train_fraction
        }
        left = sum(each.to_come for each in families.values())
        seen = search.train_fraction, left  # what is said changes only where a trial ends
        if seen not in self._said:
            chance = chance_of_another(families, images=self.images)
            self._said[seen] = chance is not None and chance < self.below
        return SETTING if self._said[seen] else None

    def _progress(self, records: Sequence[TrialRecord]) -> SearchProgress:
        ended = [record for record in records if record.status != State.RUNNING]
        found = [
            objective(record.best)
            for record in ended
            if record.status not in CANNOT_WIN and record.best is not None
        ]
        return SearchProgress(accuracies=np.array(found), to_come=self.trials - len(ended))
