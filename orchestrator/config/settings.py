"""What a study is told: every setting with its unit, from presets, a YAML file and the flags."""

import dataclasses
import math
import re
import threading
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from orchestrator.config.precision import default_precision
from search_spaces.baseline import BASELINE_EPOCHS
from trainables.data import image_size
from trainables.epoch_rows import OBJECTIVES
from trainables.hardware import PRECISIONS
from trainables.secrets import redacted
from trainables.weights.names import by_family
from trainables.weights.sources import DEMO, DOWNLOADS

Texts = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a study; checked when made."""

    families: str = "all"
    """`all`, or names separated by commas."""
    preset: str = "standard"
    """`standard`, `baseline` (the baselines alone), or `demo` (no downloads; stand-ins)."""
    dataset: str = "cifar10"
    """A data set by name: `cifar10`, `cifar100`, `folder`, `digits`, or one of your own."""
    data_dir: str | None = None
    """Where its files are: a path or fsspec URI; None: the user's cache, downloaded once."""
    image_size: int | None = None
    """Edge in pixels that images of free size are resized to; None: from these, at most 224."""
    image_column: str | None = None
    """Column of images, or of paths to them, where your own stand in tables; None: found."""
    label_column: str | None = None
    """Column of their labels; None: found."""
    group_column: str | None = None
    """Column of what is never divided between training, validation and test; None: each
    image is on its own."""
    validation_images: int | None = None
    """Images taken out of the training part for validation; None: the data's own, else a tenth, one
    a class at least."""
    train_images: int | None = None
    """Images the whole study trains on, after validation is taken out; None: all."""
    allow_duplicates: bool = False
    """Go on where an image stands in training and test, or in two classes; reports say so."""
    weights: str = "imagenet"
    """`imagenet` (torchvision's ResNet50; of a library's model its own), `imagenet_v2`, or a `.pth`
    or `.safetensors` file; of each family its own: `NAME=FILE,...`."""
    probe: bool = False
    """Ask before the search what the frozen pre-trained networks know, by a linear layer and by
    nearest neighbours; seconds to a minute each, in the process of the command."""
    objective: str = "accuracy"
    """What epochs and trials are compared by on validation: `accuracy`, `balanced_accuracy` (the
    mean of the classes' recalls) or `macro_f1`; for classes with very different numbers."""
    trials: int = 32
    """Trials per family, the baseline included."""
    budget_gpu_hours: float | None = None
    """Device-hours (CPU-hours without GPUs) for all, an equal share per family; None: no limit."""
    time_budget: float | None = None
    """Wall hours for all; None: no limit. Both end the search in time for the finals."""
    stop_when_settled: float | None = None
    """End the searches once more trials change which family wins with less than this chance;
    None: never."""
    epochs: int = BASELINE_EPOCHS
    """Epochs of a trial that is not stopped."""
    grace_period: int = 5
    """Epochs before a trial can be stopped; the default is at most `epochs`."""
    reduction_factor: int = 3
    """One in this many survives a rung of ASHA, and rungs lie this factor apart; none within a
    fifth of the last epoch."""
    seeds: int = 3
    """Re-trainings of each winner and baseline."""
    train_fractions: tuple[float, ...] = (1.0,)
    """Shares of the training images that winners and baselines are re-trained on."""
    tune_per_fraction: bool = False
    """Search at each of these shares, with as many trials, not at the largest alone."""
    equal_steps: bool = False
    """Re-train on smaller shares for more epochs, so that each has about the same steps."""
    gpus_per_trial: float | None = None
    """GPUs per trial: 0, 1, or a share 1/n; None: 1 where there are any."""
    cpus_per_trial: int | None = None
    """CPUs per trial, and its torch threads; None: 1."""
    memory_per_trial: float | None = None
    """GB of a node's memory that each trial reserves; None: as many as CPUs and GPUs allow."""
    device_type: str | None = None
    """Type of GPU that trials run on, as Ray names it: `L4`, `A100`; None: the cluster's one."""
    mix_devices: bool = False
    """Run trials on all types of GPUs or CPUs; device-seconds are weighed by measured speed."""
    max_concurrent: int | None = None
    """Trials at a time; None: as many as fit. 1 makes the order of trials reproducible."""
    max_attempts: int = 3
    """Attempts at a trial whose process dies; an error of its own is tried once more at most."""
    epoch_time_limit: float = 14_400.0
    """Seconds an epoch may take, the first with its start, before its process counts as hung."""
    checkpoint_seconds: float = 30.0
    """Seconds of short epochs that one checkpoint is written for, and one report made: what a kill
    can cost a trial; 0: each epoch, as always with a trainer that trains whole epochs."""
    wait_for_nodes_minutes: float = 15.0
    """Minutes to wait where no node that is there has room for a trial, before giving up."""
    address: str | None = None
    """Ray cluster: None: RAY_ADDRESS, the one running here, else a new one; `local`: a new one."""
    dashboard: bool = True
    """Start Ray's dashboard with a Ray that is started here; the demo does without."""
    results_dir: str = "results"
    """Where studies are kept: a path, where a shared folder is mounted."""
    name: str | None = None
    """The study's folder in there; None: preset, data set and time."""
    publish: str | None = None
    """fsspec address below which a copy of it is kept while it runs and at its end; None: none."""
    pace_from: str | None = None
    """Folder of a study whose epochs the forecast rests on; None: the latest on the same data."""
    prices: str | None = None
    """YAML table of what nodes cost an hour; None: deploy/prices.yaml, where it is."""
    precision: str | None = None
    """`tf32`, `fp32` or `bf16`, of all trials; None: `tf32` on GPUs, `fp32` on CPUs."""
    reproducible: bool = False
    """Deterministic algorithms alone; an operator that has none ends its trial."""
    seed: int = 0
    """Decides the split, the search and each trial."""
    space: Texts = field(default_factory=dict)
    """Family to dimension to what it is narrowed to: `1e-5..1e-3`, or choices `32,48`."""
    warm_start: str | None = None
    """Folder of another study on the same data, whose trials the search learns from first."""
    baseline: Texts = field(default_factory=dict)
    """Family to dimension to the value its baseline deviates to; every report says so."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, str):
                check_text(name, value)
        _check_choice("objective", self.objective, OBJECTIVES)
        for name, lowest in _LOWEST.items():
            _check_between(name, getattr(self, name), lowest)
        if self.grace_period > self.epochs:
            refuse(
                f"grace_period must be at most epochs, but got grace_period={self.grace_period}, "
                f"epochs={self.epochs}"
            )
        _check_times(self)
        _check_budgets({name: getattr(self, name) for name in BUDGETS})
        _check_chance(self.stop_when_settled)
        _check_fractions(self.train_fractions)
        for name in OF_SEVERAL_FRACTIONS:
            if getattr(self, name) and len(self.train_fractions) == 1:
                refuse(
                    f"{name} must go with two train_fractions or more, but got "
                    f"{self.train_fractions}"
                )
        if self.gpus_per_trial:
            trials_on_a_gpu(self.gpus_per_trial)
        _check_precision(self.precision, self.gpus_per_trial)
        _check_devices(self)
        named = by_family(self.weights)
        texts = [self.weights] if named is None else named.values()
        if "demo" in texts and self.preset != "demo":
            refuse("weights 'demo' must go with --preset demo, which says so in every output")
        if self.name is not None and (Path(self.name).name != self.name or self.name == ".."):
            refuse(f"name must be the name of a folder, not a path, but got {self.name!r}")
        check_results_dir(self.results_dir)
        _check_address("publish", self.publish)

    @property
    def edge(self) -> int:
        """Pixels at which a data set is opened: the image size, or 32 until it is known."""
        return self.image_size or image_size.DEFAULT

    def precision_on(self, device: str) -> str:
        """What trials compute with on `cuda` or `cpu`."""
        return self.precision or default_precision(device)


MOST: Final = 1_000_000_000
_LOWEST: Final = {
    "image_size": 8,
    "validation_images": 1,
    "train_images": 2,
    "trials": 1,
    "epochs": 1,
    "grace_period": 1,
    "reduction_factor": 2,
    "seeds": 1,
    "cpus_per_trial": 1,
    "max_concurrent": 1,
    "max_attempts": 1,
    "epoch_time_limit": 1,
    "checkpoint_seconds": 0,
    "wait_for_nodes_minutes": 0,
    "seed": 0,
}

OF_SEVERAL_FRACTIONS: Final = ("tune_per_fraction", "equal_steps")
ARITHMETIC: Final = ("precision", "reproducible")
BUDGETS: Final = ("budget_gpu_hours", "time_budget")
FEWEST_TO_SETTLE: Final = 10
"""Trials of each family that must have ended before `stop_when_settled` is asked. With 6 or 8,
`benchmarks/settled.py` found too many studies ended by what so few had in common."""
# What ends a search before all its trials.
ENDS: Final = (*BUDGETS, "stop_when_settled")

# Where and how a study runs, not what it finds: a resumed study may have others.
OPERATIONAL: Final = frozenset(
    {
        "address",
        "dashboard",
        "probe",
        "results_dir",
        "name",
        "publish",
        "data_dir",
        "weights",
        "cpus_per_trial",
        "gpus_per_trial",
        "memory_per_trial",
        "device_type",
        "mix_devices",
        "max_concurrent",
        "max_attempts",
        "epoch_time_limit",
        "checkpoint_seconds",
        "wait_for_nodes_minutes",
        "pace_from",
        "prices",
    }
)


# What names a file or folder; a study keeps them absolute, so that it goes on from anywhere.
PATHS: Final = ("data_dir", "weights", "results_dir", "pace_from", "prices", "warm_start")


def absolute(name: str, text: str) -> str:
    """A setting's path from the root; an address, and weights that have a name, stay as they are.

    What leads to its last part is followed, that part itself is not: a cache may link to its files.

    Raises:
        ValueError: It is no path, as below the home of a user who is not there.
    """
    if "://" in text or (name == "weights" and text in {*DOWNLOADS, DEMO}):
        return text
    named = by_family(text) if name == "weights" else None
    if named is not None:
        return ",".join(f"{family}={absolute(name, file)}" for family, file in named.items())
    try:
        path = Path(text).expanduser()
        return str(path.resolve() if path.name == ".." else path.parent.resolve() / path.name)
    except (OSError, RuntimeError) as error:
        message = f"{name} must be a path, but got {text!r}: {error}"
        raise ValueError(message) from error


def to_json(settings: Settings) -> dict[str, Any]:
    """The settings as plain values for `study.json`, without the passwords in addresses."""
    return {
        name: redacted(value) if isinstance(value, str) else value
        for name, value in dataclasses.asdict(settings).items()
    }


def trials_on_a_gpu(gpus_per_trial: float) -> int:
    """How many trials have a GPU between them: Ray places no shares but 1/n side by side.

    Raises:
        ValueError: It is no 1/n, written with two decimals or more.
    """
    trials = round(1 / gpus_per_trial) if 0 < gpus_per_trial <= 1 else 0
    decimals = max(2, len(repr(gpus_per_trial).partition(".")[2]))
    if not trials or round(1 / trials, decimals) != gpus_per_trial:
        refuse(
            "gpus_per_trial must be 0, 1, or a share 1/n such as 0.5, 0.33 or 0.25, since a trial "
            f"trains on one GPU at most, but got {gpus_per_trial}"
        )
    return trials


def _check_between(name: str, value: float | None, lowest: int) -> None:
    if value is not None and value < lowest:
        refuse(f"{name} must be at least {lowest}, but got {value}")
    if value is not None and value > MOST:
        refuse(f"{name} must be at most {MOST:,}, but got {str(value)[:20]}")


def check_text(name: str, text: str) -> None:
    """Refuses what no folder, address or name can be, before something else trips over it."""
    if not text.strip():
        refuse(f"{name} must not be empty, but got {text!r}")
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", text):
        refuse(f"{name} must be text without control characters, but got {text!r}")


def _check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    if value not in choices:
        refuse(f"unknown {name} {value!r}; choose from {', '.join(choices)}")


def _check_address(name: str, address: str | None) -> None:
    if address is not None and "://" not in address:
        refuse(
            f"{name} must be an address such as s3://bucket/prefix or file:///mnt/copies, but got "
            f"{address!r}"
        )


def _check_precision(precision: str | None, gpus: float | None) -> None:
    if precision is None:
        return
    choices = PRECISIONS["cpu" if gpus == 0 else "cuda"]
    if precision not in choices:
        where = " on a CPU" if gpus == 0 else ""
        refuse(f"unknown precision {precision!r}{where}; choose from {', '.join(choices)}")


def _check_devices(settings: Settings) -> None:
    memory = settings.memory_per_trial
    if memory is not None and not 0 < memory < MOST:
        refuse(f"memory_per_trial must be GB above 0, but got {memory}")
    if settings.device_type is None:
        return
    if settings.mix_devices:
        refuse(
            "device_type must go without mix_devices, which takes all types, but got "
            f"{settings.device_type!r} with it"
        )
    if settings.gpus_per_trial == 0:
        refuse(
            "device_type must go with trials on GPUs, but got "
            f"{settings.device_type!r} with gpus_per_trial 0"
        )


def _check_times(settings: Settings) -> None:
    for name in ("checkpoint_seconds", "wait_for_nodes_minutes"):
        if not math.isfinite(getattr(settings, name)):
            refuse(f"{name} must be a finite number, but got {getattr(settings, name)}")
    seconds = settings.epoch_time_limit
    if not seconds <= threading.TIMEOUT_MAX:  # a NaN is not either
        refuse(
            f"epoch_time_limit must be at most {threading.TIMEOUT_MAX:.0f} seconds, but got "
            f"{seconds}"
        )


def _check_budgets(budgets: Mapping[str, float | None]) -> None:
    for name, hours in budgets.items():
        if hours is not None and not (hours > 0 and math.isfinite(hours)):
            refuse(f"{name} must be hours above 0, but got {hours}")


def _check_chance(chance: float | None) -> None:
    if chance is not None and not 0 < chance < 1:
        refuse(f"stop_when_settled must be a chance between 0 and 1, but got {chance}")


def _check_fractions(fractions: tuple[float, ...]) -> None:
    if not fractions or not all(0 < share <= 1 for share in fractions):
        refuse(f"train_fractions must lie in (0, 1], but got {fractions}")
    # As trial ids have them, so that each run of the finals has an id of its own.
    if len({f"{share:g}" for share in fractions}) < len(fractions):
        refuse(f"each of train_fractions must be named once, but got {fractions}")


def check_results_dir(results_dir: str) -> None:
    """Refuses what no local folder can be."""
    if "://" in results_dir:
        refuse(
            "results_dir must be a path, where a shared folder is mounted, not an address, "
            f"but got {results_dir!r}; --publish keeps a copy at one"
        )
    try:
        Path(results_dir).expanduser().resolve()
    except (OSError, RuntimeError) as error:  # no such user's home; links in a circle
        message = f"results_dir must be a path, but got {results_dir!r}: {error}"
        raise ValueError(message) from error


def refuse(message: str) -> typing.NoReturn:
    """Raises a `ValueError`, for a rule that a value breaks."""
    raise ValueError(message)
