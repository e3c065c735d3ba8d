"""What a study trains on: data found, checked, decoded and split; weights found and checked."""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.called import words_of
from orchestrator.config.columns import column_flags
from orchestrator.config.input_size import what_families_see
from orchestrator.config.settings import Settings
from orchestrator.config.sources import PRESETS
from orchestrator.plan import pretrained_weights
from orchestrator.plan.families import FamilyPlan, plan_families
from orchestrator.plan.image_size import with_image_size
from orchestrator.plan.memory import check_memory, with_room
from orchestrator.plan.provenance import check_own_validation
from orchestrator.results.study_record import StudyRecord
from trainables import registry
from trainables.data.dataset import (
    UNNAMED,
    DataSet,
    FaultyFilesError,
    LabeledImages,
    NamedColumns,
    OpenedDataSet,
)
from trainables.data.splitting import Split, fraction_of, split, split_at
from trainables.weights.chosen import ChosenWeights
from trainables.weights.loading import WeightsFile


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Everything a study reads, checked; the test part is not decoded.

    Attributes:
        settings: The study's, with its image size.
        notes: What a reader must know of the data, a sentence each.
        training: Its decoded training part, validation included.
        train: Share to indices of the training images, for each fraction.
        weights_files: Of each pre-trained family; None where it is to be made or downloaded.
    """

    settings: Settings
    dataset: OpenedDataSet
    notes: Sequence[str]
    training: LabeledImages
    split: Split
    train: Mapping[float, npt.NDArray[np.int64]]
    weights_files: Mapping[str, WeightsFile | None]

    @property
    def weights(self) -> ChosenWeights | None:
        """What pre-trained families start from; None where there are none, or not all files."""
        there = {family: file for family, file in self.weights_files.items() if file is not None}
        whole = there and len(there) == len(self.weights_files)
        return ChosenWeights(files=there) if whole else None


def prepare(
    settings: Settings,
    plans: Sequence[FamilyPlan],
    say: Callable[[str], None] = lambda _: None,
    *,
    begun: StudyRecord | None = None,
) -> Inputs:
    """Finds, checks and decodes; nothing is written but a first download into the user's cache.

    A study that goes on is `begun`, with the settings that it began with.

    Raises:
        ValueError: Data or weights are missing, damaged, too few or too large for the memory, or
            the demo's cannot be kept.
    """
    named = named_data_set(settings)
    weights_files = pretrained_weights.find(settings, plans, say)
    with _pointing_to_look(named, settings):
        dataset = named.open(settings.data_dir, settings.edge)
    if begun is not None:
        check_own_validation(begun, dataset)
    with _explaining_preset(settings):
        check_validation(settings, dataset)
    if begun is None:
        _check_image_size(settings, dataset)
        glance = dataset.glance
        settings = with_image_size(settings, None if glance is None else glance.shorter_edges)
        dataset = dataset if glance is None else glance.scaled_to(settings.edge)
    notes = _notes(settings, dataset)
    for note in notes:
        say(f"Data: {note}")
    check_memory(settings, [plan.name for plan in plans], dataset)
    dataset = with_room(dataset, say)
    plans = plan_families(settings)  # of the size that the images have become
    edge = dataset.image_shape[0] if dataset.image_shape else settings.edge
    pretrained_weights.check_networks(
        weights_files, plans, edge=edge, num_classes=len(dataset.classes)
    )
    with _pointing_to_look(named, settings):
        training = _decoded(dataset, allow_duplicates=settings.allow_duplicates)
    parts = divide(settings, dataset, training.labels)
    train = {
        fraction: fraction_of(parts.train, training.labels, fraction, settings.seed)
        for fraction in settings.train_fractions
    }
    return Inputs(
        settings=settings,
        dataset=dataset,
        notes=notes,
        training=training,
        split=parts,
        train=train,
        weights_files=weights_files,
    )


def _check_image_size(settings: Settings, dataset: OpenedDataSet) -> None:
    size, shape = settings.image_size, dataset.image_shape
    if dataset.glance is None and size is not None and shape and size != shape[0]:
        raise ValueError(
            f"image_size must be left out, or be {shape[0]}, of images that all have that size, "
            f"as those of {settings.dataset}, but got {size}; what a family is given is its "
            "space.NAME.input_size and baseline.NAME.input_size"
        )


def _notes(settings: Settings, dataset: OpenedDataSet) -> list[str]:
    """What a reader must know of the data: how large images of free size have become, too."""
    notes = [*dataset.notes, *(dataset.duplicates if settings.allow_duplicates else ())]
    if dataset.glance is None:
        return notes
    plans = plan_families(settings)
    spaces = {plan.name: plan.space_json for plan in plans}
    baselines = {plan.name: plan.baseline for plan in plans}
    seen = what_families_see(settings.edge, spaces, baselines)
    return [f"Images are scaled and cropped to {seen}.", *notes]


@contextmanager
def _pointing_to_look(named: DataSet, settings: Settings) -> Iterator[None]:
    """Where files are at fault, adds to the error which command names all of it."""
    try:
        yield
    except FaultyFilesError as error:
        if named.survey is None or settings.data_dir is None:
            raise
        look = shlex.join([*words_of("look"), settings.data_dir, *column_flags(settings)])
        raise ValueError(f"{error}; all that is wrong, and what to do about it: {look}") from error


def _decoded(dataset: OpenedDataSet, *, allow_duplicates: bool) -> LabeledImages:
    """The training part; the test part is decoded too, and thrown away.

    Raises:
        FaultyFilesError: Images of either part cannot be decoded, or stand twice; in one answer.
    """
    wrong: list[str] = []
    parts: list[Any] = []
    if dataset.duplicates and not allow_duplicates:
        found = "; ".join(dataset.duplicates)
        wrong.append(
            f"no image may stand twice, but {found} (remove them, or say --set "
            "allow_duplicates=true, and every report says so)"
        )
    for decode in filter(None, (dataset.read_training, dataset.check_test)):
        try:
            parts.append(decode())
        except FaultyFilesError as error:
            wrong += error.args
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise FaultyFilesError(*wrong)
    training: LabeledImages = parts[0]
    return training


def named_data_set(settings: Settings) -> DataSet:
    """The data set that a study names, with the columns that it names.

    Raises:
        ValueError: There is no such data set, or it has no columns to name.
    """
    named = registry.load_dataset(settings.dataset)
    columns = NamedColumns(
        image=settings.image_column, label=settings.label_column, group=settings.group_column
    )
    if columns == UNNAMED:
        return named
    if named.with_columns is None:
        raise ValueError(f"columns can be named of --dataset folder alone, but got {named.name!r}")
    return named.with_columns(columns)


def divide(settings: Settings, dataset: OpenedDataSet, labels: npt.NDArray[np.int64]) -> Split:
    """The study's split of a training part, of images with these labels, shape [images].

    Raises:
        ValueError: There are too few images, or a number of them is asked for of data that have
            validation images of their own.
    """
    train_images, seed = settings.train_images, settings.seed
    if own := dataset.own_validation:
        check_validation(settings, dataset)
        return split_at(labels, own_validation=own, train_images=train_images, seed=seed)
    count = settings.validation_images or max(len(np.unique(labels)), len(labels) // 10)
    with _explaining_preset(settings, "; a tenth is taken by --set validation_images=none"):
        return split(
            labels,
            validation_images=count,
            train_images=train_images,
            seed=seed,
            groups=dataset.groups,
        )


@contextmanager
def _explaining_preset(settings: Settings, advice: str = "") -> Iterator[None]:
    """Where the number of validation images is a preset's own, says so in the error."""
    try:
        yield
    except ValueError as error:
        own = PRESETS[settings.preset].get("validation_images")
        if own is None or own != settings.validation_images or f" {own}" not in str(error):
            raise
        message = f"{error}, which --preset {settings.preset} sets for its own data set"
        raise ValueError(f"{message}{advice}") from error


def check_validation(settings: Settings, dataset: OpenedDataSet) -> None:
    """Rejects a number of validation images, with a `ValueError`, where the data have their own."""
    if dataset.own_validation and settings.validation_images is not None:
        raise ValueError(
            f"validation_images must be left out (--set validation_images=none) where the data "
            f"have {dataset.own_validation:,} validation images of their own, which all validate, "
            f"but got {settings.validation_images}"
        )
