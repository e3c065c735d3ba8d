"""What a data set is: where its files are, its classes, and how its two parts are decoded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True)
class LabeledImages:
    """Decoded images with their labels.

    Attributes:
        images: RGB, uint8 in 0 to 255, shape [images, height, width, 3], C-contiguous.
        labels: Class indices, int64, shape [images].
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, kw_only=True)
class OpenedDataSet:
    """A data set whose files were found and checked, and of which nothing is decoded yet.

    Attributes:
        classes: Class names; a label is an index into them.
        files: File (relative path) to the SHA-256 of its bytes, training and test alike.
        read_training: Decodes the training part (validation is taken out of it later).
        read_test: Decodes the test part. Only the finals may call it.
    """

    classes: tuple[str, ...]
    files: Mapping[str, str]
    read_training: Callable[[], LabeledImages]
    read_test: Callable[[], LabeledImages]


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """One data set: a file in `trainables/datasets/` that defines `DATASET`.

    Attributes:
        name: The file's name; what `--dataset` takes.
        summary: One line for lists: what it is, how many images, from where.
        open: Finds and checks the files without decoding any image:
            `open(data_dir, image_size)`. `data_dir` is None for the default place (the
            user's cache, downloaded once); `image_size` is the edge in pixels that images of
            free size are resized to. Raises ValueError with one line that says what was
            looked for, where, and how to get it.
        licence: Under which terms the images are given, in a few words, for model cards.
    """

    name: str
    summary: str
    open: Callable[[str | None, int], OpenedDataSet]
    licence: str = ""
