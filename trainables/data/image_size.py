"""Which edge in pixels images of free size are best scaled to: from the images themselves."""

from collections.abc import Sequence
from typing import Final

import numpy as np

LARGEST: Final = 224
"""Pixels: what networks are pre-trained at, and what photographs are scaled down to."""


def proposed_size(shorter_edges: Sequence[int], allowed: Sequence[int]) -> int:
    """The largest size to which at least half the images need not be enlarged.

    Args:
        shorter_edges: Of the images, in pixels.
        allowed: Sizes that every family can be given; those above 224 are left out.
    """
    sizes = sorted(size for size in allowed if size <= LARGEST)
    middle = float(np.median(shorter_edges))
    return max([sizes[0], *(size for size in sizes if size <= middle)])
