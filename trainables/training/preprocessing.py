"""From stored images to what a network is given: on the device, normalised, in batches."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from trainables.training.normalization import NORMALIZATIONS


def to_device(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """A tensor on the device; on a CPU it shares the array's memory, read-only or not."""
    with warnings.catch_warnings():
        # The object store's memory is read-only, and nothing here writes into it.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array).to(device)


def preparation(normalization: str, size: int, device: torch.device) -> Callable[[Tensor], Tensor]:
    """What turns uint8 [batch, height, width, 3] into float32 [batch, 3, size, size]."""
    mean, deviation = NORMALIZATIONS[normalization]
    scale = (255 * torch.tensor(deviation, device=device)).view(1, 3, 1, 1)
    shift = (255 * torch.tensor(mean, device=device)).view(1, 3, 1, 1)

    def prepare(images: Tensor) -> Tensor:
        channels_first = images.permute(0, 3, 1, 2)
        floats = channels_first.to(torch.float32, memory_format=torch.channels_last)
        normalized = (floats - shift) / scale
        if normalized.shape[-1] == size:
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
