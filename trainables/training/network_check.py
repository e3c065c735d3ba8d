"""Tries a family's network on two images before a study starts: it may be anybody's."""

import importlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trainables.family import Family
from trainables.process_state import put_back


def check_network(family: Family, config: Mapping[str, Any]) -> None:
    """Builds a family's network and has it look at two images, on the CPU.

    What it changes of this process is put back. What only a GPU can do is left to the trials.

    Args:
        family: Its network is trained by a trainer of this project.
        config: What `build` takes.

    Raises:
        ValueError: It cannot be built, or does not say what the trainer needs.
    """
    with put_back([importlib.import_module(family.build.__module__)]), torch.no_grad():
        try:
            network = family.build(config)
        except (Exception, SystemExit) as error:
            raise ValueError(
                f"build of {family.name} must make its network, but {_reason(error)}"
            ) from error
        if not isinstance(network, nn.Module):
            raise ValueError(
                f"build of {family.name} must return a torch.nn.Module, but returned a "
                f"{type(network).__name__}"
            )
        _check_answer(family.name, network, config)


def check_logits(logits: object, images: int, num_classes: int) -> None:
    """Checks what a network says of a batch.

    Raises:
        ValueError: It is no logits of the classes.
    """
    shape = [images, num_classes]
    if isinstance(logits, Tensor) and list(logits.shape) == shape:
        return
    found = list(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
    raise ValueError(
        f"the network must return logits {shape}, images by classes, but returned {found}"
    )


def _check_answer(name: str, network: nn.Module, config: Mapping[str, Any]) -> None:
    size = config["input_size"]
    try:
        logits = network.eval()(torch.zeros(2, 3, size, size))
    except (Exception, SystemExit) as error:
        reason = _reason(error)
        if "cuda" in reason.lower():
            return
        raise ValueError(
            f"the network of {name} must take float32 images [2, 3, {size}, {size}], but {reason}"
        ) from error
    try:
        check_logits(logits, 2, config["num_classes"])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _reason(error: BaseException) -> str:
    """What was raised, in a line."""
    text = " ".join(str(error).split())[:200]
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"
