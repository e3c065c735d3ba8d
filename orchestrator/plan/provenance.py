"""Data, split and weights as they lie here, against what `study.json` records of them."""

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.plan.inputs import DEMO_WEIGHTS
from trainables.data.dataset import OpenedDataSet
from trainables.data.splitting import Split
from trainables.weights import loading, pretraining


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


def other_weights(study: Mapping[str, Any], file: loading.WeightsFile) -> Iterator[str]:
    """A sentence if the pre-trained weights have another hash."""
    expected = (study["weights"] or {}).get("sha256")
    if file.sha256 != expected:
        yield f"{file.path} must have SHA-256 {expected} as recorded, but has {file.sha256}"


def locate_weights(name: str) -> loading.WeightsFile:
    """The weights that a study's settings name, the demo's where they were cached.

    Raises:
        ValueError: They are missing.
    """
    return loading.locate(str(pretraining.cached_weights_path()) if name == DEMO_WEIGHTS else name)
