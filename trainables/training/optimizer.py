"""The optimizer and the learning-rate schedule that a trial's hyperparameters name."""

import math
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

SGD_MOMENTUM = 0.9


def make_optimizer(model: nn.Module, params: Mapping[str, Any], *, head: str) -> Optimizer:
    """A fused optimizer over the parameters that are trained.

    Args:
        model: Its frozen parameters are left out.
        params: `optimizer`, `learning_rate`, `weight_decay`, `head_learning_rate_multiplier`.
        head: Prefix of the parameters whose learning rate is multiplied.
    """
    rate = params["learning_rate"]
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    body = [parameter for name, parameter in trained if not name.startswith(head)]
    new = [parameter for name, parameter in trained if name.startswith(head)]
    groups = [
        {"params": body, "lr": rate},
        {"params": new, "lr": rate * params["head_learning_rate_multiplier"]},
    ]
    groups = [group for group in groups if group["params"]]
    decay = params["weight_decay"]
    if params["optimizer"] == "adam":
        return Adam(groups, weight_decay=decay, fused=True)
    if params["optimizer"] == "adamw":
        return AdamW(groups, weight_decay=decay, fused=True)
    assert params["optimizer"] == "sgd", params["optimizer"]
    return SGD(
        groups, lr=rate, momentum=SGD_MOMENTUM, nesterov=True, weight_decay=decay, fused=True
    )


def make_schedule(optimizer: Optimizer, params: Mapping[str, Any], *, steps: int) -> LambdaLR:
    """A schedule that is stepped after each optimizer step.

    Args:
        optimizer: Its learning rates are the peak rates.
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

    return LambdaLR(optimizer, factor)
