"""What does ResNet50 reach when it is fine-tuned from ImageNet weights?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from search_spaces.baseline import BASELINE
from search_spaces.spaces import fine_tuning
from trainables.family import Family

if TYPE_CHECKING:
    from torch import nn


def network(config: Mapping[str, Any]) -> "nn.Module":
    """Torchvision's ResNet50 with a dense head, all weights random.

    Args:
        config: `dropout`, `num_classes`.
    """
    from torch import nn
    from torchvision.models import resnet50

    dense_units = 256
    model: nn.Module = resnet50(weights=None)
    model.fc = nn.Sequential(
        nn.Linear(2048, dense_units),
        nn.ReLU(inplace=True),
        nn.Dropout(config["dropout"]),
        nn.Linear(dense_units, config["num_classes"]),
    )
    return model


def build(config: Mapping[str, Any]) -> "nn.Module":
    """The network with pre-trained weights but for its head, which is new.

    Args:
        config: `weights` (torchvision's names to arrays), `frozen_stages` (k: the stem and the
            first k of the four stages keep their weights), `dropout`, `num_classes`.
    """
    from trainables.weights.loading import load_pretrained

    model = network(config)
    load_pretrained(model, config["weights"], head="fc.")
    stages = [(model.conv1, model.bn1), model.layer1, model.layer2, model.layer3, model.layer4]
    frozen = config["frozen_stages"]
    for stage in stages[: frozen + 1 if frozen else 0]:
        for module in stage if isinstance(stage, tuple) else (stage,):
            module.requires_grad_(False)
    return model


def describe(config: Mapping[str, Any]) -> dict[str, str]:
    """What the network is made of, in words.

    Args:
        config: `frozen_stages`, `dropout`, `num_classes`.
    """
    frozen = config["frozen_stages"]
    trained = "all"
    if frozen:
        kept = "the stem and stage 1" if frozen == 1 else f"the stem and stages 1 to {frozen}"
        trained = f"all but {kept} of 4, whose batch norm statistics are kept too"
    return {
        "stem": "ImageNet's: 7x7 convolution with stride 2, then 3x3 max-pooling with stride 2",
        "trained layers": trained,
        "head": (
            f"new: 256 units, ReLU, dropout {config['dropout']:g}, {config['num_classes']} classes"
        ),
    }


FAMILY = Family(
    name="resnet50_transfer",
    build=build,
    search_space=fine_tuning(),
    baseline={
        **BASELINE,
        "dropout": 0.5,
        "input_size": 48,
        "frozen_stages": 0,
        "head_learning_rate_multiplier": 1.0,
        "normalization": "zero_one",
        "layer_decay": 1.0,
    },
    pretrained=True,
    describe=describe,
    standalone=(network,),
)
