"""What does ResNet50 reach from random weights, without any transfer?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from search_spaces.baseline import BASELINE
from search_spaces.spaces import STEM, from_scratch
from trainables.family import Family

if TYPE_CHECKING:
    from torch import nn


def build(config: Mapping[str, Any]) -> "nn.Module":
    """Torchvision's ResNet50 with random weights.

    Args:
        config: `stem` (`small`: 3x3 stride 1 and no max-pooling, as He et al. 2016 used on
            CIFAR-10), `dropout`, `num_classes`.
    """
    from torch import nn
    from torchvision.models import resnet50

    model: nn.Module = resnet50(weights=None)
    if config["stem"] == "small":
        model.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
        nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
        model.maxpool = nn.Identity()
    model.fc = nn.Sequential(
        nn.Dropout(config["dropout"]),
        nn.Linear(2048, config["num_classes"]),
    )
    return model


FAMILY = Family(
    name="resnet50_scratch",
    build=build,
    search_space={**from_scratch(), "stem": STEM},
    baseline={**BASELINE, "stem": "imagenet"},
    standalone=(build,),
)
