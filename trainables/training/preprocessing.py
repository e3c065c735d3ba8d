"""From stored images to what a network is given: on the device, normalised, in batches."""

import warnings
from collections.abc import Callable
from typing import Any, Final

import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from trainables.training.normalization import NORMALIZATIONS

EVALUATION_BATCH: Final = 500
EVALUATION_PIXELS: Final = 1 << 23
"""In a batch: 500 images that are at most 129 pixels wide, 167 of 224 pixels."""


def to_device(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """A tensor on the device; on a CPU it shares the array's memory, read-only or not."""
    with warnings.catch_warnings():
        # The object store's memory is read-only, and nothing here writes into it.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array).to(device)


def preparation(
    normalization: str, *, edge: int, size: int, device: torch.device
) -> Callable[[Tensor], Tensor]:
    """What turns uint8 [batch, edge, edge, 3] into float32 [batch, 3, size, size]."""
    # Rows of edge * 3 values, over which a processor's vectors reach; 3 channels are too few.
    shift, scale = (
        (255 * torch.tensor(part, device=device)).repeat(edge)
        for part in NORMALIZATIONS[normalization]
    )
    shifted = bool(shift.any())

    def prepare(images: Tensor) -> Tensor:
        rows = images.flatten(2)  # [batch, edge, edge * 3]
        rows = torch.sub(rows, shift).div_(scale) if shifted else torch.div(rows, scale)
        normalized = rows.reshape(images.shape).permute(0, 3, 1, 2)
        if edge == size:
            return normalized
        return functional.interpolate(normalized, size=(size, size), mode="bilinear")

    return prepare


def batches(images: int, batch_size: int) -> list[slice]:
    """Slices of a batch each; a last image left alone joins the batch before it.

    Batch norm cannot normalise one value, which is what one image leaves of a 1x1 map.
    """
    starts = list(range(0, images, batch_size))
    if len(starts) > 1 and images - starts[-1] == 1:
        starts.pop()
    return [slice(*pair) for pair in zip(starts, [*starts[1:], images], strict=True)]


def evaluation_batch(size: int) -> int:
    """How many images of an edge in pixels are evaluated at a time."""
    return max(1, min(EVALUATION_BATCH, EVALUATION_PIXELS // size**2))
