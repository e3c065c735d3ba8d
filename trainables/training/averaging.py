"""The average of a network's weights over its steps, which is evaluated and kept in their place."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call


class WeightAverage:
    """An exponential moving average of what training changes, batch norm's statistics included.

    As a teacher in Tarvainen and Valpola 2017. While few steps are done it forgets faster, with the
    decay (1 + step) / (10 + step) of TensorFlow's `ExponentialMovingAverage`: it is then over the
    last ninth of them, whatever their number.

    Attributes:
        tensors: The average, by the names of the network; they keep their place in memory.
        share: How much of it is the newest, shape []; a step reads this tensor.
    """

    def __init__(self, model: nn.Module, decay: float, *, like: Tensor) -> None:
        """Begins with the weights that the network has.

        Args:
            model: What is frozen in it is left out.
            decay: The highest.
            like: Of its kind and on its device `share` is.
        """
        self._model, self._decay = model, decay
        frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
        state = model.state_dict()  # shares the memory of the network
        self._newest = {name: each for name, each in state.items() if name not in frozen}
        self.tensors = {name: each.clone() for name, each in self._newest.items()}
        self.share = torch.zeros_like(like)

    def shares(self, steps: Iterable[int]) -> Tensor:
        """How much is the newest after each of these steps, which are counted from 0; float64."""
        kept = [min(self._decay, (1 + step) / (10 + step)) for step in steps]
        return 1 - torch.tensor(kept, dtype=torch.float64)

    @torch.no_grad()
    def update(self) -> None:
        """Takes in the weights as a step has left them."""
        for name, average in self.tensors.items():
            if average.is_floating_point():
                average.lerp_(self._newest[name], self.share)
            else:
                average.copy_(self._newest[name])

    def __call__(self, images: Tensor) -> Tensor:
        """What the network says with these weights."""
        logits: Tensor = functional_call(self._model, self.tensors, (images,))
        return logits

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over tensors by name, more than its own too."""
        for name, average in self.tensors.items():
            average.copy_(tensors[name])
