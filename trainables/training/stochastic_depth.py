"""Stochastic depth of networks whose makers agree on nothing else."""

from typing import Final

from torch import nn

RATES: Final = {"StochasticDepth": "p", "DropPath": "drop_prob"}
"""Class of a layer, torchvision's and timm's, to its attribute with the probability."""


def set_stochastic_depth(model: nn.Module, rate: float) -> None:
    """Residual blocks are passed by in training: the last with that probability, others less.

    How much less is as the network was made, in its makers' proportions.

    Raises:
        ValueError: It has no such layers.
    """
    layers = [each for each in model.modules() if type(each).__name__ in RATES]
    made = [getattr(each, RATES[type(each).__name__]) for each in layers]
    if not any(made):
        raise ValueError(
            "stochastic_depth must be of a network that has such layers, but this has none"
        )
    for layer, own in zip(layers, made, strict=True):
        setattr(layer, RATES[type(layer).__name__], rate * own / max(made))
