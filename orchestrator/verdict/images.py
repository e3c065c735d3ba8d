"""The files of images: how bright and large each is, and thumbnails of a few."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from orchestrator.report.gallery import Picture
from orchestrator.verdict.faults import some
from orchestrator.verdict.matching import Matched
from orchestrator.verdict.said import Texts, texts

EDGE: Final = 96
"""Pixels of a thumbnail."""
SAMPLED: Final = 64
"""Pixels of the edge at which brightness is measured."""


def find_files(matched: Matched, folder: Path) -> dict[str, Path]:
    """Image to its file below a folder: named as the image is, or as the study says.

    Raises:
        ValueError: It is no folder, or has none of them.
    """
    if not folder.is_dir():
        raise ValueError(f"--images must be a folder, but {folder} is none")
    names = matched.files or matched.images
    found = {}
    for image, name in zip(matched.images, names, strict=True):
        path = folder / name
        # Names come with predictions, which may be somebody else's.
        if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            found[image] = path
    if not found:
        raise ValueError(
            f"--images must have files named as the images are, but {folder} has none of "
            f"{some(names)}"
        )
    return found


def measure(matched: Matched, files: dict[str, Path], notes: list[str]) -> dict[str, Texts]:
    """Brightness (0 to 255) and size (pixels of the longer edge) of each image with a file."""
    from PIL import Image  # noqa: PLC0415 (asked for by few)

    values = np.full((2, len(matched.images)), np.nan)
    broken = []
    for place, image in enumerate(matched.images):
        if image in files:
            try:
                with Image.open(files[image]) as opened:
                    edge = max(opened.size)
                    opened.thumbnail((SAMPLED, SAMPLED))
                    values[:, place] = np.asarray(opened.convert("L")).mean(), edge
            except (OSError, ValueError, Image.DecompressionBombError):
                broken.append(image)
    if broken:
        notes.append(f"{len(broken):,} files are no images that can be read: {some(broken)}.")
    lacking = len(matched.images) - len(files)
    if lacking:
        notes.append(f"Of {lacking:,} of {len(matched.images):,} images there is no file.")
    return dict(zip(("brightness", "size in pixels"), map(texts, values), strict=True))


def thumbnails(images: Sequence[str], files: Mapping[str, Path]) -> Iterator[Picture]:
    """Thumbnails of those that can be read."""
    for image in filter(files.__contains__, images):
        from PIL import Image  # noqa: PLC0415 (asked for by few)

        try:
            with Image.open(files[image]) as opened:
                small = opened.convert("RGB")
                small.thumbnail((EDGE, EDGE))
        except (OSError, ValueError, Image.DecompressionBombError):
            continue  # `measure` has said so
        buffer = io.BytesIO()
        small.save(buffer, "PNG")
        data = base64.b64encode(buffer.getvalue()).decode()
        yield Picture(address=f"data:image/png;base64,{data}", alt=f"Test image {image}")
