"""Is fine-tuning better where today's dimensions are searched too? The space of before and of now.

    python benchmarks/fine_tuning.py --data-dir FOLDER --weights FILE [--trials 12] [--epochs 3]

Draws configurations of ResNet50 at random, and trains each on few CIFAR-10 images with the space as
it was (without the dimensions of `search_spaces.spaces.ABSENT`) and as it is: what both have is the
same in both, and the baseline is among them. The best on validation is trained again with other
seeds and tested at its best epoch. `--spaces now` does one of the two, for a process of its own.
Without Ray; prints a line of JSON for each training, and what they come to.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import optuna
import torch

from search_spaces.dimension import distributions
from search_spaces.spaces import ABSENT
from trainables.data.dataset import LabeledImages
from trainables.data.splitting import Split, split
from trainables.registry import load_dataset, load_family
from trainables.training.trainer import DivergedError, Trainer
from trainables.weights.loading import locate, read

FAMILY: Final = load_family("resnet50_transfer")
PIXELS: Final = 32
SPACES: Final = ("before", "now")


def main() -> None:
    """Trains and prints."""
    options = _options()
    opened = load_dataset("cifar10").open(options.data_dir, PIXELS)
    training, test = opened.read_training(), opened.read_test()
    parts = split(
        training.labels,
        validation_images=options.validation_images,
        train_images=options.images,
        seed=options.seed,
    )
    chosen = np.random.default_rng(options.seed).permutation(len(test))[: options.test_images]
    test = LabeledImages(images=test.images[chosen], labels=test.labels[chosen])
    bench = Bench(options, training, test, parts)
    found: dict[str, list[dict[str, Any]]] = {space: [] for space in options.spaces}
    for number, params in enumerate(_draws(options.trials, options.seed)):
        for space, rows in found.items():
            rows.append(bench.train(_of(space, params), seed=options.seed))
            print(json.dumps({"space": space, "trial": number, **rows[-1]}), flush=True)
    if len(found) == len(SPACES):
        pairs = zip(*(found[space] for space in SPACES), strict=True)
        gains = [now["accuracy"] - before["accuracy"] for before, now in pairs]
        print(f"validation, now less before, each configuration: {_spread(gains)}")
    for space, rows in found.items():
        accuracies = sorted((row["accuracy"] for row in rows), reverse=True)
        print(f"{space}: validation, best {accuracies[0]:.4f}, all {_spread(accuracies)}")
        best = max(rows, key=lambda row: (row["accuracy"], -row["loss"]))
        seeds = range(options.seed + 1, options.seed + 1 + options.seeds)
        tested = [bench.train(best["params"], seed=seed, tests=True) for seed in seeds]
        print(json.dumps({"space": space, "finals": tested}), flush=True)
        print(f"{space}: test of its best: {_spread([row['test_accuracy'] for row in tested])}")
    print(
        f"{time.process_time():.0f} CPU seconds; torch {torch.__version__}, optuna "
        f"{optuna.__version__}, {platform.machine()}, {options.threads} thread(s)"
    )


class Bench:
    """What all trainings share."""

    def __init__(
        self,
        options: argparse.Namespace,
        training: LabeledImages,
        test: LabeledImages,
        parts: Split,
    ) -> None:
        """Reads the weights."""
        self._options, self._training, self._test, self._parts = options, training, test, parts
        self._weights = read(locate(options.weights))

    def train(self, params: Mapping[str, Any], *, seed: int, tests: bool = False) -> dict[str, Any]:
        """Trains once; accuracy and loss on validation at the best epoch, and there on the test."""
        trainer = Trainer(
            FAMILY,
            params,
            self._training,
            train=self._parts.train,
            validation=self._parts.validation,
            num_classes=int(self._training.labels.max()) + 1,
            weights=self._weights,
            seed=seed,
            epochs=self._options.epochs,
            device="cpu",
            threads=self._options.threads,
        )
        started, best, kept = time.process_time(), (0.0, -float("inf")), b""
        try:
            for _ in range(self._options.epochs):
                row = trainer.train_epoch()
                reached = row["validation_accuracy"], -row["validation_loss"]
                if reached > best:
                    best, kept = reached, trainer.weights() if tests else b""
        except DivergedError:
            pass  # it stands with what it had reached
        result: dict[str, Any] = {"accuracy": best[0], "loss": -best[1], "seed": seed}
        if tests:
            trainer.load_weights(kept)
            result["test_accuracy"] = trainer.evaluate(self._test).scores.accuracy
        return {
            **result,
            "cpu_seconds": round(time.process_time() - started, 1),
            "params": dict(params),
        }


def _draws(trials: int, seed: int) -> Iterator[dict[str, Any]]:
    """The baseline, then points of the space as it is, at random."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    yield {**FAMILY.baseline, "input_size": PIXELS}
    for _ in range(trials - 1):
        yield {**study.ask(distributions(FAMILY.search_space)).params, "input_size": PIXELS}


def _of(space: str, params: Mapping[str, Any]) -> dict[str, Any]:
    if space == "now":
        return dict(params)
    return {name: value for name, value in params.items() if name not in ABSENT}


def _spread(values: list[float]) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else float("nan")
    return f"mean {statistics.mean(values):.4f}, standard deviation {spread:.4f}, n = {len(values)}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--spaces", nargs="+", choices=SPACES, default=list(SPACES))
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--images", type=int, default=900)
    parser.add_argument("--validation-images", type=int, default=300)
    parser.add_argument("--test-images", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
