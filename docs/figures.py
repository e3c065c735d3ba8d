"""Draws the pictures of docs/STATISTICS.md from simulations by the project's own statistics.

`python docs/figures.py` draws them into docs/figures/, in a minute of one core.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from orchestrator.report.style import FAMILY_COLOURS, INK
from orchestrator.stats.bootstrap import accuracy_draws, percentile_interval
from orchestrator.stats.intervals import MeanDifference, SeedRuns

HERE: Final = Path(__file__).parent
BLUE, ORANGE, GREEN = (light for light, _ in FAMILY_COLOURS[:3])
MUTED: Final = INK["muted"][0]
IMAGES: Final = 1_000
SEEDS: Final = 3
TRUE: Final = (0.80, 0.82)
"""Accuracies of the two models, were they tested on all images there are."""
NOISE: Final = 0.012
"""Standard deviation of a training's true accuracy."""


def simulate(generator: np.random.Generator) -> list[np.ndarray]:
    """Right or wrong of each image by each training, [model][seeds, images].

    Images have a difficulty that all trainings share.
    """
    difficulty = generator.random(IMAGES)
    levels = [level + NOISE * generator.standard_normal(SEEDS) for level in TRUE]
    luck = [0.25 * generator.standard_normal((SEEDS, IMAGES)) for _ in TRUE]
    noisy = [difficulty + own for own in luck]
    return [
        own
        < np.stack([np.quantile(one, level) for one, level in zip(own, levels_of, strict=True)])[
            :, None
        ]
        for own, levels_of in zip(noisy, levels, strict=True)
    ]


def runs(right: np.ndarray) -> SeedRuns:
    """The accuracies of a model's trainings, and those on resampled images."""
    return SeedRuns(points=right.mean(axis=1), draws=accuracy_draws(right))


def two_noises(axes: Axes) -> None:
    """Each training with its interval over images, and each model's over both."""
    for model, (right, colour) in enumerate(zip(_study(3), (BLUE, ORANGE), strict=True)):
        found = runs(right)
        for seed in range(SEEDS):
            place = 4 * model + seed
            low, high = percentile_interval(found.draws[seed])
            axes.plot([place] * 2, [low, high], color=colour, linewidth=1.5, alpha=0.6)
            axes.plot(place, found.points[seed], "o", color=colour)
        low, high = MeanDifference.of(found).interval()
        axes.fill_between([4 * model - 0.4, 4 * model + 2.4], low, high, color=colour, alpha=0.15)
        axes.hlines(TRUE[model], 4 * model - 0.4, 4 * model + 2.4, color=MUTED, linestyle=":")
    axes.set_xticks([1, 5], ["model A, 3 seeds", "model B, 3 seeds"])
    axes.set_ylabel("test accuracy")
    axes.set_title("A line: which images were tested.\nDots apart: trainings. A band: both.")


def paired(axes: Axes) -> None:
    """The same difference, with and without the knowledge that the images are the same."""
    a, b = (right[0] for right in _study(1))
    same, other = (
        [
            accuracy_draws(right[None], seed=seed)[0]
            for right, seed in zip((a, b), seeds, strict=True)
        ]
        for seeds in ((7, 7), (7, 8))
    )
    for place, (one, two) in enumerate((other, same)):
        low, high = percentile_interval(two - one)
        axes.plot([low, high], [place] * 2, color=(MUTED, BLUE)[place], linewidth=3)
        axes.plot(b.mean() - a.mean(), place, "o", color=(MUTED, BLUE)[place])
    axes.axvline(0, color=MUTED, linewidth=1)
    axes.set_yticks([0, 1], ["as if on\nother images", "on the\nsame images"])
    axes.set_ylim(-0.6, 1.6)
    axes.set_xlabel("B - A, accuracy")
    axes.set_title(
        f"Only A right on {int((a & ~b).sum())} images, only B on {int((b & ~a).sum())};\n"
        f"the other {int((a == b).sum())} say nothing about the difference."
    )


def best_of_many(axes: Axes) -> None:
    """How far the best of N equally good trials seems to be above what it is."""
    generator = np.random.default_rng(0)
    numbers = np.unique(np.geomspace(1, 128, 15).astype(int))
    level = TRUE[0]
    for images, colour in ((500, ORANGE), (5_000, BLUE)):
        seen = generator.binomial(images, level, (2_000, numbers[-1])) / images
        best = [seen[:, :number].max(axis=1).mean() for number in numbers]
        axes.plot(numbers, best, "o-", color=colour, markersize=3)
        axes.annotate(
            f"{images:,} validation images", (numbers[-1], best[-1]), ha="right", va="bottom"
        )
    axes.axhline(level, color=MUTED, linestyle=":")
    axes.annotate("what every one of them is", (numbers[-1], level), ha="right", va="bottom")
    axes.set_xscale("log")
    axes.set_xticks([1, 10, 100], ["1", "10", "100"])
    axes.set_ylim(level - 0.005)
    axes.set_xlabel("equally good trials, of which the best is chosen")
    axes.set_ylabel("validation accuracy of the best")
    axes.set_title("The best of many is partly luck:\nhence a test set that chose nothing.")


def seeds_that_differ(axes: Axes) -> None:
    """How wide a model's interval is with more seeds, by where the noise is."""
    numbers = np.arange(2, 11)
    generator = np.random.default_rng(1)
    for noise, colour, name in (
        (0.0, BLUE, "none"),
        (NOISE, GREEN, "as images'"),
        (0.03, ORANGE, "more"),
    ):
        widths = []
        for number in numbers:
            found = []
            for _ in range(60):
                levels = TRUE[0] + noise * generator.standard_normal(number)
                shared = 0.01 * generator.standard_normal(400)
                own = 0.007 * generator.standard_normal((number, 400))
                point = levels + 0.007 * generator.standard_normal(number)
                seeds = SeedRuns(points=point, draws=point[:, None] + shared + own)
                low, high = MeanDifference.of(seeds).interval()
                found.append((high - low) / 2)
            widths.append(100 * float(np.median(found)))
        axes.plot(numbers, widths, "o-", color=colour, markersize=3, label=name)
    axes.set_xlabel("seeds")
    axes.set_ylabel("half width of the 95% interval, points")
    axes.legend(title="training noise", frameon=False)
    axes.set_ylim(0)
    axes.set_title(
        "More seeds help as far as trainings differ;\nthe rest asks for more test images."
    )


def _study(seed: int) -> list[np.ndarray]:
    return simulate(np.random.default_rng(seed))


FIGURES: Final[Mapping[str, Callable[[Axes], None]]] = {
    "two_noises": two_noises,
    "paired": paired,
    "best_of_many": best_of_many,
    "seeds": seeds_that_differ,
}


def main() -> None:
    """Draws all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=HERE / "figures", metavar="FOLDER")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    look = {"svg.hashsalt": "docs", "font.size": 9, "axes.titlesize": 9, "axes.spines.top": False}
    with mpl.rc_context({**look, "axes.spines.right": False, "svg.fonttype": "path"}):
        for name, draw in FIGURES.items():
            figure = Figure(figsize=(4.6, 3.2), layout="constrained")
            draw(figure.subplots())
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
