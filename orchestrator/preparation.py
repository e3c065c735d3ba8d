"""What a study trains on: data found, checked, decoded and split; weights found and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from orchestrator.planning import FamilyPlan
from orchestrator.settings import Settings
from trainables import registry, weights
from trainables.dataset import LabeledImages, OpenedDataSet
from trainables.splitting import Split, fraction_of, split

DEMO_WEIGHTS = "demo"


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Everything a study reads, checked; the test part is not decoded.

    Attributes:
        dataset: Found and checked.
        training: Its decoded training part, validation included.
        split: Into training and validation.
        train: Share to indices of the training images, for each fraction.
        weights_file: Of the pre-trained families; None where there is none, or it is to be made.
    """

    dataset: OpenedDataSet
    training: LabeledImages
    split: Split
    train: Mapping[float, npt.NDArray[np.int64]]
    weights_file: weights.WeightsFile | None


@dataclass(frozen=True, kw_only=True)
class CheckedStudy:
    """A study in which nothing the user gave is wrong.

    Attributes:
        name: Of the study.
        folder: Where it is kept, absolute; it holds no study yet.
        settings: As resolved.
        plans: Its families.
        inputs: Its data and weights.
    """

    name: str
    folder: Path
    settings: Settings
    plans: Sequence[FamilyPlan]
    inputs: Inputs


def prepare(settings: Settings, plans: Sequence[FamilyPlan]) -> Inputs:
    """Finds, checks and decodes; nothing is written but a first download into the user's cache.

    Raises:
        ValueError: Data or weights are missing, damaged or too few.
    """
    named = registry.load_dataset(settings.dataset)
    weights_file = None
    if any(plan.pretrained for plan in plans) and settings.weights != DEMO_WEIGHTS:
        weights_file = weights.locate(settings.weights)
        weights.read(weights_file)
    dataset = named.open(settings.data_dir, settings.image_size)
    training = dataset.read_training()
    tenth = max(1, len(training) // 10)
    parts = split(
        training.labels,
        validation_images=settings.validation_images or tenth,
        train_images=settings.train_images,
        seed=settings.seed,
    )
    return Inputs(
        dataset=dataset,
        training=training,
        split=parts,
        train={
            fraction: fraction_of(parts.train, training.labels, fraction, settings.seed)
            for fraction in settings.train_fractions
        },
        weights_file=weights_file,
    )
