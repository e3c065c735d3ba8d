"""How far do a frozen ResNet50's features get under a linear head?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from search_spaces.spaces import CLASSIFIER, INPUT_SIZE, L2, NORMALIZATION
from trainables.family import Family

if TYPE_CHECKING:
    from torch import nn


def network(config: Mapping[str, Any]) -> "nn.Module":
    """Torchvision's ResNet50 with a dense layer of its own, all weights random.

    Args:
        config: `num_classes`.
    """
    from torchvision.models import resnet50

    model: nn.Module = resnet50(weights=None, num_classes=config["num_classes"])
    return model


def build(config: Mapping[str, Any]) -> "nn.Module":
    """The network with pre-trained weights but for its head.

    Args:
        config: `weights` (torchvision's names to arrays; None leaves them random), `num_classes`.
    """
    from trainables.weights.loading import load_pretrained

    model = network(config)
    if config["weights"] is not None:
        load_pretrained(model, config["weights"], head="fc.")
    return model


def describe(config: Mapping[str, Any]) -> dict[str, str]:
    """What the network is made of, in words.

    Args:
        config: `num_classes`.
    """
    return {
        "stem": "ImageNet's: 7x7 convolution with stride 2, then 3x3 max-pooling with stride 2",
        "trained layers": "none but the head",
        "head": f"new: a linear layer, {config['num_classes']} classes",
    }


FAMILY = Family(
    name="frozen_features",
    build=build,
    search_space={
        "classifier": CLASSIFIER,
        "l2": L2,
        "input_size": INPUT_SIZE,
        "normalization": NORMALIZATION,
    },
    baseline={"classifier": "logistic", "l2": 1e-2, "input_size": 48, "normalization": "imagenet"},
    pretrained=True,
    trainer="trainables.training.frozen_features:FrozenFeaturesTrainer",
    describe=describe,
    standalone=(network,),
    in_all=False,
)
