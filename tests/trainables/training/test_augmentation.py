"""Augmentation: what each operation may and may not change."""

import pytest
import torch

from trainables.training.augmentation import STRENGTHS, crop, cutout, flip


@pytest.fixture
def images() -> torch.Tensor:
    """uint8 [64, 16, 16, 3], no black pixel, no two alike."""
    return torch.randint(1, 256, (64, 16, 16, 3), generator=seeded(), dtype=torch.uint8)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_a_flip_mirrors_about_half_of_the_images(images: torch.Tensor) -> None:
    flipped = flip(images, seeded())
    same = (flipped == images).flatten(1).all(1)
    mirrored = (flipped == images.flip(2)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 16 < int(mirrored.sum()) < 48


def test_a_crop_shifts_by_at_most_an_eighth_and_fills_with_black(images: torch.Tensor) -> None:
    for before, after in zip(images, crop(images, seeded()), strict=True):
        shifts = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if torch.equal(after, _shifted(before, down, right))
        ]
        assert len(shifts) == 1


def test_cutout_hides_one_square_of_a_quarter(images: torch.Tensor) -> None:
    hidden = (cutout(images, seeded()) == 0).all(3)
    assert hidden.flatten(1).sum(1).tolist() == [16] * 64
    assert all(int(mask.any(0).sum()) == int(mask.any(1).sum()) == 4 for mask in hidden)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_every_strength_keeps_shape_and_type(images: torch.Tensor, strength: str) -> None:
    changed = images
    for operation in STRENGTHS[strength]:
        changed = operation(changed, seeded())
    assert (changed.shape, changed.dtype) == (images.shape, torch.uint8)


def _shifted(image: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """An image [16, 16, 3] moved by pixels, black where it came from beyond the border."""
    padded = torch.nn.functional.pad(image, (0, 0, 2, 2, 2, 2))
    return padded[2 - down : 18 - down, 2 - right : 18 - right]
