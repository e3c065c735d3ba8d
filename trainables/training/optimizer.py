"""The optimizer and the learning-rate schedule that a trial's hyperparameters name."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

SGD_MOMENTUM: Final = 0.9


class Optimizer:
    """Adam or AdamW with the values of Kingma and Ba 2015, or SGD with Nesterov momentum; fused.

    It calls the functions that torch's classes call. The classes import torch's compiler, which
    costs a process 1.7 CPU seconds and is of no use here.

    Attributes:
        groups: The parameters, those of the head apart.
        rates: The learning rate of each group, a tensor each: they keep their place in memory, and
            a step writes into them. float32 on CUDA, as the fused kernels want it.
        peaks: Their highest, which a schedule scales.
    """

    def __init__(self, model: nn.Module, params: Mapping[str, Any], *, head: str) -> None:
        """Makes the state of each parameter, so that all steps are alike.

        Args:
            model: Its frozen parameters are left out.
            params: `optimizer`, `learning_rate`, `weight_decay`, `head_learning_rate_multiplier`.
            head: Prefix of the parameters whose learning rate is multiplied.
        """
        rate = params["learning_rate"]
        trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        body = [parameter for name, parameter in trained if not name.startswith(head)]
        new = [parameter for name, parameter in trained if name.startswith(head)]
        multiplied = rate * params["head_learning_rate_multiplier"]
        groups = [(group, peak) for group, peak in ((body, rate), (new, multiplied)) if group]
        self.groups = [group for group, _ in groups]
        self.peaks = [float(peak) for _, peak in groups]
        device = self.groups[0][0].device
        kind = torch.float64 if device.type == "cpu" else torch.float32
        self.rates = [torch.zeros((), dtype=kind, device=device) for _ in self.peaks]
        self._kind, self._decay = params["optimizer"], params["weight_decay"]
        assert self._kind in {"adam", "adamw", "sgd"}, self._kind
        self._state: dict[Tensor, dict[str, Tensor]] = {
            p: self._zeros(p) for group in self.groups for p in group
        }

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for parameter in self._state:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Moves the parameters that have a gradient."""
        for group, rate in zip(self.groups, self.rates, strict=True):
            moved: list[Tensor] = [p for p in group if p.grad is not None]
            gradients = [p.grad for p in moved if p.grad is not None]
            move = self._sgd if self._kind == "sgd" else self._adam
            move(moved, gradients, rate)

    def _sgd(self, moved: list[Tensor], gradients: list[Tensor], rate: Tensor) -> None:
        sgd(
            moved,
            gradients,
            [self._state[p]["momentum_buffer"] for p in moved],
            fused=True,
            weight_decay=self._decay,
            momentum=SGD_MOMENTUM,
            lr=rate,
            dampening=0.0,
            nesterov=True,
            maximize=False,
        )

    def _adam(self, moved: list[Tensor], gradients: list[Tensor], rate: Tensor) -> None:
        adam(
            moved,
            gradients,
            [self._state[p]["exp_avg"] for p in moved],
            [self._state[p]["exp_avg_sq"] for p in moved],
            [],
            [self._state[p]["step"] for p in moved],
            fused=True,
            decoupled_weight_decay=self._kind == "adamw",
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=self._decay,
            eps=1e-8,
            maximize=False,
        )

    def tensors(self) -> list[Tensor]:
        """All that a step changes but for the parameters."""
        return [*self.rates, *(t for state in self._state.values() for t in state.values())]

    def state_dict(self) -> dict[str, Any]:
        """What a parameter's moves so far have left, by its number, as torch's classes have it."""
        return {"state": dict(enumerate(self._state.values()))}

    @torch.no_grad()
    def load_state_dict(self, loaded: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` or torch's classes gave, into the tensors that are here."""
        for number, own in enumerate(self._state.values()):
            for name, value in loaded["state"].get(number, {}).items():
                own[name].copy_(value)

    def _zeros(self, parameter: Tensor) -> dict[str, Tensor]:
        """What torch's first step starts from."""
        if self._kind == "sgd":
            return {"momentum_buffer": torch.zeros_like(parameter)}
        return {
            "step": torch.zeros((), device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }


def make_schedule(params: Mapping[str, Any], *, steps: int) -> Callable[[int], float]:
    """What the peak rates are multiplied by at an optimizer step, which is counted from 0.

    Args:
        params: `schedule` and `warmup_fraction`.
        steps: Optimizer steps in the whole training.
    """
    warmup: int = round(params["warmup_fraction"] * steps)
    cosine = params["schedule"] == "cosine"

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = (step - warmup) / max(1, steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * progress)) if cosine else 1.0

    return factor
