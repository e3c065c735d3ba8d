"""Is what a study promises to see what it sees? Simulated studies whose truth is known.

    python benchmarks/power.py [--studies 1000] [--images 1000] [--draws 300]
        [--regimes NAME ...]

The studies are those of `coverage.py`: two models, some trainings of each, the same images. Each is
looked at with 3 seeds, as the default has it, and from what it has measured `stats.power` says what
other studies would find: a new one, of other trainings on other images, and the study itself with
more seeds. Then these are simulated, and compared by the project's own intervals.
"""

import argparse
import platform
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

import numpy as np
import scipy
from coverage import EASE, EASE_FOR_MODEL, LUCK_WITH_IMAGE, STUDIES_AT_ONCE
from scipy.stats import norm

from orchestrator.stats import bootstrap, power
from orchestrator.stats.claims import Side, cautious_difference
from orchestrator.stats.intervals import SeedRuns

REGIMES = {
    "none": (0.0, 0.0),
    "below that of the images": (0.02, 0.02),
    "like that of the images": (0.05, 0.05),
    "in one model alone": (0.15, 0.02),
    "above that of the images": (0.15, 0.15),
}
"""Training noise by name, to its standard deviation in the score of either model."""
SEEDS = 3
LOWER_ACCURACY = 0.6
"""Of the less accurate model."""
DIFFERENCES = (0.03, 0.1)
"""Standard deviations of the differences in accuracy of the studies that are extended, beside those
that are as `power.TYPICAL_DIFFERENCE` assumes them."""
WIDEST = 0.35
"""Difference in accuracy; above it accuracies are no longer normal."""
SECOND_LOOK = 8
"""Seeds."""
MORE_SEEDS = (5, 8, 12)
BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True, kw_only=True)
class Study:
    """A simulated study.

    Attributes:
        hits: Whether each training of either model is right on each image, [2, seeds, images].
        draws: Accuracies on resampled images, [2, seeds, draws].
    """

    hits: np.ndarray
    draws: np.ndarray

    def interval(self, seeds: int) -> tuple[float, float]:
        """Of the difference, from the first so many seeds."""
        a, b = (
            Side(
                runs=SeedRuns(points=hits[:seeds].mean(axis=1), draws=draws[:seeds]),
                hits=hits[:seeds],
            )
            for hits, draws in zip(self.hits, self.draws, strict=True)
        )
        return cautious_difference(a, b, None).interval()

    def difference(self, seeds: int) -> float:
        """That was found."""
        a, b = self.hits[:, :seeds].mean(axis=(1, 2))
        return float(a - b)

    def noise(self, seeds: int) -> power.Noise:
        """As measured."""
        return power.measure(*self.hits[:, :seeds])


def simulate(
    noise: tuple[float, float],
    differences: np.ndarray,
    *,
    seeds: int,
    images: int,
    draws: int,
    seed: int,
) -> Iterator[Study]:
    """Studies with these true differences in accuracy, one each."""
    generator = np.random.default_rng(seed)
    for start in range(0, len(differences), STUDIES_AT_ONCE):
        part = differences[start : start + STUDIES_AT_ONCE]
        shape = (len(part), seeds)
        ease = EASE * generator.standard_normal((len(part), 1, images))
        hits = np.empty((2, *shape, images), dtype=bool)
        for model, sd in enumerate(noise):
            accuracy = LOWER_ACCURACY + part * (model == 0)
            spread = np.sqrt(EASE**2 + EASE_FOR_MODEL**2 + LUCK_WITH_IMAGE**2 + sd**2)
            score = norm.ppf(accuracy)[:, None, None] * spread + ease
            score = score + EASE_FOR_MODEL * generator.standard_normal(ease.shape)
            score = score + sd * generator.standard_normal((*shape, 1))
            score = score + LUCK_WITH_IMAGE * generator.standard_normal((*shape, images))
            hits[model] = score > 0
        drawn = bootstrap.accuracy_draws(hits.reshape(-1, images), draws=draws)
        drawn = drawn.reshape(2, *shape, draws)
        for number in range(len(part)):
            yield Study(hits=hits[:, number], draws=drawn[:, number])


def excludes_zero(interval: tuple[float, float]) -> bool:
    """Whether a difference is told apart from none."""
    low, high = interval
    return low > 0 or high < 0


def new_studies(
    name: str, *, studies: int, images: int, draws: int
) -> Iterator[tuple[str, str, str, str, str]]:
    """What is promised of new studies, from what other studies have measured, and what is found.

    The true difference is the one that a study is said to see with a chance of 80%, by the noise as
    it is on the mean of all.
    """
    sizes = {"images": images, "draws": draws}
    sizes = {"images": images, "draws": draws}

    def measured(difference: float) -> list[power.Noise]:
        truth = np.full(studies, difference)
        source = simulate(REGIMES[name], truth, seeds=SEEDS, images=images, draws=1, seed=1)
        return [study.noise(SEEDS) for study in source]

    alike = mean_noise(measured(0.0))
    for seeds in (2, SEEDS, *MORE_SEEDS[:2]):
        size = power.outlook(alike, seeds=seeds, images=images).smallest
        if size > WIDEST:
            continue
        pilots = measured(size)
        known = mean_noise(pilots)
        asked = {"seeds": seeds, "images": images, "difference": size}
        best = power.outlook(known, **asked)
        promised = [power.outlook(pilot, **asked) for pilot in pilots]
        intervals = [
            study.interval(seeds)
            for study in simulate(
                REGIMES[name], np.full(studies, size), seeds=seeds, seed=2, **sizes
            )
        ]
        found = fmean(map(excludes_zero, intervals))
        width = median((high - low) / 2 for low, high in intervals)
        yield (
            f"{name} | {seeds} | {100 * size:.1f}",
            f"{100 * best.power:.0f}%",
            f"{100 * fmean(each.power for each in promised):.0f}%",
            f"{100 * found:.0f}%",
            f"{100 * best.half_width:.2f} | "
            f"{100 * median(each.half_width for each in promised):.2f} | {100 * width:.2f}",
        )


def mean_noise(measured: list[power.Noise]) -> power.Noise:
    """The noise as it is: each part the mean of what many studies have measured."""
    return power.Noise(
        images=fmean(each.images for each in measured),
        residual=tuple(np.mean([each.residual for each in measured], axis=0)),
        trainings=tuple(np.mean([each.trainings for each in measured], axis=0)),
        tested=measured[0].tested,
    )


@dataclass(frozen=True, kw_only=True)
class Extended:
    """What was promised of a study that was not settled with 3 seeds, and what came of it."""

    promised: float
    found: bool
    promised_width: float
    width: float


def extended_studies(
    name: str, differences: np.ndarray, *, images: int, draws: int
) -> tuple[dict[int, list[Extended]], list[bool]]:
    """What is promised of studies that get more seeds, and what is found.

    Returns:
        By the number of seeds, of each study that 3 seeds did not settle; and of those that are
        said to need 4 to 12 seeds for 80%, whether these did.
    """
    most = MORE_SEEDS[-1]
    by_seeds: dict[int, list[Extended]] = {seeds: [] for seeds in MORE_SEEDS}
    needed = []
    for study in simulate(
        REGIMES[name], differences, seeds=most, images=images, draws=draws, seed=3
    ):
        if excludes_zero(study.interval(SEEDS)):
            continue
        noise, difference = study.noise(SEEDS), study.difference(SEEDS)
        for seeds, rows in by_seeds.items():
            outlook = power.extended(noise, seeds=seeds, difference=difference)
            low, high = study.interval(seeds)
            rows.append(
                Extended(
                    promised=outlook.power,
                    found=excludes_zero((low, high)),
                    promised_width=outlook.half_width,
                    width=(high - low) / 2,
                )
            )
        enough = power.fewest_seeds(noise, difference=difference)
        if enough is not None and SEEDS < enough <= most:
            needed.append(excludes_zero(study.interval(enough)))
    return by_seeds, needed


def true_differences(studies: int) -> Iterator[tuple[str, np.ndarray]]:
    """Of the studies that are extended, a fraction each, by what they are."""
    assumed = power.TYPICAL_DIFFERENCE * np.random.default_rng(0).standard_cauchy(studies)
    yield "as assumed", assumed
    for spread in DIFFERENCES:
        normal = np.random.default_rng(0).normal(0, spread, studies)
        yield f"of ±{100 * spread:.0f} points", normal


def print_extended(
    regimes: list[str], what: str, true: np.ndarray, *, images: int, draws: int
) -> None:
    """Prints what becomes of studies that 3 seeds did not settle and that get more."""
    differences = np.minimum(np.abs(true), WIDEST)
    everything: list[Extended] = []
    print(
        f"\nTrue differences {what}:\n\n| training noise | seeds | studies "
        "| promised | found | as narrow as promised | said to do with 80% | did |"
    )
    print("| --- " * 8 + "|")
    for name in regimes:
        by_seeds, needed = extended_studies(name, differences, images=images, draws=draws)
        for seeds, rows in by_seeds.items():
            everything += rows
            did = f"{len(needed)} | {_percent(needed)}" if seeds == MORE_SEEDS[0] else " | "
            print(
                f"| {name} | {seeds} | {len(rows)} | {_percent(r.promised for r in rows)} "
                f"| {_percent(r.found for r in rows)} "
                f"| {_percent(r.width <= r.promised_width for r in rows)} | {did} |",
                flush=True,
            )
    print("\n| promised | extended studies | promised, mean | found |\n| --- | --- | --- | --- |")
    for low, high in pairwise(BINS):
        rows = [r for r in everything if low <= r.promised < high or r.promised == high == 1]
        if rows:
            print(
                f"| {100 * low:.0f}% to {100 * high:.0f}% | {len(rows)} "
                f"| {_percent(r.promised for r in rows)} | {_percent(r.found for r in rows)} |",
                flush=True,
            )


def print_looks(regimes: list[str], *, studies: int, images: int, draws: int) -> None:
    """Prints how often models that are alike are told apart, at one look and at one of two."""
    print(
        f"\nModels that are alike:\n\n| training noise | {SEEDS} seeds err "
        f"| {SEEDS} or {SECOND_LOOK} seeds err |\n| --- | --- | --- |"
    )
    for name in regimes:
        source = simulate(
            REGIMES[name],
            np.zeros(studies),
            seeds=SECOND_LOOK,
            images=images,
            draws=draws,
            seed=4,
        )
        looks = [
            (excludes_zero(study.interval(SEEDS)), excludes_zero(study.interval(SECOND_LOOK)))
            for study in source
        ]
        one, two = fmean(first for first, _ in looks), fmean(map(any, looks))
        print(f"| {name} | {100 * one:.1f}% | {100 * two:.1f}% |", flush=True)


def _percent(values: Iterable[float]) -> str:
    """Their mean, in percent."""
    known = list(values)
    return f"{100 * fmean(known):.0f}%" if known else "-"


def main() -> None:
    """Simulates and prints Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--regimes", nargs="+", choices=REGIMES, default=list(REGIMES))
    options = parser.parse_args()
    sizes = {"studies": options.studies, "images": options.images, "draws": options.draws}
    started = time.process_time()
    print(
        "| training noise | seeds | difference | promised, noise known | promised by studies of 3 "
        "seeds | found | half width, known | by studies | found |"
    )
    print("| --- " * 9 + "|")
    for name in options.regimes:
        for row in new_studies(name, **sizes):
            print(f"| {' | '.join(row)} |", flush=True)
    for what, true in true_differences(options.studies):
        print_extended(options.regimes, what, true, images=options.images, draws=options.draws)
    print_looks(options.regimes, **sizes)
    print(
        f"\n{options.studies} studies a row, {options.images} test images, {options.draws} draws; "
        f"numpy {np.__version__}, scipy {scipy.__version__}, Python {platform.python_version()}, "
        f"{time.process_time() - started:.0f} CPU seconds on {platform.machine()}"
    )


if __name__ == "__main__":
    main()
