"""The names that others give a network's weights, as the network has them."""

import re
from collections.abc import Collection, Mapping
from typing import Final, TypeVar

Value = TypeVar("Value")

SHOWN: Final = 3

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


def without_prefix(weights: Mapping[str, Value], own: Collection[str]) -> Mapping[str, Value]:
    """The weights under the network's names, where they stand behind one prefix.

    Raises:
        ValueError: They stand behind several, so that which network is meant cannot be told.
    """
    first = next(iter(own), "")
    found = [name.removesuffix(first) for name in weights if f".{name}".endswith(f".{first}")]
    hits = {prefix: sum(prefix + name in weights for name in own) for prefix in found}
    most = max(hits.values(), default=0)
    best = sorted(prefix for prefix in hits if hits[prefix] == most)
    if not best or 2 * most < len(own) or "" in best:
        return weights
    if len(best) > 1:
        raise ValueError(
            f"weights must be of one network, but stand behind {', '.join(best[:SHOWN])}"
        )
    (prefix,) = best
    return {
        name.removeprefix(prefix): array
        for name, array in weights.items()
        if name.startswith(prefix)
    }


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
