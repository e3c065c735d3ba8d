"""How large a network is: its parameters, those that are trained, and operations per image."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from trainables.training.small_maps import convolutions_alone

T = TypeVar("T")


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up `flop_counter`'s formulas for the operators that run inside it.

    `FlopCounterMode` gives the same numbers, but imports the compiler first: 800 modules and
    several CPU seconds, which each final run's process would pay.
    """

    def __init__(self, formulas: Mapping[Any, Callable[..., int]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total, self._formulas = 0, formulas

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """What keeps torch from importing the compiler to shield this mode from it."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        given = kwargs or {}
        out = func(*args, **given)
        formula = self._formulas.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **given, out_val=out)
        return out


def without_memory(make: Callable[[], T]) -> T:
    """What makes a network, run without memory for its weights where that is possible."""
    try:
        with torch.device("meta"):
            return make()
    except Exception:  # noqa: BLE001 (it reads a value while it is made, or has one from elsewhere)
        return make()


def parameter_counts(model: nn.Module) -> tuple[int, int]:
    """How many parameters a network has, and how many of them are trained."""
    counts = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return sum(n for n, _ in counts), sum(n for n, trained in counts if trained)


@torch.no_grad()
def forward_flops(model: nn.Module, size: int, device: torch.device) -> int:
    """Floating point operations of one image's way forward, a multiplication and an addition as 2.

    Counted from shapes by the formulas of `torch.utils.flop_counter`: convolutions and matrix
    products, without biases, normalisation, activations, pooling, or the resizing before the
    network.

    Args:
        model: Left in evaluation mode.
        size: Edge in pixels of what the network is given.
        device: Where the network is.
    """
    from torch.utils.flop_counter import flop_registry  # a trial of the search never counts

    model.eval()
    image = torch.zeros(1, 3, size, size, device=device)
    with convolutions_alone(model), _Operations(flop_registry) as counted:
        model(image.to(memory_format=torch.channels_last))
    return int(counted.total)
