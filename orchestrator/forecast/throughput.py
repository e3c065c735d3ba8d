"""Throughput of families, measured in the epochs of an earlier study that did the same work."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np
from optuna.distributions import BaseDistribution, json_to_distribution

from orchestrator.results import files
from orchestrator.results.study_record import StudyRecord
from search_spaces.baseline import Params
from search_spaces.dimension import covers, outside
from trainables.hardware import PRECISIONS

# Of a family's epochs, whose hyperparameters differ: the middle four fifths.
PERCENTILES: Final = (10, 90)

Range = tuple[float, float]

# What of `study.json` says what a throughput was measured at, and what it is made of.
NEEDED: Final = (
    *("cluster.gpus_per_trial", "cluster.cpus_per_trial", "dataset.train_images_by_fraction"),
    *("dataset.name", "dataset.files", "dataset.image_shape", "spaces", "baselines"),
)


@dataclass(frozen=True, kw_only=True)
class Work:
    """The work whose throughput is wanted; one measured at other work says nothing of it.

    Attributes:
        files: The data set's, name to hash.
        image_shape: Height, width and channels.
        spaces: Family to dimension to distribution.
        precision: In which it computes; None: that of the device.
        reproducible: By deterministic algorithms alone.
        device_names: Types of the devices that it is to run on; empty where they are not known.
    """

    dataset: str
    files: Mapping[str, str]
    image_shape: Sequence[int]
    spaces: Mapping[str, Mapping[str, BaseDistribution]]
    baselines: Mapping[str, Params]
    precision: str | None = None
    reproducible: bool = False
    device_names: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """The wall seconds that an image takes in each family, low to high, as another study measured.

    Attributes:
        trials: In how many it was measured.
        other_images: On images of another folder, or of another version of the data.
        device: On what: `cuda` or `cpu`.
        processor: Of the driver's machine.
        device_names: Types of the devices there; of a study that does not tell them, its processor,
            if trials ran on CPUs.
        devices_per_trial: That each trial reserved there.
        training: Family to wall seconds for each training image.
        validation: Family to wall seconds for each validation image.
        fed: Whether trials had images fed in parts, since they did not fit their GPU.
    """

    study: str
    trials: int
    other_images: bool
    device: str
    processor: str
    device_names: frozenset[str]
    devices_per_trial: float
    training: Mapping[str, Range]
    validation: Mapping[str, Range]
    fed: bool = False

    def epoch_seconds(self, family: str, train_images: float, validation_images: int) -> Range:
        """Wall seconds of an epoch, low to high."""
        training, validation = self.training[family], self.validation[family]
        low, high = (train_images * training[i] + validation_images * validation[i] for i in (0, 1))
        return low, high

    def on(self, devices_per_trial: float) -> "Throughput":
        """The throughput where each trial reserves more devices or fewer.

        How much faster more of them are is not known: the range goes from not at all to as many
        times as there are more.
        """
        ratio = self.devices_per_trial / devices_per_trial
        least, most = min(1.0, ratio), max(1.0, ratio)
        training, validation = (
            {name: (low * least, high * most) for name, (low, high) in ranges.items()}
            for ranges in (self.training, self.validation)
        )
        return replace(self, training=training, validation=validation)


def find_throughput(
    results_dir: Path, work: Work, *, device: str | None, leave_out: str = ""
) -> Throughput | None:
    """The throughput of the latest study that did such work, if possible on the very same images.

    It was measured on the device, `cuda` or `cpu`, or on either; the study of one name is left out.
    """
    found = [
        (study.dataset.files == dict(work.files), folder)
        for folder, study in files.studies_in(results_dir, NEEDED)
        if study.name != leave_out and study.dataset.name == work.dataset
    ]
    for _, folder in sorted(found, key=itemgetter(0), reverse=True):  # else the latest first
        try:
            throughput, _ = read_throughput(folder, work, device=device)
        except (ValueError, OSError):  # without tables yet
            continue
        if throughput is not None:
            return throughput
    return None


def read_throughput(
    folder: Path, work: Work, *, device: str | None = None
) -> tuple[Throughput | None, str]:
    """The throughput that a study measured, by those of its trials that could be this work's.

    Returns:
        On the device, `cuda` or `cpu`, or either; None, and why, where it says nothing of the work.

    Raises:
        ValueError: The folder is no study, or one without tables.
    """
    study = files.read_study(folder)
    study.check_said(folder / "study.json", NEEDED)
    for why in _differences(study, work, device):
        return None, why
    every = _epochs(folder, work, study)
    # What is not known may have been measured on any type of device.
    names = {None, *work.device_names}
    epochs = [row for row in every if not work.device_names or row["device_name"] in names]
    if every and not epochs:
        found, wanted = (", ".join(sorted(own)) for own in (_names(every), work.device_names))
        return None, f"it ran on {found}, not on {wanted}"
    training, validation = {}, {}
    for family in work.spaces:
        own = [row for row in epochs if row["family"] == family]
        if not own:
            return None, f"it has no epoch of {family}"
        training[family], validation[family] = (
            _range([row[name] for row in own]) for name in ("training", "validation")
        )
    throughput = Throughput(
        study=study.name,
        trials=len({row["trial_id"] for row in epochs}),
        other_images=study.dataset.files != dict(work.files),
        device=study.cluster.device,
        processor=study.environment.get("processor", ""),
        device_names=frozenset(_names(epochs)),
        devices_per_trial=study.cluster.devices_per_trial,
        training=training,
        validation=validation,
        fed=(folder / "events.parquet").is_file()
        and "images_fed" in files.read_table(folder, "events")["kind"].to_pylist(),
    )
    return throughput, ""


def _names(epochs: Sequence[Mapping[str, Any]]) -> set[str]:
    return {row["device_name"] for row in epochs if row["device_name"]}


def _differences(study: StudyRecord, work: Work, device: str | None) -> Iterator[str]:
    """What a study did otherwise, if it matters for how long an image takes, and how or on what."""
    theirs = study.dataset.image_shape
    if theirs != list(work.image_shape):
        yield f"its images have {image_size(theirs)}, these {image_size(work.image_shape)}"
    for family, space in work.spaces.items():
        if family not in study.spaces or family not in study.baselines:
            yield f"it has no {family}"
            return
        known = {
            name: json_to_distribution(json.dumps(values))
            for name, values in study.spaces[family].items()
        }
        baseline, own = study.baselines[family], work.baselines[family]
        for name, values in space.items():
            if name not in known or not covers(known[name], values):
                yield f"its space.{family}.{name} was narrower"
            if name not in baseline or baseline[name] != own[name]:
                yield f"its baseline.{family}.{name} was another"
    measured_on = study.cluster.device
    precision = work.precision or PRECISIONS[measured_on][0]
    if study.precision != precision:
        yield f"it computed in {study.precision}, not in {precision}"
    if study.settings.reproducible != work.reproducible:
        yield f"it was {'not ' if work.reproducible else ''}reproducible"
    if device not in {None, measured_on}:
        yield f"it ran on {measured_on}, not on {device}"


def _epochs(folder: Path, work: Work, study: StudyRecord) -> list[dict[str, Any]]:
    """The epochs whose speed was measured in trials that this work could have.

    Returns:
        `family`, `trial_id`, `device_name` (None where it is not known), and wall seconds for each
        image of `training` and of `validation`, which is what is left of an epoch.
    """
    at_share, validated_on = study.dataset.train_images_at, study.dataset.validation_images or 1
    images = {
        row["trial_id"]: at_share[row["train_fraction"]]
        for row in files.read_table(folder, "trials").to_pylist()
        if row["family"] in work.spaces
        and row["train_fraction"] in at_share
        and (row["role"] == "baseline" or _inside(work.spaces[row["family"]], row["params_json"]))
    }
    of_cpus = study.environment.get("processor") if study.cluster.device == "cpu" else None
    return [
        {
            "family": row["family"],
            "trial_id": row["trial_id"],
            "device_name": row.get("device_name") or of_cpus or None,  # older tables have none
            "training": 1 / speed,
            "validation": max(0.0, seconds - images[row["trial_id"]] / speed) / validated_on,
        }
        for row in files.read_table(folder, "epochs").to_pylist()
        if row["trial_id"] in images
        and (speed := row["images_per_second"])
        and (seconds := row["epoch_seconds"])
    ]


def _inside(space: Mapping[str, BaseDistribution], params_json: str) -> bool:
    params: Params = json.loads(params_json)
    return {*space} <= {*params} and not outside(space, params)


def _range(values: Sequence[float]) -> Range:
    low, high = np.percentile(values, PERCENTILES)
    return float(low), float(high)


def image_size(image_shape: Sequence[int]) -> str:
    """Height, width and channels in words."""
    if not image_shape:
        return "a size that is not stored"
    height, width, channels = image_shape
    return f"{width}x{height} pixels in {channels} channel{'' if channels == 1 else 's'}"
