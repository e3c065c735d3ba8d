"""In which precision a process computes, and whether by deterministic algorithms alone."""

import contextlib
import os
from typing import Any

import torch

from trainables import hardware


def set_arithmetic(precision: str, device: torch.device, *, reproducible: bool) -> None:
    """Sets how this process computes, whatever it computed before.

    `tf32` is what PyTorch does by itself on a GPU: convolutions in TF32, matrix products in
    float32. `fp32` does without TF32; `bf16` is for `autocast`.

    Args:
        precision: One of `hardware.PRECISIONS` of the device.
        device: Where it computes.
        reproducible: Operators that have no deterministic algorithm raise a `RuntimeError` that
            names them.

    Raises:
        ValueError: The device has no such precision.
    """
    error = hardware.precision_error(precision, device.type, hardware.here())
    if error:
        raise ValueError(error)
    backends: Any = torch.backends
    for own in (backends.cudnn.conv, backends.cudnn.rnn):
        own.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    for others in (backends.cuda.matmul, backends.mkldnn.conv, backends.mkldnn.matmul):
        others.fp32_precision = "ieee"
    backends.cudnn.benchmark = False
    backends.cudnn.deterministic = reproducible
    torch.set_deterministic_debug_mode("error" if reproducible else "default")
    if reproducible:
        debugging: Any = torch.utils.deterministic
        # Nothing here reads memory before it is written.
        debugging.fill_uninitialized_memory = False
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Has a network's convolutions and products computed in bfloat16 inside, for `bf16`.

    Weights, batch norm's statistics, the loss and the optimizer stay float32.
    """
    if precision != "bf16":
        return contextlib.nullcontext()
    # Casts of weights are not kept: a graph would go on with those of the step it was captured in.
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)
