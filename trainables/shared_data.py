"""What all trials of a study share: decoded data, splits and weights, one copy per node."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from trainables.data.dataset import LabeledImages
from trainables.data.mapped_images import MappedImages
from trainables.weights.loading import Weights


@dataclass(frozen=True, kw_only=True)
class SharedData:
    """Read-only arrays that every trial of a node sees in the same memory.

    Attributes:
        training: The decoded training part, validation included.
        train: Share of the training images to the indices of that share.
        validation: Indices of the validation images, shape [n_validation].
        classes: Class names.
        weights: Pre-trained weights, names to arrays, of each family that starts from some.
        environment: Variables that families and stores read. They stand here since Ray writes those
            of its runtime environments into logs and lists.
    """

    training: LabeledImages
    train: Mapping[float, npt.NDArray[np.int64]]
    validation: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    weights: Mapping[str, Weights]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


def for_other_hosts(shared: SharedData | LabeledImages) -> SharedData | LabeledImages:
    """The same with the pixels themselves, where a file of them is on this machine alone."""
    if isinstance(shared, SharedData):
        training = for_other_hosts(shared.training)
        assert isinstance(training, LabeledImages)
        return replace(shared, training=training)
    return shared.in_memory() if isinstance(shared, MappedImages) else shared
