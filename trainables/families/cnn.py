"""How far does a small convolutional network get from scratch?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optuna.distributions import CategoricalDistribution

from search_spaces.baseline import BASELINE
from search_spaces.dimension import Dimension
from search_spaces.spaces import from_scratch
from trainables.family import Family

if TYPE_CHECKING:
    from torch import nn


def build(config: Mapping[str, Any]) -> "nn.Module":
    """Three blocks of two 3x3 convolutions each, filters doubling, then two dense layers.

    A convolution before batch norm has no bias: its gradient is zero, and Adam would turn its
    rounding noise into steps.

    Args:
        config: `width` (filters of the first block), `dense_units`, `dropout`, `input_size`
            (pixels, at least 8), `num_classes`.
    """
    from torch import nn

    layers: list[nn.Module] = []
    channels, size = 3, config["input_size"]
    for filters in (config["width"], 2 * config["width"], 4 * config["width"]):
        layers += [*_convolution(channels, filters), *_convolution(filters, filters)]
        layers.append(nn.MaxPool2d(2))
        channels, size = filters, size // 2
    return nn.Sequential(
        *layers,
        nn.Flatten(),  # [batch, channels * size * size]
        nn.Linear(channels * size * size, config["dense_units"]),
        nn.ReLU(inplace=True),
        nn.Dropout(config["dropout"]),
        nn.Linear(config["dense_units"], config["num_classes"]),
    )


def _convolution(channels: int, filters: int) -> "list[nn.Module]":
    from torch import nn

    return [
        nn.Conv2d(channels, filters, 3, padding=1, bias=False),
        nn.BatchNorm2d(filters),
        nn.ReLU(inplace=True),
    ]


FAMILY = Family(
    name="cnn",
    build=build,
    search_space={
        **from_scratch(),
        "width": Dimension(
            values=CategoricalDistribution((16, 32, 64)),
            meaning="filters of the first block; they double twice",
        ),
        "dense_units": Dimension(
            values=CategoricalDistribution((128, 256, 512)),
            meaning="units of the dense layer before the last",
        ),
    },
    baseline={**BASELINE, "dropout": 0.5, "width": 32, "dense_units": 256},
    standalone=(_convolution, build),
)
