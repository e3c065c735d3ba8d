"""Decoded images in a file that all processes of a machine map, where they fill its memory."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainables.data.dataset import LabeledImages

if TYPE_CHECKING:
    from trainables.data.splitting import Indices


@dataclass(frozen=True, kw_only=True)
class MappedImages(LabeledImages):
    """Images whose pixels are in a file; another process is given its path, and maps it too.

    Attributes:
        path: The file: the pixels alone, in their order.
    """

    path: Path

    def __reduce__(self) -> tuple[object, ...]:
        return map_images, (self.path, self.images.shape, self.labels)

    def in_memory(self) -> LabeledImages:
        """The same, of which another process is given the pixels."""
        return LabeledImages(images=np.asarray(self.images), labels=self.labels)


def map_images(path: Path, shape: tuple[int, ...], labels: "Indices") -> MappedImages:
    """Maps a file of images, to be read.

    Args:
        path: The file.
        shape: Of the images: [images, height, width, 3].
        labels: Class indices, int64, shape [images].
    """
    images = np.memmap(path, dtype=np.uint8, mode="r", shape=shape)
    return MappedImages(images=images, labels=labels, path=path)


def new_file(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Maps a new file, to be written; all of it is reserved on the disk.

    Raises:
        ValueError: The disk is full, or cannot be written.
    """
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)))
        return np.memmap(path, dtype=np.uint8, mode="r+", shape=shape)
    except OSError as error:
        raise ValueError(
            f"decoded images must fit into {path.parent}, but they do not: {error}"
        ) from error
