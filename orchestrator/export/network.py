"""The network of a winner, with the weights that its study has kept."""

from typing import TYPE_CHECKING

import safetensors.numpy
import safetensors.torch

if TYPE_CHECKING:
    from torch import nn

    from orchestrator.export.winners import Winner


def network_of(winner: "Winner") -> "nn.Module":
    """With its weights, on the CPU, as it leaves its training mode.

    Raises:
        ValueError: It is none of PyTorch's, or the weights are of another.
    """
    family, config = winner.family, winner.config
    if not family.has_network:
        raise ValueError(
            f"{family.name} is trained, and so used, by its own {family.trainer} alone"
        )
    sizes = {"input_size": config["input_size"], "num_classes": len(config["classes"])}
    try:
        # A family that starts from weights need not know how to do without.
        weights = safetensors.numpy.load(winner.weights) if family.pretrained else None
        network = family.build({**config["params"], **sizes, "weights": weights})
        network.load_state_dict(safetensors.torch.load(winner.weights))
    except (RuntimeError, ValueError, LookupError, TypeError, safetensors.SafetensorError) as error:
        raise ValueError(
            f"the weights kept must be of {family.name} as chosen, but are not: {error}"
        ) from error
    return network.eval()
