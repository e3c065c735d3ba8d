"""The statistics of the comparison: exact paired tests, and one bootstrap shared by all models."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer]
Bools = npt.NDArray[np.bool_]

DRAWS = 2000
CONFIDENCE = 0.95
SEED = 0
"""The seed of the image bootstrap: a constant, so that the same predictions give the same table."""
CHUNK_ELEMENTS = 2_000_000
"""Images x draws drawn at once, at 8 bytes in up to four arrays: 64 MB."""


@dataclass(frozen=True, kw_only=True)
class Estimates:
    """Test metrics of several models on the same images, and how they vary over those images.

    The metrics are mean cross-entropy `loss` (nats), and, as fractions, `accuracy`, macro
    `precision` and macro `recall`.
    """

    point: Mapping[str, Floats]
    """Metric to its value on the test images as they are, [models]."""
    draws: Mapping[str, Floats]
    """Metric to its values on resampled test images, [models, draws]; a draw is the same images
    in every model, so differences between models are paired."""


def percentile_interval(draws: Floats, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The percentile interval of bootstrap draws, [draws], by default of 95%."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def estimate(
    labels: Integers,
    predicted: Integers,
    losses: Floats,
    *,
    classes: int,
    draws: int = DRAWS,
    groups: Integers | None = None,
) -> Estimates:
    """Test metrics of several models, with a bootstrap over the images that they share.

    Equal to scikit-learn's metrics with `labels=range(classes), average="macro",
    zero_division=0`: a class never predicted has precision 0. Each metric is a mean over the
    images, and a draw the mean over the resampled ones: Efron and Tibshirani (1993), An
    Introduction to the Bootstrap, chapter 13. Of macro precision and recall it is the mean of each
    image's influence, see `_macro`.

    Args:
        labels: The true classes, [images], from 0 to `classes` - 1.
        predicted: The predicted classes, [models, images].
        losses: The cross-entropy of each image, [models, images], in nats.
        classes: How many there are.
        draws: How many times the images are resampled.
        groups: Which images belong together, from 0, [images]: whole groups are resampled.
    """
    correct, macro = predicted == labels, partial(_macro, classes=classes)
    of_metric = {
        "loss": losses,
        "accuracy": correct.astype(np.float64),
        "precision": np.stack([*map(macro, correct, predicted)]),
        "recall": np.stack([macro(hits, labels) for hits in correct]),
    }
    resampled = _means([*of_metric.values()], draws, groups)
    return Estimates(
        point={metric: values.mean(axis=1) for metric, values in of_metric.items()},
        draws=dict(zip(of_metric, resampled, strict=True)),
    )


def accuracy_draws(correct: Bools, *, draws: int = DRAWS, groups: Integers | None = None) -> Floats:
    """Accuracies on resampled test images, the very draws of `estimate`, [models, draws].

    Of whether each model classifies each image correctly, [models, images].
    """
    return _means([correct.astype(np.float64)], draws, groups)[0]


def sums_of_groups(values: Floats, groups: Integers) -> Floats:
    """Values summed within each group, [models, groups], of values, [models, images]."""
    return np.stack([np.bincount(groups, weights=each) for each in values])


def _means(values: Sequence[Floats], draws: int, groups: Integers | None) -> list[Floats]:
    """Means over resampled images, each [models, draws], of values, each [models, images].

    Groups are resampled whole, so the number of images varies and the mean is a ratio: Davison and
    Hinkley (1997), Bootstrap Methods and their Application, section 3.8.
    """
    sizes: Floats = np.ones(values[0].shape[1])
    if groups is not None:
        sizes = np.bincount(groups).astype(np.float64)
        values = [sums_of_groups(each, groups) for each in values]
    chunks = [
        [each @ weights / (sizes @ weights) for each in values]
        for weights in _image_weights(len(sizes), draws)
    ]
    return [np.concatenate(parts, axis=1) for parts in zip(*chunks, strict=True)]


def _macro(correct: Bools, counted_as: Integers, classes: int) -> Floats:
    """What each image contributes to a macro average, [images]; their mean is that average.

    A macro average weighs an image of a rare class more, and resampling the images as they stand
    fails where classes have few: of one image a class a third of the classes is absent from a draw.
    So each image has its influence on the average: how far it lies from its class's share of hits,
    over the class's images, with what a variance of few values lacks. Of a class with a single
    image nothing is known of how its images differ; it is held against the share of hits of all
    images, less the more classes have one image or none, since another test set may have none of
    it, which counts 0. How much less was chosen by simulation (`benchmarks/coverage_macro.py`).

    An image counts for its predicted class for precision, for the true one for recall, [images].
    """
    sizes = np.bincount(counted_as, minlength=classes)
    hits = np.bincount(counted_as, weights=correct, minlength=classes)
    shares = np.divide(hits, sizes, out=np.zeros(classes), where=sizes > 0)
    size = sizes[counted_as]
    within = (correct - shares[counted_as]) * np.sqrt(size / np.maximum(size - 1, 1))
    alone = correct - (1 - np.sqrt(np.mean(sizes <= 1))) * correct.mean()
    influence = np.where(size > 1, within, alone) * len(correct) / (classes * size)
    return np.asarray(shares.mean() + influence - influence.mean())


def _image_weights(images: int, draws: int) -> Iterator[Floats]:
    """How often each image stands in each resampled test set, [images, draws of the chunk].

    Each column is multinomial: `images` images drawn with replacement.
    """
    generator, step = np.random.default_rng(SEED), max(1, CHUNK_ELEMENTS // images)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        flat = generator.integers(images, size=(images, size))
        flat *= size
        flat += np.arange(size)
        counts = np.bincount(flat.ravel(), minlength=images * size)
        yield counts.reshape(images, size).astype(np.float64)
