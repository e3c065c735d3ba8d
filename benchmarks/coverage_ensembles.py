"""How often the intervals of an ensemble of seeds hold the truth of its trainings.

    python benchmarks/coverage_ensembles.py [--studies 3000]

An image has a difficulty that all trainings share, and one of its own for each; a training is right
where its score is positive, the ensemble where the mean of the scores is. The trainings are fixed:
a million images say what is true of them, and test sets are drawn from these.
"""

import argparse

import numpy as np

from orchestrator.stats.ensemble import gain_interval, share_interval

POPULATION = 1_000_000
SCORES = ((0.8, 1, 30), (0.3, 1, 100), (2.5, 0.7, 100), (1, 1, 400), (2.5, 1, 400), (1, 1, 2000))


def main() -> None:
    """Prints a row of a Markdown table for each kind of study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=3000, help="test sets a row (3000)")
    studies = parser.parse_args().studies
    generator = np.random.default_rng(0)
    print("| test images | seeds | accuracy | gain in points | accuracy held | gain held |")
    print("| --- | --- | --- | --- | --- | --- |")
    for seeds in (2, 3, 5):
        for mean, apart, images in SCORES:
            shared = mean + generator.normal(size=(POPULATION, 1))
            scores = shared + apart * generator.normal(size=(POPULATION, seeds))
            correct = scores.mean(axis=1) > 0
            gain = correct - (scores > 0).mean(axis=1)
            held = np.zeros(2)
            for _ in range(studies):
                drawn = generator.integers(POPULATION, size=images)
                low, high = share_interval(correct[drawn])
                least, most = gain_interval(gain[drawn])
                held += low <= correct.mean() <= high, least <= gain.mean() <= most
            shares = " | ".join(f"{share:.1%}" for share in held / studies)
            truth = f"{correct.mean():.1%} | {100 * gain.mean():+.1f}"
            print(f"| {images} | {seeds} | {truth} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
