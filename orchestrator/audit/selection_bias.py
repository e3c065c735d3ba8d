"""How much of the best of N is luck: a share of its lead is the noise of one measurement.

The best of N noisy values is chosen partly for its noise (Cawley and Talbot 2010, On Over-fitting
in Model Selection). What a single value's noise is comes from seeds, from the parts of a
cross-validation, or from the number of images; how much of it the best one has kept follows from
drawing such studies again (a parametric bootstrap; Efron 2011, Tweedie's Formula and Selection
Bias, has the closed form for normal values).
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from orchestrator.analysis.section import present
from orchestrator.analysis.selection import expected_best
from orchestrator.audit.foreign import ForeignStudy, Trial

DRAWS: Final = 2000
FEWEST_DEGREES: Final = 2
"""Of freedom, that a spread over seeds needs."""
SEEDS, FOLDS, IMAGES = "seeds", "folds", "images"


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The standard deviation of one measurement of the metric.

    Attributes:
        deviation: In the units of the metric.
        source: `seeds`, `folds` or `images`.
        degrees: Of freedom; infinite where it follows from the number of images.
    """

    deviation: float
    source: str
    degrees: float


@dataclass(frozen=True, kw_only=True)
class SelectionBias:
    """The best of a group's trials, and how far it is luck.

    Attributes:
        configs: Distinct configurations with a value.
        best: Name of the best trial; `value` is its.
        expected_half: Expected best of half as many trials drawn at random (Dodge et al. 2019).
        optimism: How much better its value is than what it would be on average, in the metric's
            units and never negative; None where the noise is not known.
    """

    group: str
    configs: int
    best: str
    value: float
    expected_half: float
    optimism: float | None


def measure_noise(study: ForeignStudy) -> Noise | None:
    """The noise of one measurement: from seeds, from folds, or from the number of images."""
    return _of_seeds(study) or _of_folds(study) or _of_images(study)


def repeats(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Trials of one configuration with different seeds, two or more, each configuration once."""
    by_config: dict[object, dict[str, Trial]] = defaultdict(dict)
    for trial in trials:
        if trial.seed is not None:
            by_config[trial.group, trial.config].setdefault(trial.seed, trial)
    return [list(by_seed.values()) for by_seed in by_config.values() if len(by_seed) > 1]


def _of_seeds(study: ForeignStudy) -> Noise | None:
    scores = [present(map(study.score, trials)) for trials in repeats(study.usable)]
    groups = [values for values in scores if len(values) > 1]
    degrees = sum(len(values) - 1 for values in groups)
    squares = sum((len(values) - 1) * float(np.var(values, ddof=1)) for values in groups)
    if degrees < FEWEST_DEGREES or squares == 0:
        return None
    return Noise(deviation=math.sqrt(squares / degrees), source=SEEDS, degrees=degrees)


def _of_folds(study: ForeignStudy) -> Noise | None:
    """What is left of folds' values without what is of a trial and of a fold, over their mean."""
    rows = [trial.splits for trial in study.usable if trial.splits]
    if len({len(row) for row in rows}) != 1 or 1 in {len(rows), len(rows[0])}:
        return None
    values = np.array(rows)
    left = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    degrees = (values.shape[0] - 1) * (values.shape[1] - 1)
    deviation = math.sqrt(float((left**2).sum()) / degrees / values.shape[1])
    return Noise(deviation=deviation, source=FOLDS, degrees=degrees) if deviation else None


def _of_images(study: ForeignStudy) -> Noise | None:
    """The binomial spread of an accuracy; images that all trials share have less of it."""
    best, images = study.best(study.usable), study.said.validation_images
    share = None if best is None else accuracy_share(study, best)
    if images is None or best is None or share is None:
        return None
    deviation = math.sqrt(share * (1 - share) / images)
    percent = (study.score(best) or 0.0) / share
    return Noise(deviation=deviation * percent, source=IMAGES, degrees=math.inf)


def accuracy_share(study: ForeignStudy, trial: Trial, *, test: bool = False) -> float | None:
    """An accuracy or error rate as a fraction; None where the metric is none."""
    value = trial.test if test else study.score(trial)
    name = (study.test_metric if test else study.metric or study.test_metric) or ""
    rate = {"accuracy", "acc", "top1", "error", "err", "precision", "recall"}
    words = set(name.lower().replace("-", "_").replace("/", "_").split("_"))
    if value is None or not words & rate:
        return None
    share = value / 100 if value > 1 else value
    return share if 0 < share < 1 else None


def measure_selection_bias(study: ForeignStudy, noise: Noise | None) -> Iterator[SelectionBias]:
    """The best of each group's trials, and how far it is luck."""
    for group in study.groups:
        means, best = config_means(study, study.of(group)), study.best(study.of(group))
        if best is None:
            continue
        values, times = study.sign * means[:, 0], means[:, 1]
        value = study.score(best)
        assert value is not None
        half = expected_best(values.tolist(), (len(values) + 1) // 2)
        yield SelectionBias(
            group=group,
            configs=len(values),
            best=best.name,
            value=value,
            expected_half=study.sign * half,
            optimism=None
            if noise is None
            else expected_noise_of_best(values, noise.deviation, times),
        )


def config_means(study: ForeignStudy, trials: Sequence[Trial]) -> np.ndarray:
    """The mean value of each configuration, and of how many trials it is, [configurations, 2]."""
    by_config: dict[object, list[float]] = defaultdict(list)
    for trial in trials:
        by_config[trial.config] += present([study.score(trial)])
    means = [(float(np.mean(values)), len(values)) for values in by_config.values() if values]
    return np.array(means).reshape(-1, 2)


def expected_noise_of_best(
    values: np.ndarray, deviation: float, times: np.ndarray, *, seed: int = 0
) -> float:
    """The expected noise of the best of noisy values, more being better.

    The values vary by their noise too, so what is taken for their truths is drawn in to their mean
    until both together vary as the values do.

    Args:
        values: Of the configurations, [configurations].
        deviation: Of the noise of a single measurement.
        times: Of how many measurements each is the mean, [configurations].
        seed: Of the draws.
    """
    noise = deviation / np.sqrt(times)
    if len(values) == 1:
        return 0.0
    spread = float(values.var(ddof=1))
    kept = math.sqrt(max(0.0, 1 - float((noise**2).mean()) / spread)) if spread else 0.0
    truths = values.mean() + kept * (values - values.mean())
    drawn = noise * np.random.default_rng(seed).standard_normal((DRAWS, len(values)))
    return max(0.0, float(drawn[np.arange(DRAWS), (truths + drawn).argmax(axis=1)].mean()))
