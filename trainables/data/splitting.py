"""Which images are trained on and which validate: stratified, seeded, nested index arrays."""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainables.data.group_splitting import hold_out_groups

Indices = npt.NDArray[np.int64]

# Streams of one seed, so that no draw depends on how many were made before it.
_VALIDATION_STREAM, _TRAIN_STREAM, _FRACTION_STREAM = 0, 1, 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """A division of the training part of a data set.

    Attributes:
        train: Sorted indices into the decoded training part, shape [train images].
        validation: The same for validation, shape [validation images]; none is in both.
    """

    train: Indices
    validation: Indices

    @property
    def digest(self) -> str:
        """SHA-256 of each array's length and content as little-endian int64, train first."""
        parts = ([len(self.train)], self.train, [len(self.validation)], self.validation)
        return hashlib.sha256(np.concatenate(parts).astype("<i8").tobytes()).hexdigest()


def split(
    labels: Indices,
    *,
    validation_images: int,
    train_images: int | None,
    seed: int,
    groups: Indices | None = None,
    groups_left: int = 1,
) -> Split:
    """Takes out validation, then, for a study of limited data, `train_images` of the rest.

    Both are stratified: each class has its share, and at least one image. Validation does not
    depend on `train_images`, and fewer train images with the same seed are a subset of more
    wherever each class's share is (always so in a balanced data set).

    Args:
        labels: Class of each image of the training part, shape [images].
        validation_images: How many images validate.
        train_images: How many are trained on; None for all that are left.
        seed: Not negative.
        groups: Group of each image, shape [images], of which each validates whole or not at all:
            so many images validate as comes near to `validation_images`. None: each on its own.
        groups_left: Groups of each class that do not validate, at least.

    Raises:
        ValueError: If a class would be without an image on either side, or there are too few.
    """
    classes, counts = np.unique(labels, return_counts=True)
    _check_room(classes, counts, validation_images)
    everything = np.arange(len(labels), dtype=np.int64)
    shares = _shares(counts, validation_images, most=counts - 1)
    if groups is None:
        order = _order(len(labels), seed, _VALIDATION_STREAM)
        validation = _first_of_each_class(everything, labels, order, shares)
    else:
        validation = hold_out_groups(
            labels,
            groups,
            shares,
            left=groups_left,
            order=lambda count, attempt: _order(count, seed, _VALIDATION_STREAM, attempt),
        )
    rest = np.setdiff1d(everything, validation, assume_unique=True)
    if train_images is None:
        return Split(train=rest, validation=validation)
    return Split(train=_limited(rest, labels, train_images, seed), validation=validation)


def split_at(labels: Indices, *, own_validation: int, train_images: int | None, seed: int) -> Split:
    """As `split`, where the data say which images validate: the last ones.

    Args:
        labels: Class of each image of the training part, shape [images].
        own_validation: How many images validate.
        train_images: How many are trained on; None for all others.
        seed: Not negative.

    Raises:
        ValueError: There are too few images for `train_images`.
    """
    everything = np.arange(len(labels), dtype=np.int64)
    rest, validation = everything[:-own_validation], everything[-own_validation:]
    if train_images is None:
        return Split(train=rest, validation=validation)
    return Split(train=_limited(rest, labels, train_images, seed), validation=validation)


def fraction_of(train_indices: Indices, labels: Indices, fraction: float, seed: int) -> Indices:
    """A share of the training images, the same in each class, and at least one of each.

    Nested: with the same seed a smaller fraction is a subset of a larger one; 1.0 is all.

    Args:
        train_indices: Indices into the decoded training part, shape [train images].
        labels: Class of each image of the whole training part, shape [images].
        fraction: Above 0, at most 1.
        seed: Not negative.

    Returns:
        Sorted indices into the decoded training part.

    Raises:
        ValueError: If the fraction is out of range.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"`0 < fraction <= 1` must hold, but got fraction={fraction}")
    counts = np.unique(labels[train_indices], return_counts=True)[1]
    shares = np.maximum(np.floor(counts * fraction + 0.5).astype(np.int64), 1)
    order = _order(len(labels), seed, _FRACTION_STREAM)
    return _first_of_each_class(train_indices, labels, order, shares)


def _limited(rest: Indices, labels: Indices, train_images: int, seed: int) -> Indices:
    counts = np.unique(labels[rest], return_counts=True)[1]
    if not len(counts) <= train_images <= len(rest):
        raise ValueError(
            f"train_images must be from {len(counts):,} (one of each class) to {len(rest):,} (all "
            f"that are left after validation), but is {train_images:,}"
        )
    order = _order(len(labels), seed, _TRAIN_STREAM)
    shares = _shares(counts, train_images, most=counts)
    return _first_of_each_class(rest, labels, order, shares)


def _check_room(classes: Indices, counts: Indices, validation_images: int) -> None:
    if len(counts) == 0 or counts.min() <= 1:
        few = f"class {classes[counts.argmin()]} has 1" if len(counts) else "there are none"
        raise ValueError(
            f"each class needs at least 2 images, one to train on and one to validate: {few}"
        )
    least, most = len(counts), counts.sum() - len(counts)
    if not least <= validation_images <= most:
        raise ValueError(
            f"validation_images must be from {least:,} (one of each class) to {most:,} (which "
            f"leaves one of each to train on) of {counts.sum():,} training images, but is "
            f"{validation_images:,}"
        )


def _order(count: int, seed: int, *stream: int) -> Indices:
    # Raw bits of a bit generator are the part of NumPy's randomness that no version may change
    # (NEP 19); `Generator.permutation` may, and a split must outlive an upgrade.
    if seed < 0:
        raise ValueError(f"`seed >= 0` must hold, but got seed={seed}")
    bits = np.random.PCG64(np.random.SeedSequence((seed, *stream))).random_raw(count)
    order: Indices = np.argsort(bits, kind="stable").astype(np.int64)
    return order


def _shares(counts: Indices, total: int, *, most: Indices) -> Indices:
    """How many of each class, by largest remainder: 1 to `most` each, `total` together."""
    quotas = counts * (total / counts.sum())
    shares: Indices = np.clip(counts * total // counts.sum(), 1, most)
    while (missing := total - shares.sum()) != 0:
        step = np.sign(missing)
        has_room = shares < most if step > 0 else shares > 1
        shares[np.argmax(np.where(has_room, step * (quotas - shares), -np.inf))] += step
    return shares


def _first_of_each_class(
    indices: Indices, labels: Indices, order: Indices, shares: Indices
) -> Indices:
    """The first `shares` of each class among `indices`, in `order` (of all images), sorted."""
    candidates = order[np.isin(order, indices)]
    classes = np.unique(labels[indices])
    chosen = [
        candidates[labels[candidates] == label][:share]
        for label, share in zip(classes, shares, strict=True)
    ]
    first: Indices = np.concatenate(chosen)
    return np.sort(first)
