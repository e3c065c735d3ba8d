"""How data, split and weights differ from what `study.json` records of them."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from orchestrator.results.study_record import StudyRecord
from trainables.data.dataset import OpenedDataSet
from trainables.data.splitting import Split
from trainables.weights.loading import WeightsFile

T = TypeVar("T")


def changed(
    recorded: Mapping[str, T], found: Mapping[str, T]
) -> Iterator[tuple[str, T | None, T | None]]:
    """Name, recorded and found value of each entry in which they are not alike, by name."""
    for name in sorted({*recorded, *found}):
        before, now = recorded.get(name), found.get(name)
        if before != now:
            yield name, before, now


def changed_weights(
    study: StudyRecord, files: Mapping[str, WeightsFile | None]
) -> Iterator[tuple[str, str | None, str | None]]:
    """What has another hash, the recorded one and that found, of each family's weights."""
    several = study.weights is not None and study.weights.families
    for family, file in files.items():
        before, now = study.weights_of(family).sha256 or None, file.sha256 if file else None
        if before != now:
            yield f"SHA-256 of the weights{f' of {family}' if several else ''}", before, now


def other_files(study: StudyRecord, dataset: OpenedDataSet) -> Iterator[str]:
    """A sentence for each data file whose hash is not the recorded one."""
    for name, expected, found in changed(study.dataset.files, dataset.files):
        yield f"{name} must have SHA-256 {expected} as recorded, but has {found}"


def other_split(study: StudyRecord, parts: Split) -> Iterator[str]:
    """A sentence if the images are divided into training and validation otherwise."""
    expected = study.dataset.split_sha256
    if parts.digest != expected:
        yield f"the split must have SHA-256 {expected} as recorded, not {parts.digest}"


def other_weights(study: StudyRecord, family: str, file: WeightsFile) -> Iterator[str]:
    """A sentence if the pre-trained weights of a family have another hash."""
    for _, expected, found in changed_weights(study, {family: file}):
        yield f"{file.path} must have SHA-256 {expected} as recorded, but has {found}"


def check_own_validation(study: StudyRecord, dataset: OpenedDataSet) -> None:
    """Rejects data in which a study has left out the validation images that it would use today.

    Raises:
        ValueError: It was begun before they were used, or they have come since.
    """
    if dataset.own_validation and not study.dataset.own_validation:
        raise ValueError(
            f"the data must be as when the study began, without validation images of their own, "
            f"but have {dataset.own_validation:,}, which would be used today (val/ of a folder was "
            "left out then): move these elsewhere to go on, or start a new study"
        )
