"""Augmentation as batched tensor operations on uint8 images, on whatever device they are."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


def color(images: Tensor, generator: Generator) -> Tensor:
    """Scales brightness, contrast and saturation of each image by 0.6 to 1.4, each drawn anew.

    Args:
        images: uint8, shape [batch, height, width, 3].
        generator: On the images' device.
    """
    drawn = torch.rand((3, len(images), 1, 1, 1), generator=generator, device=images.device)
    brightness, contrast, saturation = 0.6 + 0.8 * drawn
    pixels = images.float() * brightness
    grey = _grey(pixels)
    pixels = torch.lerp(grey.mean(dim=(1, 2), keepdim=True), pixels, contrast)
    return _rounded(torch.lerp(_grey(pixels), pixels, saturation))


def rotate(images: Tensor, generator: Generator) -> Tensor:
    """Turns each image by up to 15 degrees either way, black beyond the border.

    Args:
        images: uint8, shape [batch, height, width, 3].
        generator: On the images' device.
    """
    drawn = torch.rand(len(images), generator=generator, device=images.device)
    angle = (2 * drawn - 1) * math.radians(15)
    none = torch.zeros_like(angle)
    rows = (angle.cos(), -angle.sin(), none), (angle.sin(), angle.cos(), none)
    turn = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)  # [batch, 2, 3]
    pixels = images.permute(0, 3, 1, 2).float()
    grid = functional.affine_grid(turn, list(pixels.shape), align_corners=False)
    turned = functional.grid_sample(pixels, grid, align_corners=False)
    return _rounded(turned.permute(0, 2, 3, 1))


@dataclass(frozen=True)
class Mixing:
    """Has images of a batch become part of each other, in some steps.

    Attributes:
        mixup: Share of steps with mixup (Zhang et al. 2018, alpha 1).
        cutmix: Share of the others with CutMix (Yun et al. 2019, alpha 1).
    """

    mixup: float
    cutmix: float

    @property
    def happens(self) -> bool:
        """Whether there are such steps."""
        return bool(self.mixup or self.cutmix)

    def __call__(self, images: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Mixes each image with the one that is as far from the batch's end, or none.

        Args:
            images: uint8, shape [batch, height, width, 3].
            generator: On the images' device.

        Returns:
            What they become, and how much of each is its own, 0 to 1, shape [1].
        """
        own = torch.ones(1, device=images.device)
        if self.mixup:
            mixes, drawn = torch.rand((2, 1), generator=generator, device=images.device)
            own = torch.where(mixes < self.mixup, 1 - drawn / 2, own)
            images = mix(images, own)
        if self.cutmix:
            cuts, area, top, left = torch.rand((4, 1), generator=generator, device=images.device)
            cut, left_over = cut_mix(images, area, top, left)
            now = (own == 1) & (cuts < self.cutmix)
            images, own = torch.where(now, cut, images), torch.where(now, left_over, own)
        return images, own


def mix(images: Tensor, share: Tensor) -> Tensor:
    """Lays over each image the one that is as far from the batch's end (Zhang et al. 2018).

    Args:
        images: uint8, shape [batch, height, width, 3].
        share: Of an image in what it becomes, shape [1].
    """
    pixels = images.float()
    return _rounded(torch.lerp(pixels.flip(0), pixels, share))


def cut_mix(
    images: Tensor, area: Tensor, center_y: Tensor, center_x: Tensor
) -> tuple[Tensor, Tensor]:
    """Puts into each image a box of the one that is as far from the batch's end.

    Args:
        images: uint8, shape [batch, height, width, 3].
        area: Of the box, as a share of the image's, before the border cuts it; shape [1].
        center_y: Of the box, as a share of the height; shape [1].
        center_x: Likewise of the width.

    Returns:
        The images, and what is left of an image's own, shape [1].
    """
    _, height, width, _ = images.shape
    inside = [
        (torch.arange(edge, device=images.device) + 0.5 - center * edge).abs()
        < edge * area.sqrt() / 2
        for edge, center in ((height, center_y), (width, center_x))
    ]
    box = inside[0][:, None] & inside[1]  # [height, width]
    left_over = 1 - box.float().mean().view(1)
    return torch.where(box[..., None], images.flip(0), images), left_over


# The values of the dimension `augmentation`, each stronger than the one before.
STRENGTHS: Final[Mapping[str, tuple[Augment, ...]]] = {
    "none": (),
    "flip": (flip,),
    "flip_crop": (flip, crop),
    "flip_crop_cutout": (flip, crop, cutout),
    "flip_crop_color": (flip, crop, color),
    "flip_crop_rotate_color": (flip, rotate, crop, color),
}


def _grey(pixels: Tensor) -> Tensor:
    """How bright pixels look, [..., 3] to [..., 1]; weights of ITU-R BT.601."""
    red, green, blue = pixels.unbind(-1)
    return (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(-1)


def _rounded(pixels: Tensor) -> Tensor:
    return pixels.round_().clamp_(0, 255).to(torch.uint8)


def _integers(
    below: int, count: int, images: Tensor, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Two independent draws of `count` integers in 0 to `below` - 1."""
    drawn = torch.randint(below, (2, count), generator=generator, device=images.device)
    return drawn[0], drawn[1]
