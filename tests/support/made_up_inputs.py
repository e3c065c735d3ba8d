"""Made up for whole studies: a folder of images, a weights file, and more families of curves."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

FAMILIES = Path(__file__).parents[1] / "families"
FAMILY = '''"""Does the orchestrator do as it should with one more family? The same curve."""

import dataclasses

from trainables.families.curve import FAMILY as CURVE

FAMILY = dataclasses.replace(CURVE, name="{name}", pretrained={pretrained})
'''


def image_folder(folder: Path) -> Path:
    """Two classes of 8x8 images that differ in brightness: 20 each to train on, 4 to test."""
    for part, first, count in (("train", 0, 20), ("test", 20, 4)):  # no image stands twice
        for brightness, name in ((60 + first, "dark"), (200 + first, "light")):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.full((8, 8, 3), brightness + number, dtype=np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{number:02d}.png")
    return folder


def weights_file(path: Path, value: float = 0.0) -> Path:
    """A file with one tensor under a name that torchvision's have too."""
    save_file({"conv1.weight": np.full((1,), value, dtype=np.float32)}, path)
    return path


def add_family(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, pretrained: bool = False
) -> None:
    """Writes a family beside `curve` and puts both on the registry's path."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(FAMILY.format(name=name, pretrained=pretrained))
    monkeypatch.setenv("STUDY_FAMILY_PATH", os.pathsep.join((str(FAMILIES), str(folder))))
