"""How often does a comparison say what is not so? Simulated studies with nothing to be found.

    python benchmarks/false_alarms.py [--studies 2000]

Holm at the means: three families that are equally good and whose winners are their baselines, so
15 pairs of names that are 3 tests; how often any p is below 0.05. Collapses: six models whose seeds
have normal noise; how often any training is called collapsed, and how often one at chance is.
"""

import argparse
import platform
import time

import numpy as np
import scipy

from orchestrator.stats import bootstrap
from orchestrator.stats.claims import holm
from orchestrator.stats.collapse import collapsed
from orchestrator.stats.intervals import MeanDifference, SeedRuns

EASE, EASE_FOR_MODEL, LUCK_WITH_IMAGE = 0.8, 0.5, 0.6
"""As in `benchmarks/coverage.py`."""
LEVEL = 0.05
SKILL, FAMILIES, IMAGES = 0.7, 3, 1000
LUCKS = {"none": 0.0, "like that of the images": 0.05, "above that of the images": 0.15}
MODELS = 6
SETUPS = {"70% of 10 classes, 1,000 images": (0.7, 0.1, 1000), "90% of 2, 200": (0.9, 0.5, 200)}
"""Accuracy, chance and test images."""
SPREADS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
"""Standard deviations of the seeds, as shares of what is above chance."""
STUDIES_AT_ONCE = 50


def any_difference(luck: float, seeds: int, studies: int, generator: np.random.Generator) -> float:
    """The share of studies with a Holm-adjusted p of means below the level."""
    alarms = 0
    shape = (STUDIES_AT_ONCE, FAMILIES, seeds)
    for _ in range(studies // STUDIES_AT_ONCE):
        score = SKILL + EASE * generator.standard_normal((STUDIES_AT_ONCE, 1, 1, IMAGES))
        score = score + EASE_FOR_MODEL * generator.standard_normal((*shape[:2], 1, IMAGES))
        score = score + luck * generator.standard_normal((*shape, 1))
        hits = score + LUCK_WITH_IMAGE * generator.standard_normal((*shape, IMAGES)) > 0
        draws = bootstrap.accuracy_draws(hits.reshape(-1, IMAGES)).reshape(*shape, -1)
        points = hits.mean(axis=-1)
        for study in range(STUDIES_AT_ONCE):
            models = [SeedRuns(points=points[study, f], draws=draws[study, f]) for f in range(3)]
            pairs = ((0, 1), (0, 2), (1, 2))
            p_values = [MeanDifference.of(models[a], models[b]).p_value() for a, b in pairs]
            alarms += bool(holm(p_values).min() < LEVEL)
    return alarms / studies


def any_collapse(
    setup: tuple[float, float, int], spread: float, seeds: int, studies: int, broken: bool
) -> float:
    """The share of studies in which a training is called collapsed; the broken one, if any is."""
    level, chance, images = setup
    generator = np.random.default_rng(0)
    true = generator.normal(level, spread * (level - chance), size=(studies, MODELS, seeds))
    if broken:
        true[:, 0, 0] = chance
    seen = generator.binomial(images, true.clip(0, 1)) / images
    found = np.array(
        [[collapsed(model, chance=chance, images=images) for model in study] for study in seen]
    )
    return float(np.mean(found[:, 0, 0] if broken else found.any(axis=(1, 2))))


def main() -> None:
    """Simulates and prints Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    studies = parser.parse_args().studies
    started = time.process_time()
    print("| training noise | seeds | any of 3 distinct pairs of means below 0.05 by Holm |")
    print("| --- | --- | --- |")
    for name, luck in LUCKS.items():
        for seeds in (2, 3, 5):
            alarms = any_difference(luck, seeds, studies, np.random.default_rng(0))
            print(f"| {name} | {seeds} | {100 * alarms:.1f}% |", flush=True)
    for broken, what in ((False, "false alarms"), (True, "named, of trainings at chance")):
        shown = " | ".join(f"{spread:g}" for spread in SPREADS)
        print(f"\n| collapses: {what} | seeds | {shown} |\n|{' --- |' * (2 + len(SPREADS))}")
        for name, setup in SETUPS.items():
            for seeds in (3, 5):
                found = (any_collapse(setup, each, seeds, studies, broken) for each in SPREADS)
                cells = " | ".join(f"{100 * each:.1f}%" for each in found)
                print(f"| {name} | {seeds} | {cells} |", flush=True)
    print(
        f"\n{studies} studies a cell; numpy {np.__version__}, scipy {scipy.__version__}, Python "
        f"{platform.python_version()}, {time.process_time() - started:.0f} CPU seconds on "
        f"{platform.machine()}"
    )


if __name__ == "__main__":
    main()
