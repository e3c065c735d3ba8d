"""The statistics of the comparison: exact paired tests, and one bootstrap shared by all models."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

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
    seed: int = SEED,
) -> Estimates:
    """Test metrics of several models, with a bootstrap over the images that they share.

    Equal to scikit-learn's metrics with `labels=range(classes), average="macro",
    zero_division=0`: a class never predicted has precision 0. Source of the method: Efron and
    Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

    Args:
        labels: The true classes, [images], from 0 to `classes` - 1.
        predicted: The predicted classes, [models, images].
        losses: The cross-entropy of each image, [models, images], in nats.
        classes: The number of classes of the data set.
        draws: How many times the images are resampled.
        seed: The seed of the resampling.
    """
    cells = _Cells.of(labels, predicted, losses, classes)
    generator = np.random.default_rng(seed)
    as_they_are = cells.metrics(np.ones((len(labels), 1)))
    chunks = [cells.metrics(weights) for weights in _image_weights(len(labels), draws, generator)]
    return Estimates(
        point={metric: values[:, 0] for metric, values in as_they_are.items()},
        draws={
            metric: np.concatenate([chunk[metric] for chunk in chunks], axis=1)
            for metric in as_they_are
        },
    )


def accuracy_draws(correct: Bools, *, draws: int = DRAWS, seed: int = SEED) -> Floats:
    """Accuracies on resampled test images, the very draws of `estimate`, [models, draws].

    Args:
        correct: Whether each model classifies each image correctly, [models, images].
        draws: How many times the images are resampled.
        seed: The seed of the resampling.
    """
    images = correct.shape[1]
    generator = np.random.default_rng(seed)
    hits = correct.astype(np.float64)
    chunks = [hits @ weights / images for weights in _image_weights(images, draws, generator)]
    return np.concatenate(chunks, axis=1)


def _image_weights(images: int, draws: int, generator: np.random.Generator) -> Iterator[Floats]:
    """How often each image stands in each resampled test set, [images, draws of the chunk].

    Each column is multinomial: `images` images drawn with replacement.
    """
    step = max(1, CHUNK_ELEMENTS // images)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        flat = generator.integers(images, size=(images, size))
        flat *= size
        flat += np.arange(size)
        counts = np.bincount(flat.ravel(), minlength=images * size)
        yield counts.reshape(images, size).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class _Cells:
    """Which class each image counts for, as 0/1 matrices that a product with weights sums up."""

    shape: tuple[int, int]
    """Models and classes."""
    support: csr_array
    """The true class, [classes, images]."""
    guesses: csr_array
    """The predicted class, [models * classes, images]."""
    hits: csr_array
    """The predicted class where it is the true one, [models * classes, images]."""
    losses: Floats
    """Cross-entropy, [models, images]."""

    @classmethod
    def of(cls, labels: Integers, predicted: Integers, losses: Floats, classes: int) -> "_Cells":
        everywhere = np.ones_like(predicted, dtype=bool)
        return cls(
            shape=(len(predicted), classes),
            support=_indicator(labels[None], everywhere[:1], classes),
            guesses=_indicator(predicted, everywhere, classes),
            hits=_indicator(predicted, predicted == labels, classes),
            losses=losses,
        )

    def metrics(self, weights: Floats) -> dict[str, Floats]:
        """Each metric under image weights [images, draws], as [models, draws]."""
        support = self.support @ weights
        guesses = (self.guesses @ weights).reshape(*self.shape, -1)
        # [models, classes, draws]: the diagonals of the weighted confusion matrices.
        hits = (self.hits @ weights).reshape(*self.shape, -1)
        total = weights.sum(axis=0)
        return {
            "loss": (self.losses @ weights) / total,
            "accuracy": hits.sum(axis=1) / total,
            "precision": _share(hits, guesses).mean(axis=1),
            "recall": _share(hits, np.broadcast_to(support, hits.shape)).mean(axis=1),
        }


def _share(part: Floats, whole: Floats) -> Floats:
    """Part of whole, and 0 where the whole is 0."""
    return cast("Floats", np.divide(part, whole, out=np.zeros_like(part), where=whole > 0))


def _indicator(columns: Integers, where: Bools, classes: int) -> csr_array:
    """A 1 for each (model and class, image) where `where` holds, [models * classes, images]."""
    model, image = np.nonzero(where)
    row = model * classes + columns[where].astype(np.int64)
    shape = (len(columns) * classes, columns.shape[1])
    return csr_array((np.ones(len(row)), (row, image)), shape=shape)
