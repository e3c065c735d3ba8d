"""What a frozen network says of images, computed once in a process and kept for later trials."""

from collections.abc import Hashable
from typing import Any, Final

import torch
from torch import Tensor

_KEPT: Final[dict[Hashable, "Features"]] = {}
"""By what they depend on, those used last behind the others."""
MOST: Final = 4
"""Kept at a time, since they may be large: of two sizes, the training part and the test part."""


class Features:
    """Features of a data set's images, filled in as they are asked for.

    Attributes:
        values: float32, shape [images, features].
        known: Whether each image's are there, bool, shape [images].
        holds: What must live as long as its address is part of the key.
    """

    def __init__(self, images: int, features: int, device: torch.device, holds: Any) -> None:
        """None of them is there yet."""
        self.values = torch.zeros(images, features, device=device)
        self.known = torch.zeros(images, dtype=torch.bool, device=device)
        self.holds = holds

    def missing(self, indices: Tensor) -> Tensor:
        """Those of the indices whose features are not there."""
        return indices[~self.known[indices]]


def kept(
    key: Hashable, *, images: int, features: int, device: torch.device, holds: Any
) -> Features:
    """The features of a key, where they are kept; else new ones.

    Args:
        key: All that they depend on: network, its weights, the images and how they are prepared.
        images: How many there are.
        features: Of each.
        device: Where they are.
        holds: Kept with them.
    """
    found = _KEPT.pop(key, None) or Features(images, features, device, holds)
    while len(_KEPT) >= MOST:
        del _KEPT[next(iter(_KEPT))]
    _KEPT[key] = found
    return found
