"""Images that look alike: a difference hash of 64 bits, and its near pairs without all pairs.

The hash is dHash: a picture of 8 rows and 9 columns in grey, and for each row whether a pixel is
brighter than its left neighbour. Two images are near where at most `MOST_BITS` bits differ and the
small pictures differ by at most `MOST_LEVELS` grey levels on average: saved again, made smaller,
somewhat brighter. A cut-out or a mirrored copy is not near.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

EDGE: Final = 72
"""Edge in pixels of the picture that a hash is made of: rows of 9 and columns of 8 pixels each."""
ROWS, COLUMNS = 8, 9
MOST_BITS: Final = 6
MOST_LEVELS: Final = 12
LEAST_CONTRAST: Final = 16
"""Grey levels between the brightest and the darkest of the small picture; less has no pattern."""
MOST_COMPARISONS: Final = 200_000_000
"""Pairs of hashes that are compared at most, some seconds."""
# So many bits in one band more: one band at least is the same in both.
_BANDS: Final = np.array_split(np.arange(ROWS * (COLUMNS - 1)), MOST_BITS + 1)
_CHUNK: Final = 1 << 20

Small = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class NearPairs:
    """Which images look alike.

    Attributes:
        pairs: Indices of two images each, the lower first, int64 [pairs, 2]. Of images with the
            same hash only those with the first of them stand here.
        whole: Whether all pairs that may be near were compared.
    """

    pairs: npt.NDArray[np.int64]
    whole: bool


def small_picture(pixels: npt.NDArray[np.uint8]) -> Small:
    """What a hash is made of.

    Args:
        pixels: RGB, uint8 [72, 72, 3].

    Returns:
        Grey, uint8 [8, 9].
    """
    grey = pixels @ np.array([0.299, 0.587, 0.114])
    blocks = grey.reshape(ROWS, EDGE // ROWS, COLUMNS, EDGE // COLUMNS)
    small: Small = np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
    return small


def near_pairs(pictures: npt.NDArray[np.uint8], most: int = MOST_COMPARISONS) -> NearPairs:
    """Finds the images that look alike.

    Args:
        pictures: From `small_picture`, uint8 [images, 8, 9].
        most: Pairs that are compared at most.
    """
    contrast = np.ptp(pictures.reshape(len(pictures), -1), axis=1) if len(pictures) else np.zeros(0)
    shown = np.flatnonzero(contrast >= LEAST_CONTRAST)
    bits = pictures[shown, :, 1:] > pictures[shown, :, :-1]
    bits = bits.reshape(len(shown), ROWS * (COLUMNS - 1))
    hashes, first, same = np.unique(
        np.packbits(bits, axis=1).view(">u8").astype(np.uint64).ravel(),
        return_index=True,
        return_inverse=True,
    )
    found = [np.stack([first[same], np.arange(len(shown))], axis=1)]  # equal hashes
    left = most
    for band in _BANDS:
        for one, other in _candidates(bits[first][:, band], left):
            left -= len(one)
            near = np.bitwise_count(hashes[one] ^ hashes[other]) <= MOST_BITS
            found.append(np.stack([first[one[near]], first[other[near]]], axis=1))
    pairs = np.concatenate(found)
    pairs = np.unique(np.sort(shown[pairs[pairs[:, 0] != pairs[:, 1]]], axis=1), axis=0)
    apart = np.abs(pictures[pairs[:, 0]].astype(int) - pictures[pairs[:, 1]]).mean(axis=(1, 2))
    return NearPairs(pairs=pairs[apart <= MOST_LEVELS], whole=left > 0)


def _candidates(
    band: npt.NDArray[np.bool_], most: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Pairs of rows whose bits are the same, in chunks, `most` of them at most.

    Sorted, equal rows are neighbours: step by step each is paired with the next but so many.
    """
    values = band @ (1 << np.arange(band.shape[1]))
    order = np.argsort(values, kind="stable")
    values = values[order]
    step = 1
    alive = np.arange(len(values) - 1)
    while len(alive) and most > 0:
        alive = alive[alive + step < len(values)]
        alive = alive[values[alive] == values[alive + step]]
        for start in range(0, len(alive), _CHUNK):
            part = alive[start : start + _CHUNK]
            most -= len(part)
            yield order[part], order[part + step]
        step += 1
