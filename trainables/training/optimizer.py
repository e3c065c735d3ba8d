"""The optimizer and the learning-rate schedule that a trial's hyperparameters name."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from search_spaces.spaces import INSTEAD
from trainables.training.blocks import blocks

SGD_MOMENTUM: Final = 0.9


@dataclass(kw_only=True)
class Group:
    """Parameters that a step treats alike.

    Attributes:
        peak: Their highest learning rate.
        decay: Their weight decay.
        is_body: They are not the head's, which may train alone at first.
        parameters: In the order of the network.
    """

    peak: float
    decay: float
    is_body: bool
    parameters: list[nn.Parameter] = field(default_factory=list)


class Optimizer:
    """Adam or AdamW with the values of Kingma and Ba 2015, or SGD with Nesterov momentum; fused.

    It calls the functions that torch's classes call. The classes import torch's compiler, which
    costs a process 1.7 CPU seconds and is of no use here.

    Attributes:
        groups: The parameters, the body's highest block first, the head's last.
        rates: The learning rate of each group, a tensor each: they keep their place in memory, and
            a step writes into them. float32 on CUDA, as the fused kernels want it.
    """

    def __init__(self, model: nn.Module, params: Mapping[str, Any], *, head: str) -> None:
        """Makes the state of each parameter, so that all steps are alike.

        Args:
            model: Its frozen parameters are left out.
            params: `optimizer` and all that a group is made of; see `grouped`.
            head: Prefix of the names of the head's parameters.
        """
        self._kind = params["optimizer"]
        assert self._kind in {"adam", "adamw", "sgd"}, self._kind
        self.groups = grouped(model, params, head=head)
        device = self.groups[0].parameters[0].device
        kind = torch.float64 if device.type == "cpu" else torch.float32
        self.rates = [torch.zeros((), dtype=kind, device=device) for _ in self.groups]
        self._state: dict[Tensor, dict[str, Tensor]] = {
            p: self._zeros(p) for group in self.groups for p in group.parameters
        }

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for parameter in self._state:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Moves the parameters that have a gradient."""
        for group, rate in zip(self.groups, self.rates, strict=True):
            moved: list[Tensor] = [p for p in group.parameters if p.grad is not None]
            gradients = [p.grad for p in moved if p.grad is not None]
            move = self._sgd if self._kind == "sgd" else self._adam
            move(moved, gradients, rate, group.decay)

    def _sgd(
        self, moved: list[Tensor], gradients: list[Tensor], rate: Tensor, decay: float
    ) -> None:
        sgd(
            moved,
            gradients,
            [self._state[p]["momentum_buffer"] for p in moved],
            fused=True,
            weight_decay=decay,
            momentum=SGD_MOMENTUM,
            lr=rate,
            dampening=0.0,
            nesterov=True,
            maximize=False,
        )

    def _adam(
        self, moved: list[Tensor], gradients: list[Tensor], rate: Tensor, decay: float
    ) -> None:
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
            weight_decay=decay,
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


def grouped(model: nn.Module, params: Mapping[str, Any], *, head: str) -> list[Group]:
    """The trained parameters of a network, those together that a step treats alike.

    Args:
        model: Its frozen parameters are left out.
        params: `optimizer`; `learning_rate` and `weight_decay`, or what it has instead;
            `head_learning_rate_multiplier`; `layer_decay`, by which a block's rate is lower than
            that of the one above, the head being the highest; `weight_decay_on`.
        head: Prefix of the names of the head's parameters.
    """
    own = {
        shared: params[name]
        for name, (optimizer, shared) in INSTEAD.items()
        if params["optimizer"] == optimizer and params[name] is not None
    }
    rate, decay = ({**params, **own}[name] for name in ("learning_rate", "weight_decay"))
    named = list(model.named_parameters())
    factors = _factors((each for each in named if not each[0].startswith(head)), params)
    factors |= dict.fromkeys(
        (name for name, _ in named if name.startswith(head)),
        params["head_learning_rate_multiplier"],
    )
    groups: dict[tuple[float, float, bool], Group] = {}
    for name, parameter in sorted(named, key=lambda each: each[0].startswith(head)):
        if parameter.requires_grad:
            spared = params["weight_decay_on"] == "weights" and parameter.ndim == 1
            key = rate * factors[name], 0.0 if spared else decay, not name.startswith(head)
            group = groups.setdefault(key, Group(peak=key[0], decay=key[1], is_body=key[2]))
            group.parameters.append(parameter)
    return sorted(groups.values(), key=lambda group: (not group.is_body, -group.peak))


def _factors(
    body: Iterable[tuple[str, nn.Parameter]], params: Mapping[str, Any]
) -> dict[str, float]:
    """Name of each of the body's parameters to what its learning rate is multiplied by."""
    placed = blocks(body)
    top = max(placed.values(), default=0) + 1
    return {name: params["layer_decay"] ** (top - block) for name, block in placed.items()}


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
