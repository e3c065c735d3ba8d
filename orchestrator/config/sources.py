"""Where settings come from: presets, then a YAML file, then flags, then `--set`."""

import contextlib
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

import yaml

from orchestrator.config import yaml_file
from orchestrator.config.settings import (
    PATHS,
    SAID,
    Settings,
    absolute,
    checked,
    made,
    refuse,
    to_json,
)
from orchestrator.config.spaces import wrong_families
from trainables import registry
from trainables.names import full_name

Values = Mapping[str, Any]
"""Settings by their names."""
# What a preset sets; a YAML file and flags override it.
PRESETS: Final[Mapping[str, Values]] = {
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


def demo_notes(settings: Settings, *, train_images: int | None, pretrained: bool) -> list[str]:
    """What stands in for what in the demo, a sentence each; nothing of other presets."""
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
    given: Values, *, config: Path | None, assignments: list[str], stored: Values | None = None
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
    own = layers(given, config, assignments)
    preset = merge({"preset": "standard"}, *own)["preset"]
    if not isinstance(preset, str) or preset not in PRESETS:
        refuse(f"unknown preset {preset!r}; choose from {', '.join(PRESETS)}")
    settings = _made(merge(PRESETS[preset] if stored is None else stored, *own))
    said = {name: getattr(settings, name) for layer in own for name in layer if name in PATHS}
    paths: dict[str, Any] = {name: absolute(name, path) for name, path in said.items() if path}
    return replace(settings, **paths)


def _made(values: Values) -> Settings:
    """Settings; where any is wrong, what is wrong with families and spaces is said with it."""
    try:
        return made(values)
    except ValueError as error:
        faults = [str(error)]
        given = {"families": Settings.families, "space": {}, "baseline": {}}
        with contextlib.suppress(ValueError):  # said already
            own = (checked(name, values.get(name, default)) for name, default in given.items())
            faults += wrong_families(*own)
        raise ValueError("; ".join(dict.fromkeys(faults))) from error


def to_yaml(settings: Settings) -> str:
    """A file for `--config` with every setting, each under what it means."""
    comment = textwrap.TextWrapper(100, initial_indent="# ", subsequent_indent="# ")
    return "\n".join(
        f"{comment.fill(SAID[name].means)}\n{yaml.safe_dump({name: value})}"
        for name, value in to_json(settings).items()
    )


def from_json(stored: Values) -> Settings:
    """The settings that `study.json` has, to be read.

    Left out is what trials had of GPUs: a study may be older than the rule for it.
    """
    return made({name: value for name, value in stored.items() if name != "gpus_per_trial"})


def layers(given: Values, config: Path | None, assignments: list[str]) -> list[Values]:
    """What a YAML file, flags and `--set` say, in rising order; see `resolve`."""
    return [_read_config(config) if config else {}, given, _assigned(assignments)]


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


def _read_config(path: Path) -> dict[str, Any]:
    content = yaml_file.read("--config", path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        refuse(f"--config must hold settings by name, but {path} holds a {type(content).__name__}")
    return content


def merge(*layers: Values) -> dict[str, Any]:
    """All that layers say in rising order, each nested name by itself."""
    merged: dict[str, Any] = {}
    for name, value in chain.from_iterable(layer.items() for layer in layers):
        nested = isinstance(merged.get(name), Mapping) and isinstance(value, Mapping)
        merged[name] = merge(merged[name], value) if nested else value
    return merged
