"""The names that other libraries give a ResNet's weights, as torchvision's."""

import re
from collections.abc import Mapping
from typing import Final, TypeVar

Value = TypeVar("Value")

_UNIT: Final = {"convolution": "conv", "normalization": "bn"}
_STEM: Final = re.compile(r"(?:.*\.)?embedder\.embedder\.(convolution|normalization)\.(\w+)")
_BLOCK: Final = re.compile(
    r"(?:.*\.)?encoder\.stages\.(\d+)\.layers\.(\d+)\.(shortcut|layer\.(\d+))"
    r"\.(convolution|normalization)\.(\w+)"
)
_HEAD: Final = re.compile(r"(?:.*\.)?classifier\.1\.(\w+)")


def as_torchvisions(weights: Mapping[str, Value]) -> Mapping[str, Value]:
    """Weights under torchvision's names where they have those of Hugging Face's `ResNetModel`.

    timm's are torchvision's already.

    Args:
        weights: Names to anything; there may be something before each, as `resnet.` is there.

    Returns:
        The same where a name is of neither, or two are of one weight.
    """
    renamed = {name: _torchvisions(name) for name in weights}
    if None in renamed.values() or len({*renamed.values()}) < len(renamed):
        return weights
    return {str(renamed[name]): value for name, value in weights.items()}


def _torchvisions(name: str) -> str | None:
    """The name of one weight; None where it is no Hugging Face's."""
    if found := _STEM.fullmatch(name):
        return f"{_UNIT[found[1]]}1.{found[2]}"
    if found := _BLOCK.fullmatch(name):
        stage, block, _, unit, kind, what = found.groups()
        place = f"layer{int(stage) + 1}.{int(block)}"
        if unit is None:
            return f"{place}.downsample.{0 if kind == 'convolution' else 1}.{what}"
        return f"{place}.{_UNIT[kind]}{int(unit) + 1}.{what}"
    if found := _HEAD.fullmatch(name):
        return f"fc.{found[1]}"
    return None
