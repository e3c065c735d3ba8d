"""Is a search settled: the chance that its trials to come change which family wins in the end.

What a study answers is which family's winner is the most accurate on the test set. The trials to
come change that only where they give a family another winner; how good that may be is read from
the best trials so far. The searches' own curves are not extrapolated, nor is anything known of a
trial that runs: it counts as one to come.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from orchestrator.config.settings import FEWEST_TO_SETTLE
from orchestrator.stats.bootstrap import SEED, Floats
from orchestrator.stats.power import SEED_NOISE

FUTURES: Final = 5000
"""Ends of a study that are drawn; a chance of 1% has a standard error of 0.14 points."""
BEST: Final = 0.25
"""Share of a family's trials, the best ones, from which its next ones are foretold."""
LEARNING: Final = 3.0
"""So many times as often as trials so far will those to come be among the best: a search learns."""


@dataclass(frozen=True, kw_only=True)
class SearchProgress:
    """The best validation accuracy of each of a family's trials that has ended and can win.

    `to_come` counts the trials that run or are still to be proposed.
    """

    accuracies: Floats
    to_come: int


def chance_of_another(families: Mapping[str, SearchProgress], *, images: int) -> float | None:
    """The chance that the trials to come change which family is the most accurate when tested.

    A family's next trials lie among its best with some probability, and then above the worst of
    these by an exponentially distributed amount, whose mean is that of the best so far. An accuracy
    is tested with the noise of `images` images and of a training, one that stays the same is tested
    the same. None where too few trials have ended, or one family alone can win.
    """
    ended = [len(each.accuracies) for each in families.values()]
    if len(ended) <= 1 or min(ended) < FEWEST_TO_SETTLE:
        return None
    generator = np.random.default_rng(SEED)
    now, then = np.empty((2, len(families), FUTURES))
    for number, each in enumerate(families.values()):
        best = float(each.accuracies.max())
        found = _best_to_come(each, generator)
        changed = found > best
        noise = np.sqrt(best * (1 - best) / images + SEED_NOISE**2)
        now[number] = best + noise * generator.standard_normal(FUTURES)
        again = found + noise * generator.standard_normal(FUTURES)
        then[number] = np.where(changed, again, now[number])
    return float(np.mean(now.argmax(axis=0) != then.argmax(axis=0)))


def _best_to_come(family: SearchProgress, generator: np.random.Generator) -> Floats:
    """The best accuracy among a family's trials to come, [futures]; -inf where none is good."""
    count = len(family.accuracies)
    best = max(2, int(np.ceil(BEST * count)))
    ordered = np.sort(family.accuracies)[::-1]
    above = ordered[best]  # the best of the others
    excess = float(np.mean(ordered[:best] - above))
    probability = min(1.0, LEARNING * best / count)
    hits = generator.binomial(family.to_come, probability, FUTURES)
    # The largest of so many exponentially distributed values, by its inverse distribution.
    rank = generator.random(FUTURES) ** (1 / np.maximum(hits, 1))
    largest = -excess * np.log1p(-rank)
    return np.where(hits > 0, above + largest, -np.inf)
