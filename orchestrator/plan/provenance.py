"""Data, split and weights as they lie here, against what `study.json` records of them."""

from collections.abc import Iterator, Mapping
from typing import Any

from trainables.data.dataset import OpenedDataSet
from trainables.data.splitting import Split
from trainables.weights.loading import WeightsFile
from trainables.weights.sources import of_family


def other_files(study: Mapping[str, Any], dataset: OpenedDataSet) -> Iterator[str]:
    """A sentence for each data file whose hash is not the recorded one.

    Args:
        study: The content of `study.json`.
        dataset: As it lies here.
    """
    recorded = study["dataset"]["files"]
    for name in sorted({*recorded, *dataset.files}):
        expected, found = recorded.get(name), dataset.files.get(name)
        if expected != found:
            yield f"{name} must have SHA-256 {expected} as recorded, but has {found}"


def other_split(study: Mapping[str, Any], parts: Split) -> Iterator[str]:
    """A sentence if the images are divided into training and validation otherwise."""
    expected = study["dataset"]["split_sha256"]
    if parts.digest != expected:
        yield f"the split must have SHA-256 {expected} as recorded, not {parts.digest}"


def other_weights(study: Mapping[str, Any], family: str, file: WeightsFile) -> Iterator[str]:
    """A sentence if the pre-trained weights of a family have another hash."""
    expected = of_family(study, family).get("sha256")
    if file.sha256 != expected:
        yield f"{file.path} must have SHA-256 {expected} as recorded, but has {file.sha256}"
