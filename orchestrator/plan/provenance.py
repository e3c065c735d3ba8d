"""Data, split and weights as they lie here, against what `study.json` records of them."""

from collections.abc import Iterator

from orchestrator.results.study_record import StudyRecord
from trainables.data.dataset import OpenedDataSet
from trainables.data.splitting import Split
from trainables.weights.loading import WeightsFile


def other_files(study: StudyRecord, dataset: OpenedDataSet) -> Iterator[str]:
    """A sentence for each data file whose hash is not the recorded one.

    Args:
        study: It.
        dataset: As it lies here.
    """
    recorded = study.dataset.files
    for name in sorted({*recorded, *dataset.files}):
        expected, found = recorded.get(name), dataset.files.get(name)
        if expected != found:
            yield f"{name} must have SHA-256 {expected} as recorded, but has {found}"


def other_split(study: StudyRecord, parts: Split) -> Iterator[str]:
    """A sentence if the images are divided into training and validation otherwise."""
    expected = study.dataset.split_sha256
    if parts.digest != expected:
        yield f"the split must have SHA-256 {expected} as recorded, not {parts.digest}"


def other_weights(study: StudyRecord, family: str, file: WeightsFile) -> Iterator[str]:
    """A sentence if the pre-trained weights of a family have another hash."""
    expected = study.weights_of(family).sha256 or None
    if file.sha256 != expected:
        yield f"{file.path} must have SHA-256 {expected} as recorded, but has {file.sha256}"
