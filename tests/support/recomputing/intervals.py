"""The intervals and futures of docs/STATISTICS.md: the same draws, other arithmetic."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, reduce
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest, cauchy, norm, t

DRAWS, FUTURES, LEVEL = 2000, 4000, 0.95
METRICS = ("accuracy", "precision", "recall", "loss")
DIFFERENCES = ",".join(f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high"))
"""Columns of the differences of two models."""
SMALLEST = np.nextafter(np.float32(0), np.float32(1)).astype(float)


@cache
def resampled(images: int) -> np.ndarray:
    """The test images of each draw, [images, draws]."""
    generator, at_once = np.random.default_rng(0), max(1, 2_000_000 // images)
    sizes = [min(at_once, DRAWS - start) for start in range(0, DRAWS, at_once)]
    return np.concatenate([generator.integers(images, size=(images, n)) for n in sizes], axis=1)


def of_images(run: pd.DataFrame, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    """What each image adds to each metric of a run, which is the mean of these."""
    labels, predicted = run.label.to_numpy(), run.predicted.to_numpy()
    right, classes = (labels == predicted).astype(float), probabilities.shape[1]
    return {
        "accuracy": right,
        "precision": influence(right, predicted, classes),
        "recall": influence(right, labels, classes),
        "loss": -np.log(np.maximum(probabilities[np.arange(len(run)), labels], SMALLEST)),
    }


def influence(right: np.ndarray, counts_for: np.ndarray, classes: int) -> np.ndarray:
    """What each image adds to a mean over classes of the share that is right, [images].

    Those of a class with one image are held against all images, the less so the more classes have
    one image or none.
    """
    own = pd.DataFrame({"right": right, "of": counts_for}).groupby("of").right
    size, share = own.transform("size").to_numpy(), own.transform("mean").to_numpy()
    few = 1 - (own.size() > 1).sum() / classes
    within = (right - share) * np.sqrt(size / np.maximum(1, size - 1))
    alone = right - (1 - np.sqrt(few)) * right.mean()
    apart = np.where(size > 1, within, alone) * len(right) / classes / size
    return own.mean().sum() / classes + apart - apart.mean()


@dataclass(frozen=True)
class Seeds:
    """A metric of one model: what each image adds to it, and its loss, [seeds, images]."""

    metric: str
    of_images: np.ndarray
    losses: np.ndarray

    @cached_property
    def points(self) -> np.ndarray:
        """The metric of each seed."""
        return self.of_images.mean(axis=1)

    @cached_property
    def draws(self) -> np.ndarray:
        """The same on each draw of images, [seeds, draws]."""
        drawn = resampled(self.of_images.shape[1])
        return np.stack([own[drawn].mean(axis=0) for own in self.of_images])

    @cached_property
    def variances(self) -> tuple[float, float]:
        """Of the mean, as the seeds show it, and without what the choice of images puts into it."""
        apart = self.draws - self.points[:, None]
        observed, of_draws = self.points.var(ddof=1), apart.var(axis=0, ddof=1).mean()
        return observed / len(apart), max(0.0, observed - of_draws) / len(apart)

    def noisy(self, generator: np.random.Generator) -> np.ndarray:
        """The mean as it might have come out with other images and other seeds, [draws]."""
        seeds, draws = self.draws.shape
        if seeds == 1:
            return self.draws[0]
        errors = generator.standard_t(seeds - 1, draws)
        return self.draws.mean(axis=0) + errors * np.sqrt(self.variances[1])


def difference(*models: Seeds, level: float = LEVEL) -> list[float]:
    """The first's mean minus the second's, or one's mean, and its interval within what can be.

    Beyond 95% the interval has the tails of a normal distribution.
    """
    trainings = [np.sort(model.losses, axis=0) for model in models]
    if len(models) > 1 and np.array_equal(*trainings):  # the same under two names
        return [0.0, 0.0, 0.0]
    draws = reduce(np.subtract, [model.draws.mean(axis=0) for model in models])
    centre = reduce(np.subtract, [model.points.mean() for model in models])
    ends = np.quantile(draws, (1 + min(level, LEVEL) * np.array([-1, 1])) / 2)
    stretch = max(1, norm.ppf((1 + level) / 2) / norm.ppf((1 + LEVEL) / 2))
    widths, margin = abs(centre - ends) * stretch, 0.0
    if len(models) > 1 and models[0].metric == "accuracy":
        # No less than after as many images as the squared quantile are added that differ in 1.
        gaps = reduce(np.subtract, [model.of_images.mean(axis=0) for model in models])
        images, quantile = len(gaps), t.ppf((1 + level) / 2, len(gaps) - 1)
        least = quantile * np.sqrt(images * gaps.var(ddof=1) + quantile**2) / images
        widths = np.maximum(widths, least)
    if all(len(model.points) > 1 for model in models):
        observed, of_training = np.transpose([model.variances for model in models])
        if observed.any():
            degrees = [len(model.points) - 1 for model in models]
            welch = observed.sum() ** 2 / (observed**2 / degrees).sum()
            margin = t.ppf((1 + level) / 2, welch) * np.sqrt(of_training.sum())
    ends = centre + np.hypot(widths, margin) * [-1, 1]
    most = np.inf if models[0].metric == "loss" else 1
    return [centre, *np.clip(ends, -most if len(models) > 1 else 0, most)]


def differences(a: Mapping[str, Seeds], b: Mapping[str, Seeds]) -> list[float]:
    """Those of all metrics."""
    return [end for metric in METRICS for end in difference(a[metric], b[metric])]


def p_of_means(a: Seeds, b: Seeds) -> float:
    """The smallest alpha whose interval of a - b excludes 0; none below 1e-6."""

    def excludes_0(alpha: int) -> bool:
        _, low, high = difference(a, b, level=1 - alpha / 1e10)
        return max(low, -high) > 1e-12

    return bisect_left(range(10**10), True, 10**4, key=excludes_0) / 1e10


def mcnemar(a: Seeds, b: Seeds) -> float:
    """The exact p-value of two runs on the same images."""
    apart = a.of_images - b.of_images
    return float(binomtest(int((apart > 0).sum()), max(1, np.count_nonzero(apart))).pvalue)


def adjusted(networks: Mapping[Any, frozenset[bytes]], ps: Mapping[Any, float]) -> dict[Any, float]:
    """Name to p by Holm (1979) over distinct tests, by the networks that are tested and p.

    Pairs of the same networks under other names are one test, and a model against itself none.
    """
    distinct = {pair: ps[name] for name, pair in networks.items() if len(pair) > 1}
    own = pd.Series(distinct, dtype=float).sort_values()
    of_pair = (own * np.arange(len(own), 0, -1)).cummax().clip(upper=1).to_dict()
    return {name: of_pair.get(networks[name], p) for name, p in ps.items()}


class Noise:
    """What the difference of two models is uncertain by, from [seeds, images] of hits."""

    def __init__(self, hits: Sequence[np.ndarray], found: float, pairs: int) -> None:
        self.found, self.levels = found, (0.95, 1 - 0.05 / pairs)
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
        half_width, excludes_0 = self._seen(variances, then, self.tested, errors)
        return half_width, np.average(excludes_0, weights=cauchy.pdf(there, scale=0.045))

    def with_images(self, images: int, seeds: int) -> tuple[float, float]:
        """The same of a new study with other images and trainings."""
        random, each = np.random.default_rng(0), np.full(2, seeds)
        errors = self._of_images(each, images) * random.standard_normal(FUTURES)
        own, variances = np.maximum(0, self.trainings - self.luck / self.tested), []
        for of_training, luck in zip(own, self.luck, strict=True):
            errors = errors + np.sqrt(of_training / seeds) * random.standard_normal(FUTURES)
            spread = random.chisquare(seeds - 1, FUTURES) / (seeds - 1)
            variances.append((of_training + luck / images) * spread)
        half_width, excludes_0 = self._seen(variances, each, images, errors)
        return half_width, excludes_0.mean()

    def _of_images(self, seeds: np.ndarray, images: int) -> float:
        return np.sqrt((self.images + (self.luck / seeds).sum()) / images)

    def _seen(
        self, variances: Sequence[np.ndarray], seeds: np.ndarray, images: int, errors: np.ndarray
    ) -> tuple[float, np.ndarray]:
        means = np.transpose(variances) / seeds
        own = np.maximum(0, means - self.luck / images / seeds).sum(axis=1)
        with np.errstate(invalid="ignore"):  # 0 / 0 where trainings are alike
            degrees = means.sum(axis=1) ** 2 / (means**2 / (seeds - 1)).sum(axis=1)
        plain, corrected = (
            np.hypot(
                (tail := t.ppf((1 + level) / 2, max(1, images - 1)))
                * np.hypot(self._of_images(seeds, images), tail / images),
                np.nan_to_num(t.ppf((1 + level) / 2, degrees) * np.sqrt(own)),
            )
            for level in self.levels
        )
        return min(1.0, float(np.median(plain))), np.abs(self.found + errors) > corrected
