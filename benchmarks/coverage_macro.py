"""Do intervals of macro averages hold the truth in 95% of studies, with few images a class too?

    python benchmarks/coverage_macro.py [--studies 2000]

Each study has two models, trained on some seeds and tested on the same images, as in
`benchmarks/coverage.py`; a wrong image is taken for any other class. The truth is the difference
that such test sets have on average over all the studies: macro precision depends on how many
images a class has, since a class that is never predicted counts 0.
"""

import argparse
import platform
import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import scipy

from orchestrator.stats import bootstrap
from orchestrator.stats.intervals import MeanDifference, SeedRuns

SKILLS = (0.8, 0.6)
EASE, EASE_FOR_MODEL, LUCK_WITH_IMAGE = 0.8, 0.5, 0.6
"""As in `benchmarks/coverage.py`."""
STUDIES_AT_ONCE = 50
METRICS = ("accuracy", "precision", "recall")
IMAGES_OF_CLASS = {
    "50 classes x 1": [1] * 50,
    "50 classes x 2": [2] * 50,
    "50 classes x 3": [3] * 50,
    "50 classes x 20": [20] * 50,
    "10 classes x 100": [100] * 10,
    "10 classes, 1 to 100": [1, 1, 2, 3, 5, 10, 20, 40, 80, 100],
}
SEEDS = (1, 3)
EASE_OF_CLASS = 0.75
"""By which the easiest class is above the middle one in the score of both models."""
LUCK = 0.05
"""Standard deviation of training noise in the score where there are several seeds."""


def simulate(
    labels: npt.NDArray[np.int64], seeds: int, generator: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Predicted classes of some studies, [studies, models, seeds, images], without end."""
    classes, images = int(labels.max()) + 1, len(labels)
    of_class = EASE_OF_CLASS * np.linspace(-1, 1, classes)
    while True:
        ease = EASE * generator.standard_normal((STUDIES_AT_ONCE, 1, 1, images))
        for_model = EASE_FOR_MODEL * generator.standard_normal((STUDIES_AT_ONCE, 2, 1, images))
        luck = (LUCK if seeds > 1 else 0) * generator.standard_normal(
            (STUDIES_AT_ONCE, 2, seeds, 1)
        )
        with_image = LUCK_WITH_IMAGE * generator.standard_normal(
            (STUDIES_AT_ONCE, 2, seeds, images)
        )
        skills = np.array(SKILLS)[:, None, None]
        right = skills + ease + for_model + luck + with_image + of_class[labels] > 0
        other = (labels + generator.integers(1, classes, size=right.shape)) % classes
        yield np.where(right, labels, other)


def coverage(of_class: list[int], seeds: int, studies: int) -> dict[str, tuple[float, float]]:
    """By metric, in how many studies the interval holds the truth, and its median width."""
    labels = np.repeat(np.arange(len(of_class)), of_class)
    found: dict[str, list[tuple[float, float, float]]] = {metric: [] for metric in METRICS}
    source = simulate(labels, seeds, np.random.default_rng(0))
    for _ in range(studies // STUDIES_AT_ONCE):
        predicted = next(source)
        flat = predicted.reshape(-1, len(labels))
        of_all = bootstrap.estimate(labels, flat, np.zeros(flat.shape), classes=len(of_class))
        for metric in METRICS:
            points = of_all.point[metric].reshape(predicted.shape[:3])
            draws = of_all.draws[metric].reshape(*predicted.shape[:3], -1)
            for number in range(STUDIES_AT_ONCE):
                a, b = (SeedRuns(points=points[number, m], draws=draws[number, m]) for m in (0, 1))
                found[metric].append((a.mean - b.mean, *MeanDifference.of(a, b).interval()))
    held = {}
    for metric, rows in found.items():
        difference, low, high = np.array(rows).T
        truth = difference.mean()
        held[metric] = (
            float(np.mean((low <= truth) & (truth <= high))),
            float(np.median(high - low)),
        )
    return held


def main() -> None:
    """Simulates and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    studies = parser.parse_args().studies
    started = time.process_time()
    print("| test images | seeds | accuracy | precision | recall |")
    print("| --- | --- | --- | --- | --- |")
    for name, of_class in IMAGES_OF_CLASS.items():
        for seeds in SEEDS:
            held = coverage(of_class, seeds, studies)
            cells = (f"{100 * held[m][0]:.1f}% ({100 * held[m][1]:.1f} points)" for m in METRICS)
            print(f"| {name} | {seeds} | {' | '.join(cells)} |", flush=True)
    print(
        f"\n{studies} studies a row, {bootstrap.DRAWS} draws; in brackets the median width; numpy "
        f"{np.__version__}, scipy {scipy.__version__}, Python {platform.python_version()}, "
        f"{time.process_time() - started:.0f} CPU seconds on {platform.machine()}"
    )


if __name__ == "__main__":
    main()
