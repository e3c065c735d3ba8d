"""What several tests share: made-up images, a family without torch, and a recorder."""

from pathlib import Path

import numpy as np
import pytest

from trainables.dataset import LabeledImages


@pytest.fixture
def made_up_images() -> LabeledImages:
    """60 images of 3 classes that differ in colour: uint8 [60, 16, 16, 3]."""
    random = np.random.default_rng(0)
    labels = np.arange(60, dtype=np.int64) % 3
    images = random.integers(0, 80, (60, 16, 16, 3), dtype=np.uint8)
    images[np.arange(60), :, :, labels] += 120
    return LabeledImages(images=images, labels=labels)


@pytest.fixture
def awkward_path(tmp_path: Path) -> Path:
    """A folder whose name has spaces, quotes and letters beyond ASCII."""
    folder = tmp_path / "étude d'images (1)"
    folder.mkdir()
    return folder
