"""The layer that a network's classes come from, in networks whose makers agree on nothing else."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional


def last_layer(model: nn.Module, num_classes: int) -> str:
    """The name of the last layer with a row of weights for each class.

    Raises:
        ValueError: There is none.
    """
    for name, module in reversed(list(model.named_modules())):
        if isinstance(module, nn.Linear | nn.Conv2d) and module.weight.shape[0] == num_classes:
            return str(name)
    raise ValueError(f"a network must end in a layer with {num_classes} outputs, but this has none")


def head_of(head: str, model: nn.Module, num_classes: int) -> str:
    """The prefix of the names of a network's new parameters; see `Family.head`."""
    return head or f"{last_layer(model, num_classes)}."


def set_dropout(model: nn.Module, layer: str, dropout: float) -> None:
    """Features before a layer are zeroed in training with that probability.

    By the dropout layers that stand beside it, or else by what comes before its `forward`.
    """
    head = model.get_submodule(layer)
    beside = model.get_submodule(layer.rpartition(".")[0]).children()
    own = [module for module in beside if isinstance(module, nn.Dropout)]
    for module in own:
        module.p = dropout
    if not own:

        def drop(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor, ...]:
            return (functional.dropout(inputs[0], dropout, training=module.training), *inputs[1:])

        head.register_forward_pre_hook(drop)
