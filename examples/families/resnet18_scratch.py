"""Is a ResNet18 enough, when it too starts from random weights?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from search_spaces.baseline import BASELINE
from search_spaces.spaces import from_scratch
from trainables.family import Family

if TYPE_CHECKING:
    from torch import nn


def build(config: Mapping[str, Any]) -> "nn.Module":
    """Torchvision's ResNet18 with random weights and the ImageNet stem."""
    from torch import nn
    from torchvision.models import resnet18

    model: nn.Module = resnet18(weights=None)
    model.fc = nn.Sequential(nn.Dropout(config["dropout"]), nn.Linear(512, config["num_classes"]))
    return model


FAMILY = Family(
    name="resnet18_scratch",
    build=build,
    search_space=from_scratch(),
    baseline=BASELINE,
    standalone=(build,),
)
