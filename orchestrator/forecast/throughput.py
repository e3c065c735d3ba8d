"""How fast families train, measured in the epochs of an earlier study on the same data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from orchestrator.results import files, shape

# Of a family's epochs, whose hyperparameters differ: the middle four fifths.
PERCENTILES: Final = (10, 90)

Range = tuple[float, float]
Row = Mapping[str, Any]

# What of `study.json` a pace is made of.
NEEDED: Final = (
    *("cluster.gpus_per_trial", "cluster.cpus_per_trial", "dataset.train_images_by_fraction"),
)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long an image takes in each family, low to high.

    Attributes:
        study: Where it was measured.
        device: On what: `cuda` or `cpu`.
        devices_per_trial: That each trial reserved there.
        training: Family to wall seconds for each training image.
        validation: Family to wall seconds for each validation image.
    """

    study: str
    device: str
    devices_per_trial: float
    training: Mapping[str, Range]
    validation: Mapping[str, Range]

    def epoch_seconds(self, family: str, train_images: int, validation_images: int) -> Range:
        """Wall seconds of an epoch, low to high."""
        low, high = (
            train_images * training + validation_images * validation
            for training, validation in zip(
                self.training[family], self.validation[family], strict=True
            )
        )
        return low, high


def find_pace(
    results_dir: Path, dataset: str, families: Sequence[str], *, leave_out: str = ""
) -> Pace | None:
    """The pace of the latest study on the same data that has epochs of all families.

    Args:
        results_dir: Where studies are kept.
        dataset: The data set's name.
        families: Names.
        leave_out: A study's name, which is not looked at.
    """
    found = []
    for path in results_dir.glob("*/study.json"):
        try:
            study = files.read_study(path.parent)
        except (ValueError, OSError):  # not a study's, or of one that is being written
            continue
        same = study["settings"].get("dataset") == dataset and study["name"] != leave_out
        if same and {*families} <= {*study["settings"].get("families", ())}:
            found.append((str(study.get("started_at")), path.parent))
    for _, folder in sorted(found, reverse=True):
        try:
            pace = read_pace(folder)
        except (ValueError, OSError, KeyError):  # without tables yet, or of an older version
            continue
        if pace is not None and {*families} <= pace.training.keys():
            return pace
    return None


def read_pace(folder: Path) -> Pace | None:
    """The pace that a study measured; None where it has no epoch yet.

    Raises:
        ValueError: The folder is no study, or one without tables.
    """
    study = files.read_study(folder)
    if "cluster" not in study or "dataset" not in study:
        return None
    shape.check_entries(folder / "study.json", study, NEEDED)
    images, epochs = _train_images(study), _epochs(folder)
    training, validation = {}, {}
    for family in study["settings"]["families"]:
        own = [row for row in epochs if row["family"] == family]
        if own:
            training[family] = _range([1 / row["images_per_second"] for row in own])
            validation[family] = _range([_validating(row, images, study) for row in own])
    if not training:
        return None
    cluster = study["cluster"]
    return Pace(
        study=study["name"],
        device="cuda" if cluster["gpus_per_trial"] else "cpu",
        devices_per_trial=cluster["gpus_per_trial"] or cluster["cpus_per_trial"],
        training=training,
        validation=validation,
    )


def _epochs(folder: Path) -> list[dict[str, Any]]:
    """The epochs whose speed was measured, with the share of images of their trials."""
    trials = files.read_table(folder, "trials").select(["trial_id", "train_fraction"])
    fractions = {row["trial_id"]: row["train_fraction"] for row in trials.to_pylist()}
    measured = ["family", "trial_id", "images_per_second", "epoch_seconds"]
    return [
        {**row, "train_fraction": fractions[row["trial_id"]]}
        for row in files.read_table(folder, "epochs").select(measured).to_pylist()
        if row["images_per_second"] and row["epoch_seconds"] and row["trial_id"] in fractions
    ]


def _train_images(study: Row) -> dict[float, int]:
    by_fraction = study["dataset"]["train_images_by_fraction"]
    return {float(fraction): images for fraction, images in by_fraction.items()}


def _validating(row: Row, images: Mapping[float, int], study: Row) -> float:
    """Wall seconds for each validation image: what is left of an epoch after its training."""
    training = images[row["train_fraction"]] / row["images_per_second"]
    left = max(0.0, row["epoch_seconds"] - training)
    return float(left / study["dataset"]["validation_images"])


def _range(values: Sequence[float]) -> Range:
    low, high = np.percentile(values, PERCENTILES)
    return float(low), float(high)
