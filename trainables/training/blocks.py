"""The blocks of layers that a network consists of, from the input up, by its parameters' names."""

from collections.abc import Iterable

from torch import nn


def blocks(named: Iterable[tuple[str, nn.Parameter]]) -> dict[str, int]:
    """Name of a parameter to the number of its block, from 0 at the input.

    A block is what has one name up to the first number: `layer1` of ResNet, `features.3` of
    EfficientNet, `blocks.0` of a vision transformer. What has no number (a class token), or vectors
    alone (a norm), belongs to the block before it.

    Args:
        named: Parameters in the order in which the network has them.
    """
    pairs = list(named)
    weighty = {_numbered(name) for name, parameter in pairs if parameter.ndim > 1} - {""}
    numbers = {} if pairs and _numbered(pairs[0][0]) in weighty else {"": 0}
    placed, last = {}, 0
    for name, _ in pairs:
        block = _numbered(name)
        if block in weighty:
            last = numbers.setdefault(block, len(numbers))
        placed[name] = last
    return placed


def _numbered(name: str) -> str:
    """A name up to its first part that ends in a digit; empty where none does."""
    parts = name.split(".")[:-1]
    ends = (end for end, part in enumerate(parts, 1) if part[-1].isdigit())
    return ".".join(parts[: next(ends, 0)])
