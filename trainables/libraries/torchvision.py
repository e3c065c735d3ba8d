"""Any classifier of torchvision by its name: `torchvision/efficientnet_b0`."""

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from search_spaces.spaces import NORMALIZATION
from trainables import library_family

if TYPE_CHECKING:
    from torch import nn

    from trainables.weights.loading import Weights, WeightsFile


def network(config: Mapping[str, Any]) -> "nn.Module":
    """One of torchvision's networks, all weights random.

    Args:
        config: `architecture`, `num_classes`, `input_size`, `normalization`.
    """
    from torchvision import models

    name, size = config["architecture"], config["input_size"]
    more = {}
    if name.startswith("vit_"):
        more = {"image_size": size}
    elif name.startswith("maxvit_"):
        more = {"input_size": (size, size)}
    elif name in ("googlenet", "inception_v3"):
        # Their weights are of images in [-1, 1]: made of ImageNet's normalisation in the network.
        shifted = config["normalization"] == "imagenet"
        more = {"aux_logits": False, "init_weights": True, "transform_input": shifted}
    model: nn.Module = models.get_model(
        name, weights=None, num_classes=config["num_classes"], **more
    )
    return model


def fitted(weights: "Weights", model: "nn.Module") -> "Weights":
    """Weights without what hangs beside the network, a ViT's positions for its input size."""
    kept = {name: each for name, each in weights.items() if not _beside(name)}
    position = "encoder.pos_embedding"
    if position not in kept or not hasattr(model, "image_size"):
        return kept
    if kept[position].shape == tuple(model.state_dict()[position].shape):
        return kept
    import torch
    from torchvision.models.vision_transformer import interpolate_embeddings

    given = {position: torch.from_numpy(kept[position])}
    moved = interpolate_embeddings(model.image_size, model.patch_size, given)[position]
    return {**kept, position: moved.numpy()}


def _beside(name: str) -> bool:
    """Whether a weight is of an auxiliary classifier, which only a training from scratch has."""
    return name.startswith(("aux1.", "aux2.", "AuxLogits."))


def own_weights(architecture: str) -> "WeightsFile":
    """Torchvision's newest weights of a model, downloaded once.

    Raises:
        ValueError: It has none, nobody answers, or the file is another.
    """
    from torchvision import models

    from trainables.weights.loading import fetch
    from trainables.weights.sources import TORCHVISION_LICENCE

    found = models.get_model_weights(architecture).DEFAULT
    return fetch(
        found.url,
        name=f"{architecture} {found.name}",
        words={
            "origin": f"torchvision's {found}, {found.url}",
            "source": "ImageNet-1K",
            "licence": TORCHVISION_LICENCE,
        },
    )


def check_exists(architecture: str) -> None:
    """Rejects a name that torchvision has no classifier by.

    Raises:
        ValueError: With names that are like it.
    """
    from torchvision import models

    library_family.check_name("torchvision", architecture, models.list_models(module=models))


MODEL: Final = functools.partial(
    library_family.LibraryModel,
    library="torchvision",
    network=network,
    normalization=NORMALIZATION,
    usual="imagenet",
    fitted=fitted,
    own_weights=own_weights,
    check_exists=check_exists,
)
