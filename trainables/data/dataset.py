"""What a data set is: where its files are, its classes, and how its two parts are decoded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from trainables.data.layout import all_of

if TYPE_CHECKING:
    from pathlib import Path

    from trainables.data.survey import Survey


class FaultyFilesError(ValueError):
    """Files of a data set are at fault, of which a look at all of them tells more.

    Its arguments are the faults, a sentence each, of which it names the first.
    """

    def __str__(self) -> str:
        """All of it in a line."""
        return all_of(self.args)


@dataclass(frozen=True, kw_only=True)
class NamedColumns:
    """What a user says of the columns of tables; None where they are to be found.

    Attributes:
        image: The column of images, or of paths to them.
        label: The column of labels.
        group: The column of what must be on one side whole: a person, a patient, a burst.
    """

    image: str | None = None
    label: str | None = None
    group: str | None = None


UNNAMED: Final = NamedColumns()


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
class Glance:
    """What images of free size show before any of them is decoded.

    Attributes:
        counts: Part (`train`, `val`, `test`) to images by class, in the order of the classes.
        shorter_edges: In pixels, of each image that says it.
        left_out: Paths that are no part of the data, by what they are.
        scaled_to: The same data with another edge in pixels; nothing is read again.
    """

    counts: Mapping[str, Sequence[int]]
    shorter_edges: Sequence[int]
    left_out: Mapping[str, Sequence[str]]
    scaled_to: Callable[[int], "OpenedDataSet"]


@dataclass(frozen=True, kw_only=True)
class OpenedDataSet:
    """A data set whose files were found and checked, and of which nothing is decoded yet.

    Attributes:
        classes: Class names; a label is an index into them.
        files: File (relative path) to the SHA-256 of its bytes, training and test alike.
        test_files: Those of them that hold images of the test part alone: until it is opened they
            may be replaced, and taken away where the parts stay what they are without them.
        read_training: Decodes the training part (validation is taken out of it later). Validation
            images that the data have of their own come last in it.
        read_test: Decodes the test part. Only the finals may call it.
        check_test: Decodes the test part and throws it away, to raise what `read_test` would,
            naming all files at fault; None where opening the data set has settled it.
        own_validation: How many images validate that the data have of their own for that; 0: none.
        image_counts: How many images training and test part have; None where only decoding tells.
        image_shape: Height, width and channels of a decoded image; None likewise.
        duplicates: What is wrong with images that stand twice, a sentence each: in two of
            training, validation and test, or under two labels.
        test_names: The file of each test image, in order; empty where images are no files.
        mapped_in: The same data set, whose parts are decoded into files in a folder, which are
            mapped into memory; None where it cannot be.
        groups: What of the training part must validate whole or not at all, a number for each
            image, int64 [images]; None: each image is on its own.
        notes: What else a reader must know of the data, a sentence each, such as what was left out.
        glance: Of images of free size, from which a study's image size comes where nobody names
            one; None where all images have one size.
    """

    classes: tuple[str, ...]
    files: Mapping[str, str]
    read_training: Callable[[], LabeledImages]
    read_test: Callable[[], LabeledImages]
    test_files: frozenset[str] = frozenset()
    check_test: Callable[[], object] | None = None
    own_validation: int = 0
    image_counts: tuple[int, int] | None = None
    image_shape: tuple[int, int, int] | None = None
    duplicates: tuple[str, ...] = ()
    test_names: tuple[str, ...] = ()
    mapped_in: "Callable[[Path], OpenedDataSet] | None" = None
    groups: npt.NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()
    glance: Glance | None = None


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
        survey: Looks at every image for `orchestrator.look`, as `folder` does it:
            `survey(data_dir, each)`; None where the files are known to be whole.
        with_columns: The same data set, with columns that a user names; None where it has none.
        licence: Under which terms the images are given, in a few words, for model cards.
        standalone: Functions whose source alone reads an image as training did: helpers, then one
            that takes a file's bytes, the edge in pixels and its name, and returns RGB, uint8
            [edge, edge, 3]. They import Pillow inside. They stand in the card of a winner.
    """

    name: str
    summary: str
    open: Callable[[str | None, int], OpenedDataSet]
    survey: "Callable[[str, Callable[[], object]], Survey] | None" = None
    with_columns: "Callable[[NamedColumns], DataSet] | None" = None
    licence: str = ""
    standalone: Sequence[Callable[..., Any]] = ()
