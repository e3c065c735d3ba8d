"""How fast is a training step? Images per CPU second, beside a plain loop and any other script.

    python benchmarks/steps.py [--family cnn] [--precision fp32] [--repeats 5] [--against CMD ...]
    python benchmarks/steps.py --device cuda --steps 200 [--family cnn] [--precision tf32]
    python benchmarks/steps.py --operators [--family cnn]

Each arm is a process of its own with one thread, and the arms take turns, so that a machine that is
busy slows all of them: read the ratios. An arm trains on images of CIFAR-10's shape with the
family's baseline and counts the CPU seconds of `--steps` steps after `--warm-up` ones, its imports
and start left out; on a GPU the seconds, which end when the device is done. `plain` is what a user
writes first: a Dataset, PIL, ToTensor and a DataLoader (with two workers for a GPU), torch's own
layout and Adam, and a read of the loss at each step. A script after `--against` must print
`"images_per_cpu_s": NUMBER` in its last lines, or `images_per_s` on a GPU; it is split as a shell
would. `--operators` counts the operators of a step that compute, each at least a kernel of a GPU,
which is asked for the same ones.
"""

import argparse
import importlib.metadata
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np

from trainables import hardware

BATCH = 64
IMAGES = 4096
CLASSES = 10
ANSWER = re.compile(r'"images_per_(?:cpu_)?s": ([0-9.]+)')
UNITS = {"cpu": "CPU second", "cuda": "second"}
VIEWS = {"as_strided", "detach", "expand", "permute", "select", "slice", "squeeze", "t", "unbind"}
VIEWS |= {"_unsafe_view", "alias", "empty", "empty_like", "transpose", "unsqueeze", "view"}


def main() -> None:
    """Runs the arms in turn and prints what they gave."""
    options = _options()
    if options.operators:
        print(f"{_operators(options)} operators that compute in a step of {options.family}")
        return
    if options.arm is not None:
        rate = {"project": _project, "plain": _plain}[options.arm](options)
        name = {"cpu": "images_per_cpu_s", "cuda": "images_per_s"}[options.device]
        print(json.dumps({name: round(rate, 1)}))
        return
    own = [sys.executable, __file__, *sys.argv[1:]]
    arms = {name: [*own, "--arm", name] for name in ("project", "plain")}
    arms |= {command: shlex.split(command) for command in options.against}
    rates: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(options.repeats):
        for name, command in arms.items():
            rates[name].append(_rate(command))
        print(f"turn {turn + 1}: {[found[-1] for found in rates.values()]}", flush=True)
    for name, found in rates.items():
        ratios = [ours / other for ours, other in zip(rates["project"], found, strict=True)]
        unit = UNITS[options.device]
        print(f"{name}: {said(found, 1)} images per {unit}; project is {said(ratios, 2)} of it")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("torch", "torchvision")]
    where = f"{hardware.here()}; load {os.getloadavg()[0]:.1f} at the end"
    precision = options.precision or hardware.PRECISIONS[options.device][0]
    print(f"{options.family}, {precision}, n = {options.repeats}; {versions}; {where}")


def said(values: list[float], digits: int) -> str:
    """Median, smallest and largest."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _rate(command: list[str]) -> float:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = ANSWER.findall(done.stdout)
    if done.returncode or not found:
        sys.exit(f"{shlex.join(command)} gave no rate:\n{done.stdout}{done.stderr}")
    return float(found[-1])


def _project(options: argparse.Namespace) -> float:
    trainer = _trainer(options)
    trainer.begin_epoch()
    trainer.advance(options.warm_up)
    began = _now(options.device)
    trainer.advance(options.steps)
    return BATCH * options.steps / (_now(options.device) - began)


def _trainer(options: argparse.Namespace) -> Any:
    from trainables.data.dataset import LabeledImages
    from trainables.registry import load_family
    from trainables.training.trainer import Trainer

    family = load_family(options.family)
    images, labels = _made_up()
    return Trainer(
        family,
        family.baseline,
        LabeledImages(images=images, labels=labels),
        train=np.resize(np.arange(IMAGES), BATCH * (options.warm_up + options.steps)),
        validation=np.arange(BATCH),
        num_classes=CLASSES,
        weights=None,
        seed=0,
        epochs=50,
        device=options.device,
        threads=1,
        precision=options.precision,
    )


def _operators(options: argparse.Namespace) -> int:
    from torch.utils._python_dispatch import TorchDispatchMode

    from trainables.training import trainer as training

    computing: list[str] = []

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            del types
            if func.overloadpacket.__name__ not in VIEWS:
                computing.append(func.overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    training.use_products = lambda _: None  # which a CPU alone computes some convolutions by
    trainer = _trainer(options)
    trainer.begin_epoch()
    trainer.advance(1)
    with Counting():
        trainer.advance(1)
    return len(computing)


def _now(device: str) -> float:
    """CPU seconds; on a GPU seconds, once it has done what it was asked."""
    if device == "cpu":
        return time.process_time()
    import torch

    torch.cuda.synchronize()
    return time.monotonic()


def _plain(options: argparse.Namespace) -> float:
    import torch
    from PIL import Image
    from torch import nn
    from torch.utils.data import DataLoader, Dataset
    from torchvision.transforms import ToTensor

    from trainables.registry import load_family

    images, labels = _made_up()
    to_tensor = ToTensor()

    class Images(Dataset[Any]):
        def __len__(self) -> int:
            return BATCH * (options.warm_up + options.steps)

        def __getitem__(self, index: int) -> tuple[Any, int]:
            image = Image.fromarray(images[index % IMAGES])
            return to_tensor(image), int(labels[index % IMAGES])

    torch.manual_seed(0)
    torch.set_num_threads(1)
    family = load_family(options.family)
    config = {**family.baseline, "input_size": 32, "num_classes": CLASSES, "weights": None}
    model = family.build(config).train().to(options.device)
    optimizer, criterion = torch.optim.Adam(model.parameters(), lr=1e-4), nn.CrossEntropyLoss()
    began, seen, loss_sum = 0.0, 0, 0.0
    workers = {"cpu": 0, "cuda": 2}[options.device]
    loader = DataLoader(Images(), batch_size=BATCH, shuffle=True, num_workers=workers)
    for step, (batch, truth) in enumerate(loader):
        if step == options.warm_up:
            began, seen = _now(options.device), 0
        optimizer.zero_grad()
        loss = criterion(model(batch.to(options.device)), truth.to(options.device))
        loss.backward()
        optimizer.step()
        loss_sum += loss.item()
        seen += len(truth)
    return seen / (_now(options.device) - began)


def _made_up() -> tuple[Any, Any]:
    """Images of CIFAR-10's shape, uint8 [n, 32, 32, 3], and labels."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES, 32, 32, 3), dtype=np.uint8)
    return images, random.integers(0, CLASSES, IMAGES)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", default="cnn")
    parser.add_argument("--device", default="cpu", choices=list(UNITS))
    parser.add_argument("--precision", help="the project's; None: what PyTorch has by itself")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warm-up", type=int, default=8)
    parser.add_argument("--against", action="append", default=[], metavar="CMD")
    parser.add_argument("--operators", action="store_true", help="count them, on a CPU")
    parser.add_argument("--arm", choices=["project", "plain"], help="one arm alone, here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
