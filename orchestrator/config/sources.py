"""Where settings come from: presets, then a YAML file, then flags, then `--set`."""

import typing
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import TypeAdapter, ValidationError

from orchestrator.config.settings import PATHS, Settings, absolute, check_results_dir, refuse
from trainables import registry
from trainables.names import full_name

# What a preset sets; a YAML file and flags override it.
PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "standard": {},
    "baseline": {"trials": 1},
    "demo": {
        "dataset": "digits",
        "image_size": 32,
        "weights": "demo",
        "validation_images": 237,
        "trials": 2,
        "epochs": 2,
        "grace_period": 1,
        "seeds": 1,
        "dashboard": False,
        "space": {
            "resnet50_scratch": {"stem": "imagenet"},
            "resnet50_transfer": {"input_size": "32"},
        },
        "baseline": {"resnet50_transfer": {"input_size": "32"}},
    },
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


def demo_notes(settings: Settings, *, train_images: int | None, pretrained: bool) -> list[str]:
    """What stands in for what in the demo, a sentence each; nothing of other presets.

    Args:
        settings: The study's.
        train_images: Images it trains on; None: not known yet.
        pretrained: A family starts from weights.
    """
    if settings.preset != "demo":
        return []
    sizes = ((settings.trials, "trial"), (settings.epochs, "epoch"), (settings.seeds, "seed"))
    trials, epochs, seeds = (f"{n:,} {name}{'' if n == 1 else 's'}" for n, name in sizes)
    notes = ["This is the demo: it shows what a study does, not how good the families are."]
    if settings.dataset == "digits":
        notes.append(
            "Data: scikit-learn's 1,797 digits, enlarged from 8 to 32 pixels, stand in for "
            "CIFAR-10."
        )
    if pretrained and settings.weights == "demo":
        notes.append(
            "Weights: a ResNet50 pre-trained for a minute on generated images stands in for "
            "ImageNet's."
        )
    images = "" if train_images is None else f"{train_images:,} training images, "
    notes.append(
        f"Size: {images}{trials} a family, {epochs} and {seeds} stand in "
        "for 45,000 images, 32 trials, 50 epochs and 3 seeds."
    )
    return notes


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
        refuse(f"unknown preset {preset!r}; choose from {', '.join(PRESETS)}")
    merged: dict[str, Any] = {}
    for layer in (PRESETS[preset] if stored is None else stored, *layers):
        for name, value in layer.items():
            nested = isinstance(merged.get(name), Mapping) and isinstance(value, Mapping)
            merged[name] = _deep_merge(merged[name], value) if nested else value
    values = {name: _checked(name, value) for name, value in merged.items()}
    if "grace_period" not in values and values.get("epochs", 0) >= 1:  # the default's, at most
        values["grace_period"] = min(Settings.grace_period, values["epochs"])
    settings = Settings(**values)
    said = {name: getattr(settings, name) for layer in layers for name in layer if name in PATHS}
    paths: dict[str, Any] = {name: absolute(name, path) for name, path in said.items() if path}
    return replace(settings, **paths)


def results_dir_of(given: Mapping[str, Any], *, config: Path | None, assignments: list[str]) -> str:
    """Where the study that is resumed is kept; its own settings lie there.

    Raises:
        ValueError: The YAML file or an assignment is wrong.
    """
    places = [Settings.results_dir]
    for layer in _layers(given, config, assignments):
        places.append(str(layer.get("results_dir", places[-1])))
    check_results_dir(places[-1])
    return places[-1]


def from_json(stored: Mapping[str, Any]) -> Settings:
    """The settings that `study.json` has, to be read.

    Left out is what trials had of GPUs: a study may be older than the rule for it.
    """
    kept = {name: value for name, value in stored.items() if name != "gpus_per_trial"}
    return Settings(**{name: _checked(name, value) for name, value in kept.items()})


def _checked(name: str, value: Any) -> Any:
    """A value in its field's type; texts as a user writes them are taken too."""
    hints = typing.get_type_hints(Settings)
    if name not in hints:
        refuse(f"unknown setting {name!r}; choose from {', '.join(hints)}")
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
        refuse(f"setting {name} does not take {value!r}: it must be text or a number")
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
            refuse(f"--set takes name=value, but got {text!r}")
        *parents, last = _parts(path.strip())
        inner: Any = values
        for parent in parents:
            inner = inner.setdefault(parent, {}) if isinstance(inner, dict) else inner
        if not isinstance(inner, dict) or isinstance(inner.get(last), dict):
            refuse(f"--set must give a name a value or parts with values, not both: {text!r}")
        inner[last] = value
    return values


def _parts(path: str) -> list[str]:
    """`space.timm/resnet18.a1_in1k.dropout` has three: a library's models alone have dots."""
    field, *rest = path.split(".")
    library = full_name(rest[0]).partition(".")[0] if len(rest) > 1 else ""
    if field in {"space", "baseline"} and library in registry.library_names():
        return [field, full_name(".".join(rest[:-1])), rest[-1]]
    return [field, *rest]


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


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_OnceEachLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        message = f"--config must be a readable YAML file, but {path}: {reason}"
        raise ValueError(message) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        refuse(f"--config must hold settings by name, but {path} holds a {type(content).__name__}")
    return content


def _deep_merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        nested = isinstance(merged.get(name), Mapping) and isinstance(value, Mapping)
        merged[name] = _deep_merge(merged[name], value) if nested else value
    return merged
