"""Which groups of images are held out: whole, stratified as far as that goes, and seeded."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
ATTEMPTS: Final = 50
"""Orders of the groups that are tried where each class must be on both sides."""


def hold_out_groups(
    labels: Indices,
    groups: Indices,
    shares: Indices,
    *,
    left: int,
    order: Callable[[int, int], Indices],
) -> Indices:
    """Images of whole groups, about as many of each class as asked for.

    Groups are gone through in a random order, and one is taken where that brings what is held out
    closer to the shares. Then each class without one gets the group that leads least far away.

    Args:
        labels: Class of each image, shape [images].
        groups: Group of each image, shape [images].
        shares: How many images of each class are wanted, at least one, shape [classes].
        left: Groups of each class that are left at least.
        order: How many groups there are, and the number of an attempt, to an order of them.

    Returns:
        Sorted indices of images.

    Raises:
        ValueError: There is no such division, or none was found.
    """
    classes, label = np.unique(labels, return_inverse=True)
    names, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), len(classes)), dtype=np.int64)
    np.add.at(counts, (group, label), 1)
    among = (counts > 0).sum(axis=0)
    if among.min() <= left:
        which = classes[among.argmin()]
        raise ValueError(
            f"each class needs images in at least {left + 1} groups, since a group is on one side "
            f"whole: class {which} has them in {among.min()}"
        )
    for attempt in range(ATTEMPTS):
        taken = _taken(counts, shares, left, order(len(names), attempt))
        if taken is not None:
            held: Indices = np.flatnonzero(taken[group])
            return held
    raise ValueError(
        "each class needs images on both sides, and a group is on one side whole, but no such "
        f"division of {len(names):,} groups was found"
    )


def _taken(
    counts: Indices, shares: Indices, left: int, order: Indices
) -> npt.NDArray[np.bool_] | None:
    """Which groups are taken, shape [groups]; None where a class is not among them."""
    taken = np.zeros(len(counts), dtype=np.bool_)
    missing = shares.copy()
    spare = (counts > 0).sum(axis=0) - left

    def take(group: int) -> None:
        nonlocal missing, spare
        taken[group] = True
        missing = missing - counts[group]
        spare = spare - (counts[group] > 0)

    for group in order.tolist():
        closer = np.abs(missing - counts[group]).sum() < np.abs(missing).sum()
        if closer and spare[counts[group] > 0].min() > 0:
            take(group)
    while (lacking := counts[taken].sum(axis=0) == 0).any():
        wanted = int(lacking.argmax())
        free = [
            group
            for group in order.tolist()
            if counts[group, wanted] and spare[counts[group] > 0].min() > 0
        ]
        if not free:
            return None
        take(min(free, key=lambda group: np.abs(missing - counts[group]).sum()))
    return taken
