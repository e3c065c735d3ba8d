"""What would tell the two best apart: the same futures drawn, other arithmetic."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import cauchy, norm, t

from recomputing.search_results import Recomputed
from recomputing.tables import Keyed, table

FUTURES = 4000


def settle(r: Recomputed) -> Keyed:
    rows, names = [], "way,now,needed,half_width,chance,device_hours"
    places = {f: r.points[f, "tuned", r.fractions[0]][0] for f in r.tuned}
    best = sorted(places, key=lambda family: -places[family])[:2]
    if len(best) > 1 and len(r.comparison):
        a, b = models = [(family, "tuned") for family in best]
        found, low, high = r.difference(*models, r.fractions[0], "accuracy")
        holm = r.holm[a, b, r.fractions[0]]
        hits = [r.hits(*model) for model in models]
        alike = len(np.unique(np.concatenate(hits), axis=0)) == 1
        if (low <= 0 <= high or holm >= 0.05) and min(map(len, hits)) > 1 and not alike:
            # Older studies have no p of means.
            pairs = 1 if pd.isna(holm) else r.distinct_pairs(r.fractions[0])
            rows = _ways(r, best, _Noise(hits, abs(found), pairs))
    yield "differences/settle", table(names, rows)


def _ways(r: Recomputed, best: Sequence[str], noise: "_Noise") -> list[tuple[Any, ...]]:
    finals, now = r.final.drop_duplicates("trial_id"), min(noise.seeds)
    seeds = _fewest(lambda number: noise.with_seeds(number)[1], max(noise.seeds), 50)
    seeds = seeds and max(seeds, now + 1)
    images = _fewest(lambda number: noise.with_images(number, now)[1], 1, 10_000_000)
    step = 10 ** max(0, len(str(images)) - 2)
    images = images and -(-images // step) * step
    spent = finals.groupby(["family", "role", "train_fraction"]).device_seconds
    again = (spent.mean() * ((seeds or 0) - spent.size()).clip(lower=0)).sum()
    anew = finals[finals.family.isin(best)].device_seconds.sum()
    more = (*noise.with_seeds(seeds), again / 3600) if seeds else [None] * 3
    other = (*noise.with_images(images, now), anew / 3600) if images else [None] * 3
    return [
        ("more seeds", now, seeds, *more),
        ("more test images", noise.tested, images, *other),
    ]


def _fewest(chance: Callable[[int], float], low: int, most: int) -> int | None:
    """The fewest that make a chance of 80%."""
    if low > most or chance(most) < 0.8:
        return None
    return low + bisect_left(range(low, most), True, key=lambda number: chance(number) >= 0.8)


class _Noise:
    """What the difference of two models is uncertain by, from [seeds, images] of hits."""

    def __init__(self, hits: Sequence[np.ndarray], found: float, pairs: int) -> None:
        self.found, self.level = found, 1 - 0.05 / pairs
        self.seeds, self.tested = np.array([len(own) for own in hits]), hits[0].shape[1]
        apart = [own - own.mean(axis=1, keepdims=True) for own in hits]
        self.luck = np.array([own.var(axis=0, ddof=1).mean() for own in apart])
        self.trainings = np.array([own.mean(axis=1).var(ddof=1) for own in hits])
        gap = (hits[0].mean(axis=0) - hits[1].mean(axis=0)).var(ddof=1)
        self.images = max(0.0, gap - (self.luck / self.seeds).sum())

    def with_seeds(self, seeds: int) -> tuple[float, float]:
        """Half an interval, and the chance that it excludes 0, of the same study with more."""
        random, then = np.random.default_rng(0), np.maximum(seeds, self.seeds)
        errors, there, variances = np.zeros(FUTURES), np.full(FUTURES, self.found), []
        for now, all_, variance in zip(self.seeds, then, self.trainings, strict=True):
            new, squares = all_ - now, np.full(FUTURES, (now - 1) * variance)
            gap = np.sqrt(variance / now) * random.standard_normal(FUTURES)
            there = there + gap
            if new:
                gap = gap + np.sqrt(variance / new) * random.standard_normal(FUTURES)
                errors, squares = errors + gap * new / all_, squares + gap**2 * new * now / all_
            if new > 1:
                squares = squares + variance * random.chisquare(new - 1, FUTURES)
            variances.append(squares / (all_ - 1))
        weights = cauchy.pdf(there, scale=0.045)
        return self._seen(np.array(variances), then, self.tested, errors, weights)

    def with_images(self, images: int, seeds: int) -> tuple[float, float]:
        """The same of a new study with other images and trainings."""
        random, each = np.random.default_rng(0), np.full(2, seeds)
        errors = self._of_images(each, images) * random.standard_normal(FUTURES)
        own, variances = np.maximum(0, self.trainings - self.luck / self.tested), []
        for model in (0, 1):
            errors = errors + np.sqrt(own[model] / seeds) * random.standard_normal(FUTURES)
            spread = random.chisquare(seeds - 1, FUTURES) / (seeds - 1)
            variances.append((own[model] + self.luck[model] / images) * spread)
        return self._seen(np.array(variances), each, images, errors)

    def _of_images(self, seeds: np.ndarray, images: int) -> float:
        return np.sqrt((self.images + (self.luck / seeds).sum()) / images)

    def _seen(
        self,
        variances: np.ndarray,
        seeds: np.ndarray,
        images: int,
        errors: np.ndarray,
        weights: np.ndarray | None = None,
    ) -> tuple[float, float]:
        means, counts = variances / seeds[:, None], seeds[:, None]
        own = np.maximum(0, means - self.luck[:, None] / images / counts).sum(axis=0)
        with np.errstate(invalid="ignore"):  # 0 / 0 where trainings are alike
            degrees = means.sum(axis=0) ** 2 / (means**2 / (counts - 1)).sum(axis=0)
        plain, corrected = (
            np.hypot(
                norm.ppf((1 + level) / 2) * self._of_images(seeds, images),
                np.nan_to_num(t.ppf((1 + level) / 2, degrees) * np.sqrt(own)),
            )
            for level in (0.95, self.level)
        )
        excluded = np.abs(self.found + errors) > corrected
        return float(np.median(plain)), float(np.average(excluded, weights=weights))
