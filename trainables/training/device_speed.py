"""How fast a device trains, by a work that is the same everywhere."""

import functools
import time
from typing import Final

import torch
from torch.nn import functional
from torchvision.models import resnet18

from trainables.training.precision import autocast, set_arithmetic

BATCH: Final = 32
EDGE: Final = 64
SECONDS: Final = 2.0
"""Measured for so long, after two steps that are not."""


@functools.cache
def device_speed(device: str, precision: str, threads: int) -> float:
    """Training images per second: ResNet18, Adam, batch 32 of 64x64 pixels.

    Args:
        device: `cuda` or `cpu`.
        precision: As of the study.
        threads: CPU threads.
    """
    torch.set_num_threads(threads)
    where = torch.device(device)
    set_arithmetic(precision, where, reproducible=False)
    with torch.random.fork_rng(devices=[0] if device == "cuda" else []):
        model = resnet18(num_classes=10).to(where, memory_format=torch.channels_last)
        images = torch.rand(BATCH, 3, EDGE, EDGE, device=where)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(BATCH, dtype=torch.int64, device=where)
    optimizer = torch.optim.Adam(model.parameters(), foreach=True)

    def step() -> None:
        optimizer.zero_grad()
        with autocast(precision, where):
            loss = functional.cross_entropy(model(images), labels)
        torch.autograd.backward(loss)
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    step()
    step()
    steps, began = 0, time.monotonic()
    while time.monotonic() - began < SECONDS:
        step()
        steps += 1
    return steps * BATCH / (time.monotonic() - began)
