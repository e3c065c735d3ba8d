"""Augmentation: what each operation may and may not change."""

import pytest
import torch

from trainables.training.augmentation import (
    STRENGTHS,
    Mixing,
    color,
    crop,
    cut_mix,
    cutout,
    flip,
    mix,
    rotate,
)


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


def test_color_keeps_grey_images_grey_and_makes_each_another() -> None:
    grey = torch.arange(60, 124, dtype=torch.uint8)[:, None, None, None].expand(64, 16, 16, 3)
    changed = color(grey, seeded())
    assert (changed.amax(3) == changed.amin(3)).all()
    factors = changed[:, 0, 0, 0] / grey[:, 0, 0, 0]
    assert 0.58 < factors.min() < 0.7
    assert 1.3 < factors.max() < 1.42


def test_color_changes_how_far_the_channels_lie_apart() -> None:
    reddish = torch.tensor([150, 100, 100], dtype=torch.uint8).expand(64, 16, 16, 3)
    changed = color(reddish, seeded()).int()
    apart = (changed[..., 0] - changed[..., 1])[:, 0, 0]
    assert apart.min() < 40
    assert apart.max() > 60


def test_a_rotation_turns_by_at_most_15_degrees_about_the_middle() -> None:
    bar = torch.zeros(64, 65, 65, 3, dtype=torch.uint8)
    bar[:, 32, :] = 255  # one row, through the middle
    turned = rotate(bar, seeded()).float()[..., 0]
    assert (turned[:, 32, 32] > 200).all()
    heights = turned[:, :, 52].argmax(1) - 32  # 20 pixels from the middle
    degrees = torch.rad2deg(torch.atan(heights / 20))
    assert degrees.abs().max() <= 17  # whole pixels
    assert (degrees.min(), degrees.max()) < (-8, 17)
    assert degrees.max() > 8


def test_mixing_lays_the_batch_over_itself_in_reverse(images: torch.Tensor) -> None:
    assert torch.equal(mix(images, torch.ones(1)), images)
    half = mix(images, torch.tensor([0.5])).int()
    mean = (images.int() + images.flip(0).int()) / 2
    assert (half - mean).abs().max() <= 0.5


def test_a_share_of_the_steps_is_mixed_and_an_image_keeps_at_least_half(
    images: torch.Tensor,
) -> None:
    generator, mixing = seeded(), Mixing(0.3, 0.0)
    shares = [float(mixing(images, generator)[1]) for _ in range(500)]
    mixed = [share for share in shares if share < 1]
    assert 100 < len(mixed) < 200
    assert min(shares) >= 0.5


def test_a_cut_puts_a_box_of_the_mirrored_batch_in_and_says_what_is_left(
    images: torch.Tensor,
) -> None:
    of = [torch.tensor([share]) for share in (0.25, 0.5, 0.5)]
    cut, left = cut_mix(images, *of)
    assert float(left) == 0.75
    assert torch.equal(cut[:, 4:12, 4:12], images.flip(0)[:, 4:12, 4:12])
    cut[:, 4:12, 4:12] = images[:, 4:12, 4:12]
    assert torch.equal(cut, images)


def test_a_box_at_the_border_is_cut_by_it(images: torch.Tensor) -> None:
    _, left = cut_mix(images, torch.tensor([0.25]), torch.zeros(1), torch.ones(1))
    assert float(left) == 1 - 16 / 256


def test_of_the_steps_without_mixup_a_share_is_cut(images: torch.Tensor) -> None:
    generator, mixing = seeded(), Mixing(0.5, 0.5)
    kinds = [0, 0, 0]
    for _ in range(400):
        mixed, own = mixing(images, generator)
        whole = bool(((mixed == images) | (mixed == images.flip(0))).all())
        kinds[0 if float(own) == 1 else 1 if whole else 2] += 1
    assert 60 < kinds[0] < 150
    assert 60 < kinds[1] < 150
    assert 150 < kinds[2] < 250


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
