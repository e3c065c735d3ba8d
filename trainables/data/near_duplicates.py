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
MOST_PAIRS: Final = 1_000_000
"""Pairs that are kept at most: of a film, each image may look like each other."""
# So many bits in one band more: one band at least is the same in both.
_BANDS: Final = np.array_split(np.arange(ROWS * (COLUMNS - 1)), MOST_BITS + 1)
_CHUNK: Final = 1 << 18

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
    pictures = pictures[shown]
    bits = (pictures[:, :, 1:] > pictures[:, :, :-1]).reshape(len(shown), ROWS * (COLUMNS - 1))
    hashes, first, same = np.unique(
        np.packbits(bits, axis=1).view(">u8").astype(np.uint64).ravel(),
        return_index=True,
        return_inverse=True,
    )
    equal = np.stack([first[same], np.arange(len(shown))], axis=1)
    found = [_of_one_look(pictures, equal[equal[:, 0] != equal[:, 1]])]
    left, room = most, MOST_PAIRS
    for one, other in _candidates(bits[first]):
        near = np.bitwise_count(hashes[one] ^ hashes[other]) <= MOST_BITS
        pairs = np.stack([first[one[near]], first[other[near]]], axis=1)
        found.append(_of_one_look(pictures, pairs))
        left, room = left - len(one), room - len(found[-1])
        if min(left, room) <= 0:
            break
    pairs = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
    return NearPairs(pairs=shown[pairs], whole=min(left, room) > 0)


def _of_one_look(
    pictures: npt.NDArray[np.uint8], pairs: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The pairs whose pictures differ by few grey levels."""
    one, other = (pictures[pairs[:, side]].astype(np.int16) for side in range(2))
    few: npt.NDArray[np.bool_] = np.abs(one - other).mean(axis=(1, 2)) <= MOST_LEVELS
    return pairs[few]


def _candidates(
    bits: npt.NDArray[np.bool_],
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Pairs of hashes that are the same in a band, in chunks; a pair may come once a band.

    Sorted, equal bands are neighbours: step by step each is paired with the next but so many.
    """
    for band in _BANDS:
        values = bits[:, band] @ (1 << np.arange(len(band)))
        order = np.argsort(values, kind="stable")
        values = values[order]
        alive, step = np.arange(len(values)), 1
        while len(alive):
            alive = alive[alive + step < len(values)]
            alive = alive[values[alive] == values[alive + step]]
            for start in range(0, len(alive), _CHUNK):
                part = alive[start : start + _CHUNK]
                yield order[part], order[part + step]
            step += 1
