"""Does training learn? The CNN's baseline on 5,000 real CIFAR-10 images, 10 epochs, test accuracy.

    python benchmarks/learning.py --data-dir FOLDER [--seeds 3] [--images 5000] [--epochs 10]

Trains with `trainables.training` alone, without Ray, and prints one line per seed and their mean.
A plain PyTorch script with a DataLoader and the same network reached 55.1% (n = 1).
"""

import argparse
import platform
import statistics
import time

import numpy as np
import torch

from trainables.data.splitting import split
from trainables.registry import load_dataset, load_family
from trainables.training.trainer import Trainer


def main() -> None:
    """Trains and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    opened = load_dataset("cifar10").open(options.data_dir, 32)
    training, test = opened.read_training(), opened.read_test()
    family = load_family("cnn")
    accuracies = []
    for seed in range(options.seeds):
        parts = split(
            training.labels, validation_images=1000, train_images=options.images, seed=seed
        )
        trainer = Trainer(
            family,
            family.baseline,
            training,
            train=parts.train,
            validation=parts.validation,
            num_classes=len(opened.classes),
            weights=None,
            seed=seed,
            epochs=options.epochs,
            device="cuda" if torch.cuda.is_available() else "cpu",
            threads=options.threads,
        )
        started = time.process_time()
        for _ in range(options.epochs):
            row = trainer.train_epoch()
        seconds = time.process_time() - started
        result = trainer.evaluate(test)
        accuracies.append(result.scores.accuracy)
        print(
            f"seed {seed}: last-epoch test accuracy {result.scores.accuracy:.4f}, "
            f"loss {result.loss:.4f}, train accuracy {row['train_accuracy']:.4f}, "
            f"{seconds:.0f} CPU seconds"
        )
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else float("nan")
    print(
        f"mean {np.mean(accuracies):.4f}, standard deviation {spread:.4f}, n = {len(accuracies)}; "
        f"torch {torch.__version__}, {platform.machine()}, {options.threads} thread(s)"
    )


if __name__ == "__main__":
    main()
