"""What does it cost to feed images in parts? An epoch so, beside one with all images in place.

    python benchmarks/feeding.py [--family cnn] [--images 8192] [--parts 8] [--pairs 5]

Both trainers live in one process with one thread, train on random images of CIFAR-10's shape with
the family's baseline, and take turns, so that a machine that is busy slows both: read the ratios,
of CPU seconds and of seconds. On a CPU nothing is gained by it: it shows what the thread that
gathers, the copy and the book-keeping take. How many images are fed in a CPU second where nothing
is trained is printed for 32 and for 224 pixels.
"""

import argparse
import importlib.metadata
import os
import statistics
import time
from collections.abc import Sequence

import numpy as np
import torch

from trainables import hardware
from trainables.data.dataset import LabeledImages
from trainables.registry import load_family
from trainables.training.feed import Feed
from trainables.training.trainer import Trainer

CLASSES = 10
BATCH = 64
SHAPE = (32, 32, 3)


def main() -> None:
    """Runs the pairs and prints what they took."""
    options = _options()
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (options.images, *SHAPE), dtype=np.uint8)
    data = LabeledImages(images=images, labels=random.integers(0, CLASSES, options.images))
    limits = {"in place": None, "fed": 2 * images.nbytes // options.parts}
    trainers = {name: trainer_of(options.family, data, limit) for name, limit in limits.items()}
    for trainer in trainers.values():
        trainer.begin_epoch()
        trainer.advance(8)  # warm
    ratios: list[tuple[float, float]] = []
    for pair in range(options.pairs):
        order = list(trainers)[:: -1 if pair % 2 else 1]
        took = {name: _epoch(trainers[name]) for name in order}
        cpu, wall = (fed / own for fed, own in zip(took["fed"], took["in place"], strict=True))
        ratios.append((cpu, wall))
        print(f"pair {pair + 1}: {cpu:.3f} of the CPU seconds, {wall:.3f} of the seconds: {took}")
    for name, values in zip(("CPU seconds", "seconds"), zip(*ratios, strict=True), strict=True):
        print(f"fed / in place, {name} of an epoch: {_said(values, 3)}")
    for edge, number in ((32, 100_000), (224, 2_000)):
        rates = [_alone(edge, number) for _ in range(options.pairs)]
        print(f"fed alone, {edge} px, images a CPU second: {_said(rates, 0)}")
    print(
        f"{options.family}, {options.images:,} images in {options.parts} parts, n = "
        f"{options.pairs}; torch {importlib.metadata.version('torch')}; {hardware.here()}; load "
        f"{os.getloadavg()[0]:.1f} at the end"
    )


def trainer_of(family_name: str, data: LabeledImages, image_memory: int | None) -> Trainer:
    """A trainer of the family's baseline; an eighth of the images validates."""
    family, held = load_family(family_name), len(data) // 8
    return Trainer(
        family,
        {**family.baseline, "batch_size": BATCH},
        data,
        train=np.arange(held, len(data)),
        validation=np.arange(held),
        num_classes=CLASSES,
        weights=None,
        seed=0,
        epochs=50,
        device="cpu",
        threads=1,
        image_memory=image_memory,
    )


def _epoch(trainer: Trainer) -> tuple[float, float]:
    """CPU seconds and seconds of an epoch."""
    began = time.process_time(), time.monotonic()
    trainer.begin_epoch()
    while trainer.advance(1):
        pass
    trainer.end_epoch()
    return time.process_time() - began[0], time.monotonic() - began[1]


def _said(values: Sequence[float], digits: int) -> str:
    """Median, smallest and largest."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def _alone(edge: int, number: int) -> float:
    """Images a CPU second that a feed brings in random order."""
    images = np.ones((number, edge, edge, 3), dtype=np.uint8)
    feed = Feed(images.shape[1:], 64_000_000 // images[0].nbytes, torch.device("cpu"))
    order = np.random.default_rng(0).permutation(number)
    for _ in range(2):  # the second time its memory has been touched
        began = time.process_time()
        for _ in feed.batches(images, order, BATCH):
            pass
    return number / (time.process_time() - began)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", default="cnn")
    parser.add_argument("--images", type=int, default=8192)
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
