"""What the names of normalisations mean, and what a network is given if its family says nothing."""

from collections.abc import Mapping
from typing import Any, Final

BY_NETWORK: Final = "own"
"""The network normalises images itself, as its weights want it."""
# Mean and standard deviation per channel of images in [0, 1]; ImageNet's are torchvision's.
NORMALIZATIONS: Final[Mapping[str, tuple[list[float], list[float]]]] = {
    "zero_one": ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0]),
    BY_NETWORK: ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0]),
    "imagenet": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
}

# What families without these dimensions use. input_size None: images as large as they are.
PLAIN_INPUT: Final[Mapping[str, Any]] = {
    "input_size": None,
    "normalization": "zero_one",
    "head_learning_rate_multiplier": 1.0,
}
