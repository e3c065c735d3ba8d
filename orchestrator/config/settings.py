"""Settings of a study: every setting with its rule, its unit and its flag, a line each."""

import dataclasses
import functools
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import TypeAdapter, ValidationError

from orchestrator.config import rules
from orchestrator.config.columns import COLUMNS
from orchestrator.config.samplers import INCUMBENT_TPE
from orchestrator.config.trackers import parse_targets
from search_spaces.baseline import BASELINE_EPOCHS
from trainables.data import image_size
from trainables.hardware import PRECISIONS
from trainables.names import full_name
from trainables.secrets import redacted
from trainables.weights.names import by_family
from trainables.weights.sources import DEMO, DOWNLOADS

Texts = Mapping[str, Mapping[str, str]]
LOCAL: Final = ("file://", "local://")
"""How addresses of this machine's own files begin, which may be relative."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What is said of a setting.

    Attributes:
        means: What it is, in a sentence without its end.
        flag: It has one; a text: what stands for its value in `--help`.
        path: It names a file or folder; kept absolute, so that a study goes on from anywhere.
        operational: It is where and how a study runs, not what it finds: a resumed one may differ.
    """

    means: str
    flag: bool | str = False
    path: bool = False
    operational: bool = False


def setting(default: Any, **said: Any) -> Callable[[str], Any]:
    """What makes a field of `Settings` of what it means; see `Said`."""

    def field(means: str) -> Any:
        given = {"default_factory": dict} if isinstance(default, dict) else {"default": default}
        return dataclasses.field(**given, metadata={"said": Said(means=means, **said)})

    return field


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a study; checked when made, all that is wrong in one message.

    The rule that a value must follow is part of its type.
    """

    families: str = setting("all", flag=True)("`all`, or names separated by commas")
    preset: str = setting("standard", flag=True)(
        "`standard`, `baseline` (the baselines alone), or `demo` (no downloads; stand-ins)"
    )
    dataset: str = setting("cifar10", flag=True)(
        "a data set by name: `cifar10`, `cifar100`, `folder`, `digits`, or one of your own"
    )
    data_dir: str | None = setting(None, flag=True, path=True, operational=True)(
        "where its files are: a path or fsspec URI; none: the user's cache, downloaded once"
    )
    image_size: Annotated[int, rules.at_least(8)] | None = setting(None, flag=True)(
        "edge in pixels that images of free size are resized to; none: from these, at most 224"
    )
    image_column: str | None = setting(None, flag="NAME")(COLUMNS["image"])
    label_column: str | None = setting(None, flag="NAME")(COLUMNS["label"])
    group_column: str | None = setting(None, flag="NAME")(COLUMNS["group"])
    validation_images: rules.Images | None = setting(None)(
        "images taken out of the training part for validation; none: all of the data's own, else "
        "a tenth, one a class at least"
    )
    train_images: Annotated[int, rules.at_least(2)] | None = setting(None)(
        "images the whole study trains on, after validation is taken out; none: all"
    )
    allow_duplicates: bool = setting(False)(
        "go on where an image stands in training and test, or in two classes; reports say so"
    )
    weights: str = setting("imagenet", flag=True, path=True, operational=True)(
        "`imagenet` (torchvision's ResNet50; of a library's model its own), `imagenet_v2`, or a "
        "`.pth` or `.safetensors` file; of each family its own: `NAME=FILE,...`"
    )
    probe: bool = setting(False, flag=True, operational=True)(
        "ask before the search what the frozen pre-trained networks know, by a linear layer and by "
        "nearest neighbours; seconds to a minute each, in the process of the command"
    )
    objective: rules.Objective = setting("accuracy")(
        "what epochs and trials are compared by on validation: `accuracy`, or for classes of very "
        "different sizes `balanced_accuracy` (the mean of their recalls) or `macro_f1`"
    )
    trials: rules.Positive = setting(32, flag=True)("trials per family, the baseline included")
    sampler: rules.Sampler = setting(INCUMBENT_TPE)(
        "which hyperparameters are tried next: `incumbent_tpe` (TPE, most of whose proposals keep "
        "some values of the best trial so far), `tpe`, `multivariate_tpe` or `random`"
    )
    budget_gpu_hours: rules.Hours | None = setting(None, flag="HOURS")(
        "device-hours (CPU-hours without GPUs) for all, finals included, an equal share per "
        "family; none: no limit"
    )
    time_budget: rules.Hours | None = setting(None, flag="HOURS")(
        "wall hours for all, finals included; none: no limit"
    )
    stop_when_settled: rules.Chance | None = setting(None, flag="CHANCE")(
        "end the searches once more trials change which family wins with less than this chance, "
        "e.g. 0.01; none: never"
    )
    epochs: rules.Positive = setting(BASELINE_EPOCHS, flag=True)(
        "epochs of a trial that is not stopped"
    )
    grace_period: rules.Positive = setting(5, flag=True)(
        "epochs before a trial can be stopped; the default is at most `epochs`"
    )
    reduction_factor: Annotated[int, rules.at_least(2, rules.MOST_COUNTED)] = setting(3, flag=True)(
        "one in this many survives a rung of ASHA, and rungs lie this factor apart; none within a "
        "fifth of the last epoch"
    )
    seeds: Annotated[int, rules.at_least(1, rules.MOST_SEEDS)] = setting(3, flag=True)(
        "re-trainings of each winner and baseline"
    )
    train_fractions: rules.Fractions = setting((1.0,), flag=True)(
        "shares of the training images that winners and baselines are re-trained on"
    )
    tune_per_fraction: bool = setting(False, flag=True)(
        "search at each of these shares, with as many trials, not at the largest alone"
    )
    equal_steps: bool = setting(False, flag=True)(
        "re-train on smaller shares for more epochs, so that each has about the same steps"
    )
    gpus_per_trial: rules.ShareOfAGpu | None = setting(None, flag=True, operational=True)(
        "GPUs per trial: 0, 1, or a share 1/n; none: 1 where there are any"
    )
    cpus_per_trial: rules.Positive | None = setting(None, flag=True, operational=True)(
        "CPUs per trial, and its torch threads; none: 1"
    )
    memory_per_trial: rules.Gigabytes | None = setting(None, operational=True)(
        "GB of a node's memory that each trial reserves; none: as many as CPUs and GPUs allow"
    )
    device_type: str | None = setting(None, flag="TYPE", operational=True)(
        "type of GPU that trials run on, as Ray names it: `L4`, `A100`; none: the cluster's one"
    )
    mix_devices: bool = setting(False, flag=True, operational=True)(
        "run trials on all types of GPUs or CPUs; device-seconds are weighed by measured speed"
    )
    max_concurrent: rules.Positive | None = setting(None, flag=True, operational=True)(
        "trials at a time, 1 for an order that can be reproduced; none: as many as fit"
    )
    max_attempts: rules.Positive = setting(3, operational=True)(
        "attempts at a trial whose process dies; an error of its own is tried once more at most"
    )
    epoch_time_limit: rules.Wait = setting(14_400.0, operational=True)(
        "seconds an epoch may take, the first with its start, before its process counts as hung"
    )
    checkpoint_seconds: rules.FromZero = setting(30.0, operational=True)(
        "seconds of short epochs that one checkpoint is written for, and one report made: what a "
        "kill can cost a trial; 0: each epoch, as always with a trainer that trains whole epochs"
    )
    wait_for_nodes_minutes: rules.FromZero = setting(15.0, operational=True)(
        "minutes to wait where no node that is there has room for a trial, before giving up"
    )
    address: str | None = setting(None, flag=True, operational=True)(
        "Ray cluster, or `local`: a new one; none: RAY_ADDRESS, the one running here, else a new"
        " one"
    )
    dashboard: bool = setting(True, flag=True, operational=True)(
        "start Ray's dashboard with a Ray that is started here; the demo does without"
    )
    results_dir: rules.LocalPath = setting("results", flag=True, path=True, operational=True)(
        "where studies are kept: a path, where a shared folder is mounted"
    )
    name: rules.FolderName | None = setting(None, flag=True, operational=True)(
        "the study's folder in there; none: preset, data set and time"
    )
    publish: rules.Address | None = setting(None, flag="ADDRESS", path=True, operational=True)(
        "fsspec address below which a copy of it is kept while it runs and at its end; none: none"
    )
    track: rules.Trackers | None = setting(None, flag="TRACKER", path=True, operational=True)(
        "experiment trackers that its rows are sent to while it runs, separated by commas: "
        "`mlflow`, `tensorboard`, `wandb`, `trackio`, `optuna`, each with `=` and where, else as "
        "its environment says; none: none"
    )
    pace_from: str | None = setting(None, path=True, operational=True)(
        "folder of a study whose epochs the forecast rests on; none: the latest on the same data"
    )
    prices: str | None = setting(None, path=True, operational=True)(
        "YAML table of what nodes cost an hour; none: deploy/prices.yaml, where it is"
    )
    precision: str | None = setting(None, flag=True)(
        "`tf32`, `fp32` or `bf16`, of all trials; none: `tf32` on GPUs, `fp32` on CPUs"
    )
    reproducible: bool = setting(False)(
        "deterministic algorithms alone; an operator that has none ends its trial"
    )
    seed: Annotated[int, rules.at_least(0)] = setting(0, flag=True)(
        "decides the split, the search and each trial"
    )
    space: Texts = setting({})(
        "family to dimension to what it is narrowed to: `1e-5..1e-3`, or choices `32,48`"
    )
    warm_start: str | None = setting(None, flag="RESULTS", path=True)(
        "folder of another study on the same data, whose trials the search learns from first"
    )
    baseline: Texts = setting({})(
        "family to dimension to the value its baseline deviates to; every report says so"
    )

    def __post_init__(self) -> None:
        for name, value in _all_checked({name: getattr(self, name) for name in SAID}).items():
            object.__setattr__(self, name, value)
        if faults := list(_contradictions(self)):
            refuse("; ".join(faults))

    @property
    def edge(self) -> int:
        """Pixels at which a data set is opened: the image size, or 32 until it is known."""
        return self.image_size or image_size.DEFAULT

    def precision_on(self, device: str) -> str:
        """What trials compute with on `cuda` or `cpu`."""
        return self.precision or PRECISIONS[device][0]


def said_of(settings: type[Settings]) -> dict[str, Said]:
    """Name of each setting to what is said of it, in their order."""
    return {field.name: field.metadata["said"] for field in dataclasses.fields(settings)}


SAID: Final[Mapping[str, Said]] = said_of(Settings)
PATHS: Final = tuple(name for name, said in SAID.items() if said.path)
OPERATIONAL: Final = frozenset(name for name, said in SAID.items() if said.operational)
ARITHMETIC: Final = ("precision", "reproducible")
BUDGETS: Final = ("budget_gpu_hours", "time_budget")
FEWEST_TO_SETTLE: Final = 10
"""Trials of each family that must have ended before `stop_when_settled` is asked. With 6 or 8,
`benchmarks/settled.py` found too many studies ended by what so few had in common."""
# What ends a search before all its trials.
ENDS: Final = (*BUDGETS, "stop_when_settled")


@functools.cache
def _adapters(settings: type[Settings]) -> dict[str, TypeAdapter[Any]]:
    """Name of each setting to its type with its rules."""
    hints = typing.get_type_hints(settings, include_extras=True)
    return {name: TypeAdapter(hints[name]) for name in said_of(settings)}


def checked(name: str, value: Any) -> Any:
    """A setting's value in its type; texts as a user writes them are taken too.

    Raises:
        ValueError: There is no such setting, or its value is of another type or breaks its rule.
    """
    if name not in SAID:
        refuse(f"unknown setting {name!r}; choose from {', '.join(SAID)}")
    value = _as_written(name, value)
    try:
        found = _adapters(Settings)[name].validate_python(value)
    except ValidationError as error:
        raise ValueError(_one_line(name, value, error)) from error
    if isinstance(found, str):
        check_text(name, found)
    return found


def made(values: Mapping[str, Any]) -> Settings:
    """Settings from values as users write them; the default's grace period is at most the epochs.

    All unknown names and wrong values are said in one `ValueError`.
    """
    own = _all_checked(values)
    if "grace_period" not in own and "epochs" in own:
        own["grace_period"] = min(Settings.grace_period, own["epochs"])
    return Settings(**own)


def _all_checked(values: Mapping[str, Any]) -> dict[str, Any]:
    found, faults = {}, []
    for name, value in values.items():
        try:
            found[name] = checked(name, value)
        except ValueError as error:
            faults.append(str(error))
    if faults:
        refuse("; ".join(faults))
    return found


def absolute(name: str, text: str) -> str:
    """A setting's path from the root, also that of an archive or a `file://`.

    Any other address, and weights that have a name, stay as they are.

    What leads to its last part is followed, that part itself is not: a cache may link to its files.

    Raises:
        ValueError: It is no path, as below the home of a user who is not there.
    """
    if name == "track":
        return ",".join(target.absolute for target in parse_targets(text))
    if "://" in text:
        *archives, place = text.split("::")
        local = next((each for each in LOCAL if place.startswith(each)), "")
        if "://" in place and not local:
            return text
        place = local + absolute(name, place.removeprefix(local))
        return "::".join([*archives, place])
    if name == "weights" and text in {*DOWNLOADS, DEMO}:
        return text
    named = by_family(text) if name == "weights" else None
    if named is not None:
        return ",".join(f"{family}={absolute(name, file)}" for family, file in named.items())
    try:
        path = Path(text).expanduser()
        return str(path.resolve() if path.name == ".." else path.parent.resolve() / path.name)
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{name} must be a path, but got {text!r}: {error}") from error


def written(value: object) -> str:
    """A value as pages, help and a YAML file have it."""
    if value is None or value == {}:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value) if isinstance(value, str) else f"{value:g}"


def to_json(settings: Settings) -> dict[str, Any]:
    """The settings as plain values for `study.json`, without the passwords in addresses."""
    return {
        name: redacted(value) if isinstance(value, str) else value
        for name, value in dataclasses.asdict(settings).items()
    }


def _one_line(name: str, value: Any, error: ValidationError) -> str:
    first = error.errors()[0]
    if first["type"] != "value_error":
        return f"setting {name} does not take {value!r}: {first['msg']}"
    text = str(first["ctx"]["error"])
    return text if text.startswith("unknown") else f"{name} must {text}"


def _as_written(name: str, value: Any) -> Any:
    """What a user may write, as its type has it."""
    if name in {"space", "baseline"}:
        return _as_texts(name, value)
    if name in {"families", "track"} and isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    if name == "train_fractions" and not isinstance(value, list | tuple):
        value = str(value).split(",")
    if isinstance(value, str) and value.lower() in {"none", "null"}:
        value = None
    parts = value if isinstance(value, list) else [value]
    is_boolean = isinstance(getattr(Settings, name), bool)
    if not is_boolean and any(isinstance(part, bool) for part in parts):
        refuse(f"setting {name} does not take {value!r}: it must be text or a number")
    return value


def _as_texts(name: str, value: Any) -> dict[str, dict[str, str]]:
    """Family to dimension to text, where a YAML list stands for choices."""
    if not isinstance(value, Mapping) or not all(isinstance(v, Mapping) for v in value.values()):
        refuse(f"{name} must be given as {name}.<family>.<dimension>, but got {value!r}")
    texts: dict[str, dict[str, str]] = {}
    for family, dimensions in value.items():
        own = texts.setdefault(full_name(str(family)), {})
        for dimension, v in dimensions.items():
            own[str(dimension)] = ",".join(map(str, v)) if isinstance(v, list | tuple) else str(v)
    return texts


def check_text(name: str, text: str) -> None:
    """Rejects what no folder, address or name can be, before something else trips over it."""
    if not text.strip():
        refuse(f"{name} must not be empty, but got {text!r}")
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", text):
        refuse(f"{name} must be text without control characters, but got {text!r}")


def _contradictions(settings: Settings) -> Iterator[str]:
    """What is wrong with settings that are right one by one."""
    grace, epochs = settings.grace_period, settings.epochs
    if grace > epochs:
        yield f"grace_period must be at most epochs, but got grace_period={grace}, epochs={epochs}"
    shares = settings.train_fractions
    for name in ("tune_per_fraction", "equal_steps"):
        if getattr(settings, name) and len(shares) == 1:
            yield f"{name} must go with two train_fractions or more, but got {shares}"
    on_cpu, precision, kind = settings.gpus_per_trial == 0, settings.precision, settings.device_type
    choices = PRECISIONS["cpu" if on_cpu else "cuda"]
    if precision is not None and precision not in choices:
        where = " on a CPU" if on_cpu else ""
        yield f"unknown precision {precision!r}{where}; choose from {', '.join(choices)}"
    if kind is not None and settings.mix_devices:
        yield f"device_type must go without mix_devices, which takes all, but got {kind!r} with it"
    if kind is not None and on_cpu:
        yield f"device_type must go with trials on GPUs, but got {kind!r} with gpus_per_trial 0"
    named = by_family(settings.weights)
    texts = [settings.weights] if named is None else named.values()
    if DEMO in texts and settings.preset != "demo":
        yield "weights 'demo' must go with --preset demo, which says so in every output"


def refuse(message: str) -> typing.NoReturn:
    """Raises a `ValueError`, for a rule that a value breaks."""
    raise ValueError(message)
