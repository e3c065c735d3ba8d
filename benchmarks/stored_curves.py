"""Trains random configurations of the CNN to the last epoch: real curves for a bench of the search.

    python benchmarks/stored_curves.py --data-dir FOLDER [--trials 240] [--part 0/2] [--output FILE]

Few CIFAR-10 images each, the baseline first, then points of the search space at random. A line of
JSON for each: its number, hyperparameters, validation accuracy of each epoch, test accuracy at the
best of these, CPU seconds of an epoch. What the file has already is left out; two processes take
half each with `--part 0/2` and `--part 1/2`.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import optuna

from search_spaces.dimension import distributions
from trainables.data.dataset import LabeledImages
from trainables.data.splitting import Split, split
from trainables.registry import load_dataset, load_family
from trainables.training.trainer import DivergedError, Trainer

FAMILY: Final = load_family("cnn")
PIXELS: Final = 32
EPOCHS: Final = 27
SEED: Final = 1


def main() -> None:
    """Trains what is missing."""
    options = _options()
    opened = load_dataset("cifar10").open(options.data_dir, PIXELS)
    training, test = opened.read_training(), opened.read_test()
    parts = split(
        training.labels,
        validation_images=options.validation_images,
        train_images=options.images,
        seed=SEED,
    )
    chosen = np.random.default_rng(SEED).permutation(len(test))[: options.test_images]
    test = LabeledImages(images=test.images[chosen], labels=test.labels[chosen])
    part, parts_of = map(int, options.part.split("/"))
    for number, params in enumerate(_draws(options.trials)):
        if number % parts_of == part and number not in _done(options.output):
            row = _train(params, training, test, parts, precision=options.precision)
            with options.output.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"number": number, **row}) + "\n")


def _done(output: Path) -> set[int]:
    lines = output.read_text("utf-8").splitlines() if output.exists() else []
    return {json.loads(line)["number"] for line in lines}


def _train(
    params: dict[str, Any],
    training: LabeledImages,
    test: LabeledImages,
    parts: Split,
    *,
    precision: str,
) -> dict[str, Any]:
    trainer = Trainer(
        FAMILY,
        params,
        training,
        train=parts.train,
        validation=parts.validation,
        num_classes=int(training.labels.max()) + 1,
        weights=None,
        seed=SEED,
        epochs=EPOCHS,
        device="cpu",
        threads=1,
        precision=precision,
    )
    validation, tested, seconds = list[float](), None, 0.0
    try:
        for _ in range(EPOCHS):
            began = time.process_time()
            row = trainer.train_epoch()
            seconds += time.process_time() - began
            if row["validation_accuracy"] > max(validation, default=-1):
                tested = round(trainer.evaluate(test).scores.accuracy, 4)
            validation.append(round(row["validation_accuracy"], 4))
    except DivergedError:
        pass  # its curve ends there
    return {
        "params": params,
        "validation": validation,
        "test": tested,
        "epoch_seconds": round(seconds / max(len(validation), 1), 3),
    }


def _draws(trials: int) -> Iterator[dict[str, Any]]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=SEED))
    yield dict(FAMILY.baseline)
    for _ in range(trials - 1):
        yield study.ask(distributions(FAMILY.search_space)).params


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--trials", type=int, default=240)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--validation-images", type=int, default=400)
    parser.add_argument("--test-images", type=int, default=1000)
    parser.add_argument("--precision", default="fp32", help="bf16 where the processor has it")
    parser.add_argument("--part", default="0/1", metavar="I/N", help="every Nth, from the Ith")
    here = Path(__file__).parent
    parser.add_argument("--output", type=Path, default=here / "data" / "cnn_curves.jsonl")
    return parser.parse_args()


if __name__ == "__main__":
    main()
