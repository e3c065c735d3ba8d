"""Augmentation as batched tensor operations on uint8 images, on whatever device they are."""

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Generator, Tensor
from torch.nn import functional

Augment = Callable[[Tensor, Generator], Tensor]


def flip(images: Tensor, generator: Generator) -> Tensor:
    """Mirrors each image with probability one half.

    Args:
        images: uint8, shape [batch, height, width, 3].
        generator: On the images' device.
    """
    mirrored = torch.rand(len(images), generator=generator, device=images.device) < 0.5  # noqa: PLR2004 (a half)
    return torch.where(mirrored[:, None, None, None], images.flip(2), images)


def crop(images: Tensor, generator: Generator) -> Tensor:
    """Shifts each image by up to an eighth of its edge, black beyond the border.

    Args:
        images: uint8, shape [batch, height, width, 3].
        generator: On the images' device.
    """
    batch, height, width, _ = images.shape
    margin = height // 8
    padded = functional.pad(images, (0, 0, margin, margin, margin, margin))
    # [batch, 2 margin + 1, 2 margin + 1, 3, height, width], a view
    windows = padded.unfold(1, height, 1).unfold(2, width, 1)
    top, left = _integers(2 * margin + 1, batch, images, generator)
    return windows[torch.arange(batch, device=images.device), top, left].permute(0, 2, 3, 1)


def cutout(images: Tensor, generator: Generator) -> Tensor:
    """Blackens in each image a square of a quarter of its edge (DeVries and Taylor 2017).

    Args:
        images: uint8, shape [batch, height, width, 3].
        generator: On the images' device.
    """
    batch, height, width, _ = images.shape
    side = height // 4
    top, left = _integers(height - side + 1, batch, images, generator)
    rows = torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    in_rows = (rows >= top[:, None]) & (rows < top[:, None] + side)  # [batch, height]
    in_columns = (columns >= left[:, None]) & (columns < left[:, None] + side)  # [batch, width]
    hidden = in_rows[:, :, None] & in_columns[:, None, :]
    return images.masked_fill(hidden[..., None], 0)


# The values of the dimension `augmentation`, each stronger than the one before.
STRENGTHS: Final[Mapping[str, tuple[Augment, ...]]] = {
    "none": (),
    "flip": (flip,),
    "flip_crop": (flip, crop),
    "flip_crop_cutout": (flip, crop, cutout),
}


def _integers(
    below: int, count: int, images: Tensor, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Two independent draws of `count` integers in 0 to `below` - 1."""
    drawn = torch.randint(below, (2, count), generator=generator, device=images.device)
    return drawn[0], drawn[1]
