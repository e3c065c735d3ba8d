"""Which edge in pixels images of free size are best scaled to: from the images themselves."""

from collections.abc import Sequence
from statistics import median
from typing import Final

SIZES: Final = (32, 48, 64, 96, 128, 160, 192, 224)
"""Pixels, of which one is proposed; networks are pre-trained at the largest."""
LARGEST: Final = SIZES[-1]
DEFAULT: Final = 32
"""Pixels, where neither the images nor anybody says."""


def proposed_size(shorter_edges: Sequence[int], allowed: Sequence[int]) -> int:
    """The largest size to which at least half the images need not be enlarged.

    Args:
        shorter_edges: Of the images, in pixels.
        allowed: Sizes that every family can be given; those above 224 are left out.
    """
    sizes = sorted(size for size in allowed if size <= LARGEST)
    middle = median(shorter_edges)
    return max([sizes[0], *(size for size in sizes if size <= middle)])
