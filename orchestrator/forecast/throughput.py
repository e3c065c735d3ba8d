"""Throughput of families, measured in the epochs of an earlier study that did the same work."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Final, TypedDict, cast

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


class _Measured(TypedDict):
    """An epoch whose speed was measured."""

    family: str
    trial_id: str
    images_per_second: float
    epoch_seconds: float
    device_name: str | None
    train_fraction: float


@dataclass(frozen=True, kw_only=True)
class Work:
    """The work whose throughput is wanted; one measured at other work says nothing of it.

    Attributes:
        dataset: The data set's name.
        files: Its files' hashes, by name.
        image_shape: Height, width and channels of its images.
        spaces: Family to dimension to distribution.
        baselines: Family to its baseline's values.
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

    @property
    def images(self) -> str:
        """Size of the images in words."""
        return _size(self.image_shape)


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """The wall seconds that an image takes in each family, low to high, as another study measured.

    Attributes:
        study: Where it was measured.
        trials: In how many trials.
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
        low, high = (
            train_images * training + validation_images * validation
            for training, validation in zip(
                self.training[family], self.validation[family], strict=True
            )
        )
        return low, high

    def on(self, devices_per_trial: float) -> "Throughput":
        """The throughput where each trial reserves more devices or fewer.

        How much faster more of them are is not known: the range goes from not at all to as many
        times as there are more.
        """
        ratio = self.devices_per_trial / devices_per_trial
        ends = min(1.0, ratio), max(1.0, ratio)

        def widened(ranges: Mapping[str, Range]) -> dict[str, Range]:
            return {name: (low * ends[0], high * ends[1]) for name, (low, high) in ranges.items()}

        return replace(self, training=widened(self.training), validation=widened(self.validation))


def find_throughput(
    results_dir: Path, work: Work, *, device: str | None, leave_out: str = ""
) -> Throughput | None:
    """The throughput of the latest study that did such work, if possible on the very same images.

    Args:
        results_dir: Where studies are kept.
        work: Whose throughput is wanted.
        device: On what: `cuda` or `cpu`; None for either.
        leave_out: A study's name, which is not looked at.
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

    Args:
        folder: The study's.
        work: Whose throughput is wanted.
        device: On what: `cuda` or `cpu`; None for either.

    Returns:
        None, and why, where it says nothing of the work.

    Raises:
        ValueError: The folder is no study, or one without tables.
    """
    study = files.read_study(folder)
    study.check_said(folder / "study.json", NEEDED)
    measured_on = study.cluster.device
    why = _other_work(study, work) or _other_arithmetic(study, work, measured_on)
    if not why and device not in {None, measured_on}:
        why = f"it ran on {measured_on}, not on {device}"
    if why:
        return None, why
    images = study.dataset.train_images_at
    processor = study.environment.get("processor", "")
    unsaid = processor if processor and measured_on == "cpu" else None
    every: list[_Measured] = [
        {**row, "device_name": row["device_name"] or unsaid}
        for row in _epochs(folder, work)
        if row["train_fraction"] in images
    ]
    epochs = [row for row in every if _is_on(row["device_name"], work.device_names)]
    if every and not epochs:
        return None, f"it ran on {_listed(every)}, not on {', '.join(sorted(work.device_names))}"
    training, validation = {}, {}
    for family in work.spaces:
        own = [row for row in epochs if row["family"] == family]
        if not own:
            return None, f"it has no epoch of {family}"
        training[family] = _range([1 / row["images_per_second"] for row in own])
        validation[family] = _range([_validating(row, images, study) for row in own])
    throughput = Throughput(
        study=study.name,
        trials=len({row["trial_id"] for row in epochs}),
        other_images=study.dataset.files != dict(work.files),
        device=measured_on,
        processor=processor,
        device_names=frozenset(row["device_name"] for row in epochs if row["device_name"]),
        devices_per_trial=study.cluster.devices_per_trial,
        training=training,
        validation=validation,
        fed=_fed(folder),
    )
    return throughput, ""


def _is_on(device: str | None, names: frozenset[str]) -> bool:
    """Whether what was measured on a type of device counts for others; one not told may be any."""
    return device is None or not names or device in names


def _listed(epochs: Sequence[_Measured]) -> str:
    return ", ".join(sorted({str(row["device_name"]) for row in epochs}))


def _other_work(study: StudyRecord, work: Work) -> str:
    """What a study did otherwise, if it matters for how long an image takes."""
    theirs = study.dataset.image_shape
    if theirs != list(work.image_shape):
        return f"its images have {_size(theirs)}, these {work.images}"
    for family, space in work.spaces.items():
        if family not in study.spaces or family not in study.baselines:
            return f"it has no {family}"
        known = {
            name: json_to_distribution(json.dumps(values))
            for name, values in study.spaces[family].items()
        }
        baseline, own = study.baselines[family], work.baselines[family]
        for name, values in space.items():
            if name not in known or not covers(known[name], values):
                return f"its space.{family}.{name} was narrower"
            if name not in baseline or baseline[name] != own[name]:
                return f"its baseline.{family}.{name} was another"
    return ""


def _other_arithmetic(study: StudyRecord, work: Work, device: str) -> str:
    """How a study computed otherwise, if it did."""
    theirs, ours = study.precision, work.precision or PRECISIONS[device][0]
    if theirs != ours:
        return f"it computed in {theirs}, not in {ours}"
    if study.settings.reproducible != work.reproducible:
        return f"it was {'not ' if work.reproducible else ''}reproducible"
    return ""


def _epochs(folder: Path, work: Work) -> list[_Measured]:
    """The epochs whose speed was measured in trials that this work could have."""
    trials = {
        row["trial_id"]: row["train_fraction"]
        for row in files.read_table(folder, "trials").to_pylist()
        if row["family"] in work.spaces
        and (
            row["role"] == "baseline"
            or not _outside(work.spaces[row["family"]], json.loads(row["params_json"]))
        )
    }
    measured = ["family", "trial_id", "images_per_second", "epoch_seconds"]
    table = files.read_table(folder, "epochs")
    optional = ["device_name"] if "device_name" in table.column_names else []  # later ones do
    return [
        cast("_Measured", {"device_name": None, **row, "train_fraction": trials[row["trial_id"]]})
        for row in table.select([*measured, *optional]).to_pylist()
        if row["images_per_second"] and row["epoch_seconds"] and row["trial_id"] in trials
    ]


def _fed(folder: Path) -> bool:
    """Whether a trial had its images fed in parts."""
    if not (folder / "events.parquet").is_file():
        return False
    return "images_fed" in files.read_table(folder, "events")["kind"].to_pylist()


def _outside(space: Mapping[str, BaseDistribution], params: Params) -> bool:
    return not {*space} <= {*params} or bool(outside(space, params))


def _train_images(study: StudyRecord) -> dict[float, int]:
    by_fraction = study.dataset.train_images_by_fraction
    return {float(fraction): images for fraction, images in by_fraction.items()}


def _validating(row: _Measured, images: Mapping[float, int], study: StudyRecord) -> float:
    """Wall seconds for each validation image: what is left of an epoch after its training."""
    training = images[row["train_fraction"]] / row["images_per_second"]
    left = max(0.0, row["epoch_seconds"] - training)
    return float(left / max(1, study.dataset.validation_images))


def _range(values: Sequence[float]) -> Range:
    low, high = np.percentile(values, PERCENTILES)
    return float(low), float(high)


def _size(image_shape: Sequence[int]) -> str:
    if not image_shape:
        return "a size that is not stored"
    height, width, channels = image_shape
    return f"{width}x{height} pixels in {channels} channel{'' if channels == 1 else 's'}"
