"""What a study is told: every setting with its unit, from presets, a YAML file and the flags."""

import dataclasses
import math
import re
import threading
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import TypeAdapter, ValidationError

from search_spaces.baseline import BASELINE_EPOCHS

Texts = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a study; checked when made."""

    families: str = "all"
    """`all`, or names separated by commas."""
    preset: str = "standard"
    """`standard`, `baseline` (the baselines alone), or `demo` (no downloads; stand-ins)."""
    dataset: str = "cifar10"
    """A data set that the registry lists."""
    data_dir: str | None = None
    """Where its files are: a path or fsspec URI; None: the user's cache, downloaded once."""
    image_size: int = 32
    """Edge in pixels that images of free size are resized to."""
    validation_images: int | None = None
    """Images taken out of the training part for validation; None: a tenth of it."""
    train_images: int | None = None
    """Images the whole study trains on, after validation is taken out; None: all."""
    weights: str = "imagenet"
    """`imagenet`, `imagenet_v2` (torchvision's), or a `.pth` or `.safetensors` file."""
    trials: int = 32
    """Trials per family, the baseline included."""
    budget_gpu_hours: float | None = None
    """Device-hours (CPU-hours without GPUs) for all, an equal share per family; None: no limit."""
    time_budget: float | None = None
    """Wall hours for all; None: no limit. Both end the search in time for the finals."""
    epochs: int = BASELINE_EPOCHS
    """Epochs of a trial that is not stopped."""
    grace_period: int = 5
    """Epochs before a trial can be stopped."""
    reduction_factor: int = 3
    """One in this many survives a rung, and rungs lie this factor apart."""
    seeds: int = 3
    """Re-trainings of each winner and baseline."""
    train_fractions: tuple[float, ...] = (1.0,)
    """Shares of the training images that winners and baselines are re-trained on."""
    tune_per_fraction: bool = False
    """Search at each of these shares, with as many trials, not at the largest alone."""
    gpus_per_trial: float | None = None
    """GPUs per trial, a share below 1 or a whole number; None: 1 where there are any."""
    cpus_per_trial: int | None = None
    """CPUs per trial, and its torch threads; None: 1."""
    max_concurrent: int | None = None
    """Trials at a time; None: as many as fit. 1 makes the order of trials reproducible."""
    max_attempts: int = 3
    """Attempts at a trial whose process dies; an error of its own is tried once more at most."""
    epoch_time_limit: float = 14_400.0
    """Seconds an epoch may take, the first with its start, before its process counts as hung."""
    address: str | None = None
    """Ray cluster: None: RAY_ADDRESS, the one running here, else a new one; `local`: a new one."""
    results_dir: str = "results"
    """Where studies are kept."""
    name: str | None = None
    """The study's folder in there; None: preset, data set and time."""
    pace_from: str | None = None
    """Folder of a study whose epochs the forecast rests on; None: the latest on the same data."""
    prices: str | None = None
    """YAML table of what nodes cost an hour; None: deploy/prices.yaml, where it is."""
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
                _check_text(name, value)
        for name, lowest in _LOWEST.items():
            value = getattr(self, name)
            if value is not None and value < lowest:
                _refuse(f"{name} must be at least {lowest}, but got {value}")
        if self.grace_period > self.epochs:
            _refuse(
                f"grace_period must be at most epochs, but got grace_period={self.grace_period}, "
                f"epochs={self.epochs}"
            )
        _check_epoch_time_limit(self.epoch_time_limit)
        _check_budgets({name: getattr(self, name) for name in BUDGETS})
        _check_fractions(self.train_fractions)
        if self.tune_per_fraction and len(self.train_fractions) == 1:
            _refuse(
                "tune_per_fraction must go with two train_fractions or more, but got "
                f"{self.train_fractions}"
            )
        gpus = self.gpus_per_trial
        if gpus is not None and not (0 <= gpus <= 1 or (gpus > 1 and gpus % 1 == 0)):
            _refuse(f"gpus_per_trial must be 0, a share below 1, or a whole number, but got {gpus}")
        if self.weights == "demo" and self.preset != "demo":
            _refuse("weights 'demo' must go with --preset demo, which says so in every output")
        if self.name is not None and (Path(self.name).name != self.name or self.name == ".."):
            _refuse(f"name must be the name of a folder, not a path, but got {self.name!r}")
        _check_results_dir(self.results_dir)

    @property
    def has_budget(self) -> bool:
        """Whether anything but the number of trials may end a search."""
        return any(getattr(self, name) is not None for name in BUDGETS)


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
    "seed": 0,
}

BUDGETS: Final = ("budget_gpu_hours", "time_budget")

# Where and how a study runs, not what it finds: a resumed study may have others.
OPERATIONAL: Final = frozenset(
    {
        "address",
        "results_dir",
        "name",
        "data_dir",
        "weights",
        "cpus_per_trial",
        "gpus_per_trial",
        "max_concurrent",
        "max_attempts",
        "epoch_time_limit",
        "pace_from",
        "prices",
    }
)

# What a preset sets; a YAML file and flags override it.
PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "standard": {},
    "baseline": {"trials": 1},
    "demo": {
        "dataset": "digits",
        "weights": "demo",
        "validation_images": 237,
        "trials": 2,
        "epochs": 2,
        "grace_period": 1,
        "seeds": 1,
        "space": {
            "resnet50_scratch": {"stem": "imagenet"},
            "resnet50_transfer": {"input_size": "32"},
        },
        "baseline": {"resnet50_transfer": {"input_size": "32"}},
    },
}

DEMO_NOTES: Final = (
    "This is the demo: it shows what a study does, not how good the families are.",
    "Data: scikit-learn's 1,797 digits, enlarged from 8 to 32 pixels, stand in for CIFAR-10.",
    "Weights: a ResNet50 pre-trained for a minute on generated images stands in for ImageNet's.",
    "Size: 1,200 training images, 2 trials a family, 2 epochs and 1 seed stand in for "
    "45,000 images, 32 trials, 50 epochs and 3 seeds.",
)


def resolve(
    given: Mapping[str, Any],
    *,
    config: Path | None,
    assignments: list[str],
    stored: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings from, in rising order: defaults, preset, YAML file, flags, `--set`.

    Args:
        given: What flags set, by field name.
        config: A YAML file with fields of `Settings`.
        assignments: Texts `name=value`, e.g. `space.cnn.learning_rate=1e-5..1e-3`.
        stored: Settings of the study that is resumed, which stand in for defaults and preset.

    Raises:
        ValueError: A name is unknown, or a value of the wrong type or outside its rule.
    """
    layers = _layers(given, config, assignments)
    named = [layer["preset"] for layer in layers if "preset" in layer]
    preset = named[-1] if named else "standard"
    if not isinstance(preset, str) or preset not in PRESETS:
        _refuse(f"unknown preset {preset!r}; choose from {', '.join(PRESETS)}")
    merged: dict[str, Any] = {}
    for layer in (PRESETS[preset] if stored is None else stored, *layers):
        for name, value in layer.items():
            nested = isinstance(merged.get(name), Mapping) and isinstance(value, Mapping)
            merged[name] = _deep_merge(merged[name], value) if nested else value
    return Settings(**{name: _checked(name, value) for name, value in merged.items()})


def results_dir_of(given: Mapping[str, Any], *, config: Path | None, assignments: list[str]) -> str:
    """Where the study that is resumed is kept; its own settings lie there.

    Raises:
        ValueError: The YAML file or an assignment is wrong.
    """
    places = [Settings.results_dir]
    for layer in _layers(given, config, assignments):
        places.append(str(layer.get("results_dir", places[-1])))
    _check_results_dir(places[-1])
    return places[-1]


def from_json(stored: Mapping[str, Any]) -> Settings:
    """The settings that `study.json` has."""
    return Settings(**{name: _checked(name, value) for name, value in stored.items()})


def to_json(settings: Settings) -> dict[str, Any]:
    """The settings as plain values for `study.json`."""
    return dataclasses.asdict(settings)


def _checked(name: str, value: Any) -> Any:
    """A value in its field's type; texts as a user writes them are taken too."""
    hints = typing.get_type_hints(Settings)
    if name not in hints:
        _refuse(f"unknown setting {name!r}; choose from {', '.join(hints)}")
    if name in {"space", "baseline"}:
        value = _as_texts(name, value)
    if name == "families" and isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    if name == "train_fractions" and not isinstance(value, list | tuple):
        value = str(value).split(",")
    if isinstance(value, str) and value.lower() in {"none", "null"}:
        value = None
    parts = value if isinstance(value, list) else [value]
    if hints[name] is not bool and any(isinstance(part, bool) for part in parts):
        _refuse(f"setting {name} does not take {value!r}: it must be text or a number")
    try:
        return TypeAdapter(hints[name]).validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        message = f"setting {name} does not take {value!r}: {problem}"
        raise ValueError(message) from error


def _layers(
    given: Mapping[str, Any], config: Path | None, assignments: list[str]
) -> list[Mapping[str, Any]]:
    """What the user says, in rising order."""
    return [_read_yaml(config) if config else {}, given, _assigned(assignments)]


def _assigned(assignments: list[str]) -> dict[str, Any]:
    """Nested values from texts such as `space.cnn.dropout=0.1..0.5`."""
    values: dict[str, Any] = {}
    for text in assignments:
        path, equals, value = text.partition("=")
        if not equals:
            _refuse(f"--set takes name=value, but got {text!r}")
        *parents, last = path.strip().split(".")
        inner: Any = values
        for parent in parents:
            inner = inner.setdefault(parent, {}) if isinstance(inner, dict) else inner
        if not isinstance(inner, dict) or isinstance(inner.get(last), dict):
            _refuse(f"--set must give a name a value or parts with values, not both: {text!r}")
        inner[last] = value
    return values


def _check_text(name: str, text: str) -> None:
    """Refuses what no folder, address or name can be, before something else trips over it."""
    if not text.strip():
        _refuse(f"{name} must not be empty, but got {text!r}")
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", text):
        _refuse(f"{name} must be text without control characters, but got {text!r}")


def _check_epoch_time_limit(seconds: float) -> None:
    if not seconds <= threading.TIMEOUT_MAX:  # a NaN is not either
        _refuse(
            f"epoch_time_limit must be at most {threading.TIMEOUT_MAX:.0f} seconds, but got "
            f"{seconds}"
        )


def _check_budgets(budgets: Mapping[str, float | None]) -> None:
    for name, hours in budgets.items():
        if hours is not None and not (hours > 0 and math.isfinite(hours)):
            _refuse(f"{name} must be hours above 0, but got {hours}")


def _check_fractions(fractions: tuple[float, ...]) -> None:
    if not fractions or not all(0 < share <= 1 for share in fractions):
        _refuse(f"train_fractions must lie in (0, 1], but got {fractions}")
    # As trial ids have them, so that each run of the finals has an id of its own.
    if len({f"{share:g}" for share in fractions}) < len(fractions):
        _refuse(f"each of train_fractions must be named once, but got {fractions}")


def _check_results_dir(results_dir: str) -> None:
    if "://" in results_dir:
        _refuse(
            "results_dir must be a path, where a shared folder is mounted, not an address, "
            f"but got {results_dir!r}"
        )
    try:
        Path(results_dir).expanduser().resolve()
    except (OSError, RuntimeError) as error:  # no such user's home; links in a circle
        message = f"results_dir must be a path, but got {results_dir!r}: {_one_line(error)}"
        raise ValueError(message) from error


def _as_texts(name: str, value: Any) -> dict[str, dict[str, str]]:
    """Family to dimension to text, where a YAML list stands for choices."""
    if not isinstance(value, Mapping) or not all(isinstance(v, Mapping) for v in value.values()):
        _refuse(f"{name} must be given as {name}.<family>.<dimension>, but got {value!r}")
    return {
        str(family): {
            str(dimension): ",".join(map(str, v)) if isinstance(v, list | tuple) else str(v)
            for dimension, v in dimensions.items()
        }
        for family, dimensions in value.items()
    }


class _OnceEachLoader(yaml.SafeLoader):
    """YAML's safe loader, but a name given twice is an error: it would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key, _ in node.value:
            if names.count(key.value) > 1:
                raise yaml.MarkedYAMLError(
                    problem=f"found {key.value!r} twice", problem_mark=key.start_mark
                )
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_OnceEachLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        message = f"--config must be a readable YAML file, but {path}: {_one_line(error)}"
        raise ValueError(message) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        _refuse(f"--config must hold settings by name, but {path} holds a {type(content).__name__}")
    return content


def _deep_merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        nested = isinstance(merged.get(name), Mapping) and isinstance(value, Mapping)
        merged[name] = _deep_merge(merged[name], value) if nested else value
    return merged


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _refuse(message: str) -> typing.NoReturn:
    raise ValueError(message)
