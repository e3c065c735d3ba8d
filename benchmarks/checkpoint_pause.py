"""How long does training stand still for a checkpoint? Of a ResNet50 with Adam, on the CPU.

    python benchmarks/checkpoint_pause.py [--epochs 11]

Trains on made-up images and hands each epoch's checkpoint (283 MB: weights, and Adam's memory) to
the thread that writes it, as a trial does. Prints the milliseconds that the training's own thread
took for each, in CPU time and by the wall; the first makes the memory that the others reuse.
"""

import argparse
import importlib.metadata
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np

from trainables import checkpoints
from trainables.checkpoint_writer import CheckpointWriter
from trainables.data.dataset import LabeledImages
from trainables.registry import load_family
from trainables.slices import Slices
from trainables.training.trainer import Trainer

TRAIN, VALIDATION = 320, 64


def make_trainer(epochs: int) -> Trainer:
    """A ResNet50 from scratch at its baseline."""
    random = np.random.default_rng(0)
    count = TRAIN + VALIDATION
    images = LabeledImages(
        images=random.integers(0, 255, (count, 32, 32, 3), dtype=np.uint8),
        labels=random.integers(0, 10, count),
    )
    family = load_family("resnet50_scratch")
    return Trainer(
        *(family, dict(family.baseline), images),
        train=np.arange(TRAIN),
        validation=np.arange(TRAIN, count),
        num_classes=10,
        weights=None,
        seed=1,
        epochs=epochs,
        device="cpu",
        threads=1,
        precision="fp32",
    )


def main() -> None:
    """Trains and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=11)
    epochs = parser.parse_args().epochs
    slices, rows, pauses = Slices(make_trainer(epochs)), [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "checkpoints"
        claim = checkpoints.claim(folder, attempt=1, trial={"trial_id": "x"})
        writer = CheckpointWriter(folder, claim, final=False)
        while len(rows) < epochs:
            row = slices.train()
            if row is None:
                continue
            rows.append(row)
            cpu, wall = time.thread_time(), time.perf_counter()
            writer.begin(slices.state(), None, list(rows))
            pauses.append((time.thread_time() - cpu, time.perf_counter() - wall))
            writer.finish()
    for clock, seconds in zip(("CPU", "wall"), 1000 * np.array(pauses).T, strict=True):
        later = seconds[1:]
        print(
            f"{clock}: first {seconds[0]:.1f} ms, then median {np.median(later):.1f} ms "
            f"({later.min():.1f} to {later.max():.1f}, n = {len(later)})"
        )
    print(
        f"torch {importlib.metadata.version('torch')}, Python {platform.python_version()}, "
        f"{platform.machine()}, load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
