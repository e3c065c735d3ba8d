"""Images that look alike are found without comparing all pairs, and only those."""

import numpy as np
import pytest
from odd_images import picture
from PIL import Image, ImageEnhance, ImageOps

from trainables.data.image_size import proposed_size
from trainables.data.near_duplicates import (
    EDGE,
    MOST_BITS,
    MOST_LEVELS,
    near_pairs,
    small_picture,
)


def small(image: Image.Image) -> np.ndarray:
    return small_picture(np.asarray(ImageOps.fit(image, (EDGE, EDGE))))


def changed(image: Image.Image, how: str) -> Image.Image:
    match how:
        case "smaller":
            return image.resize((image.width // 3, image.height // 3))
        case "brighter":
            return ImageEnhance.Brightness(image).enhance(1.04)
        case "mirrored":
            return ImageOps.mirror(image)
    return image.crop((60, 60, 180, 160))


@pytest.mark.parametrize(
    ("how", "near"),
    [("smaller", True), ("brighter", True), ("mirrored", False), ("cut out", False)],
)
def test_what_is_near_and_what_is_not(how: str, near: bool) -> None:
    one = picture(1, 300, 200)
    pairs = near_pairs(np.stack([small(one), small(changed(one, how)), small(picture(2))])).pairs
    assert pairs.tolist() == ([[0, 1]] if near else [])


def test_images_without_a_pattern_have_no_hash() -> None:
    flat = [np.full((8, 9), level, dtype=np.uint8) for level in (10, 10, 200)]
    assert near_pairs(np.stack(flat)).pairs.tolist() == []
    assert near_pairs(np.zeros((0, 8, 9), dtype=np.uint8)).pairs.tolist() == []


def test_by_bands_the_very_pairs_are_found_that_comparing_all_finds() -> None:
    random = np.random.default_rng(0)
    base = random.integers(0, 256, (150, 8, 9), dtype=np.uint8)
    noise = random.integers(-14, 15, (4, 150, 8, 9))
    pictures = np.concatenate(
        [base, *((base + each).clip(0, 255).astype(np.uint8) for each in noise)]
    )
    bits = (pictures[:, :, 1:] > pictures[:, :, :-1]).reshape(len(pictures), 64)
    _, first = np.unique(np.packbits(bits, axis=1), axis=0, return_index=True)
    pictures, bits = pictures[np.sort(first)], bits[np.sort(first)]
    apart = (bits[:, None] != bits[None]).sum(axis=2)
    levels = np.stack([np.abs(pictures - each.astype(int)).mean(axis=(1, 2)) for each in pictures])
    near = (apart <= MOST_BITS) & (levels <= MOST_LEVELS)
    expected = np.argwhere(np.triu(near, 1))
    assert 100 < len(expected) < 1500
    found = near_pairs(pictures)
    assert found.whole
    assert found.pairs.tolist() == expected.tolist()


def test_where_too_many_are_alike_it_stops_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    base = random.integers(60, 200, (1, 8, 9))
    pictures = (base + random.integers(-20, 21, (400, 8, 9))).astype(np.uint8)
    assert near_pairs(pictures).whole
    assert not near_pairs(pictures, most=50).whole
    film = (base + random.integers(-9, 10, (400, 8, 9))).astype(np.uint8)
    assert len(near_pairs(film).pairs) > 1000
    monkeypatch.setattr("trainables.data.near_duplicates.MOST_PAIRS", 100)
    assert not near_pairs(film).whole


def test_the_size_is_the_largest_to_which_half_of_the_images_need_not_be_enlarged() -> None:
    sizes = (32, 48, 64, 96, 128, 160, 192, 224, 384)
    for edges, size in (
        ([64] * 5, 64),
        ([20, 30], 32),
        ([100, 100, 4000], 96),
        ([3000, 3000, 10], 224),
        ([47, 48, 49], 48),
    ):
        assert proposed_size(edges, sizes) == size
