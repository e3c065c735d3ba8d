"""Do the 95% intervals hold the truth in 95% of studies? Simulated studies whose truth is known.

    python benchmarks/coverage.py [--studies 2000] [--draws 2000] [--images 1000] [--seeds 1 2 3 5]
        [--regimes NAME ...] [--resample-seeds]

Each study has two models, trained on some seeds and tested on the same images. An image is
classified correctly where a normal score is positive: the model's skill, how easy the image is, how
easy it is for this model, luck of the training, and luck of the training with this image. The true
difference in accuracy is then known. `orchestrator.stats.intervals` sees the hits.
"""

import argparse
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy
from scipy.stats import norm

from orchestrator.stats import bootstrap
from orchestrator.stats.intervals import MeanDifference, SeedRuns

SKILLS = (0.8, 0.6)
EASE, EASE_FOR_MODEL, LUCK_WITH_IMAGE = 0.8, 0.5, 0.6
COLLAPSED = 0.15
"""Share of the trainings that do."""
Luck = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
"""Draws what trainings add to their score, of a shape."""


def normal(sd: float) -> Luck:
    """Normal training noise."""
    return lambda generator, shape: sd * generator.standard_normal(shape)


def heavy_tailed(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Student's t with 3 degrees of freedom: now and then a training is far off."""
    return 0.05 * generator.standard_t(3, size=shape)


def collapsing(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal noise, but some trainings end at about the chance level of ten classes."""
    collapsed = generator.random(shape) < COLLAPSED
    return np.where(collapsed, -2.2, normal(0.05)(generator, shape))


REGIMES: dict[str, tuple[Luck, Luck]] = {
    "none": (normal(0), normal(0)),
    "below that of the images": (normal(0.02), normal(0.02)),
    "like that of the images": (normal(0.05), normal(0.05)),
    "in one model alone": (normal(0.15), normal(0.02)),
    "above that of the images": (normal(0.15), normal(0.15)),
    "heavy-tailed": (heavy_tailed, heavy_tailed),
    "one model collapses in 15%": (collapsing, normal(0.05)),
}
"""Training noise by name, of either model; the intervals assume that it has no such collapses."""
STUDIES_AT_ONCE = 50
LUCKS_OF_TRUTH = 1_000_000
"""Trainings over which the true accuracy of a model is the mean."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is known of a simulated study.

    Attributes:
        models: Accuracy of either model on its test images.
        true: The difference in accuracy of any trainings on any images, a fraction.
        true_of_these: That of these trainings, on any images.
    """

    models: tuple[SeedRuns, SeedRuns]
    true: float
    true_of_these: float


def simulate(
    noise: tuple[Luck, Luck], seeds: int, images: int, draws: int, generator: np.random.Generator
) -> Iterator[Study]:
    """Studies with `seeds` trainings a model, without end; they share the bootstrap's draws."""
    shape = (STUDIES_AT_ONCE, seeds)
    of_any = [
        _accuracy(skill + luck(np.random.default_rng(1), (LUCKS_OF_TRUTH,))).mean()
        for skill, luck in zip(SKILLS, noise, strict=True)
    ]
    while True:
        ease = EASE * generator.standard_normal((STUDIES_AT_ONCE, 1, images))
        hits, lucks = [], []
        for skill, luck in zip(SKILLS, noise, strict=True):
            for_model = EASE_FOR_MODEL * generator.standard_normal(ease.shape)
            lucks.append(luck(generator, shape))
            with_image = LUCK_WITH_IMAGE * generator.standard_normal((*shape, images))
            hits.append(skill + ease + for_model + lucks[-1][..., None] + with_image > 0)
        flat = np.concatenate([each.reshape(-1, images) for each in hits])
        drawn = bootstrap.accuracy_draws(flat, draws=draws).reshape(2, *shape, draws)
        for number in range(STUDIES_AT_ONCE):
            a, b = (
                SeedRuns(points=hits[m][number].mean(axis=1), draws=drawn[m, number])
                for m in range(2)
            )
            own = [_accuracy(SKILLS[m] + lucks[m][number]).mean() for m in range(2)]
            yield Study(
                models=(a, b),
                true=float(of_any[0] - of_any[1]),
                true_of_these=float(own[0] - own[1]),
            )


def interval_of_means(a: SeedRuns, b: SeedRuns) -> tuple[float, float]:
    """The project's own."""
    return MeanDifference.of(a, b).interval()


def coverage(
    noise: tuple[Luck, Luck],
    seeds: int,
    *,
    studies: int,
    images: int,
    draws: int,
    interval: Callable[[SeedRuns, SeedRuns], tuple[float, float]] = interval_of_means,
) -> tuple[float, float, float]:
    """In how many studies the interval holds the truth.

    Returns:
        The share of studies whose interval holds the difference of any trainings, the share whose
        interval holds that of the trainings it has seen, and the median width; all fractions.
    """
    found = []
    source = simulate(noise, seeds, images, draws, np.random.default_rng(0))
    for study, _ in zip(source, range(studies), strict=False):
        low, high = interval(*study.models)
        found.append(
            (low <= study.true <= high, low <= study.true_of_these <= high, high - low),
        )
    held, held_of_these, widths = zip(*found, strict=True)
    return float(np.mean(held)), float(np.mean(held_of_these)), float(np.median(widths))


def resample_seeds(a: SeedRuns, b: SeedRuns) -> tuple[float, float]:
    """The usual bootstrap over images and seeds, which draws among the few seeds there are."""
    generator = np.random.default_rng()
    means = []
    for model in (a, b):
        chosen = generator.integers(len(model.points), size=model.draws.shape)
        means.append(np.take_along_axis(model.draws, chosen, axis=0).mean(axis=0))
    return bootstrap.percentile_interval(means[0] - means[1])


def _accuracy(skill: np.ndarray) -> np.ndarray:
    spread = np.sqrt(EASE**2 + EASE_FOR_MODEL**2 + LUCK_WITH_IMAGE**2)
    return np.asarray(norm.cdf(skill / spread))


def main() -> None:
    """Simulates and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=bootstrap.DRAWS)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 5])
    parser.add_argument("--regimes", nargs="+", choices=REGIMES, default=list(REGIMES))
    parser.add_argument("--resample-seeds", action="store_true", help="instead, for comparison")
    options = parser.parse_args()
    interval = resample_seeds if options.resample_seeds else interval_of_means
    started = time.process_time()
    print("| training noise | seeds | holds any trainings' difference | these trainings' | width |")
    print("| --- | --- | --- | --- | --- |")
    for name in options.regimes:
        for seeds in options.seeds:
            sizes = {"studies": options.studies, "images": options.images, "draws": options.draws}
            held, held_of_these, width = coverage(REGIMES[name], seeds, interval=interval, **sizes)
            cells = f"{100 * held:.1f}% | {100 * held_of_these:.1f}% | {100 * width:.1f} points"
            print(f"| {name} | {seeds} | {cells} |", flush=True)
    print(
        f"\n{options.studies} studies a row, {options.images} test images, {options.draws} draws; "
        f"numpy {np.__version__}, scipy {scipy.__version__}, Python {platform.python_version()}, "
        f"{time.process_time() - started:.0f} CPU seconds on {platform.machine()}"
    )


if __name__ == "__main__":
    main()
