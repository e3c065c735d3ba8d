"""Does the orchestrator do as it should? A curve by formula, with faults where it is told to."""

import json
import math
import os
import random
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution

from search_spaces.dimension import Dimension
from trainables.data.dataset import LabeledImages
from trainables.family import Family
from trainables.training.metrics import Scores, micro_at_half, scores

FAULTS = ("none", "nan", "error", "error_once", "kill_once", "hang", "hang_once", "memory")
# Environment variables: a file in which each epoch that is begun is a line, seconds per epoch, and
# shares of trials that have a fault where the hyperparameter is `none`: `error_once=0.05,...`.
LEDGER, EPOCH_SECONDS = "STUDY_CURVE_LEDGER", "STUDY_CURVE_EPOCH_SECONDS"
RATES = "STUDY_CURVE_FAULT_RATES"


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What the formula says about the test part."""

    scores: Scores
    probabilities: np.ndarray
    labels: np.ndarray

    def test_metrics(self) -> dict[str, float]:
        precision, recall = micro_at_half(self.probabilities, self.labels)
        return {
            "test_loss": float(
                -np.log(self.probabilities[np.arange(len(self.labels)), self.labels]).mean()
            ),
            "test_accuracy": self.scores.accuracy,
            "test_precision": self.scores.precision,
            "test_recall": self.scores.recall,
            "test_precision_micro_at_half": precision,
            "test_recall_micro_at_half": recall,
        }


class OutOfMemoryError(RuntimeError):
    """Named as PyTorch's."""


def note_in_ledger(trial: str, epoch: int) -> None:
    """Notes that an epoch is begun, in one write that no other process can tear."""
    if LEDGER in os.environ:
        line = f"{trial} {epoch}\n".encode()
        file = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, line)
        os.close(file)


def drawn(rates: str, trial: str) -> str:
    """The fault of a trial, the same in each of its attempts."""
    left = random.Random(trial).random()
    for name, _, share in (each.partition("=") for each in rates.split(",")):
        left -= float(share)
        if left < 0:
            return name
    return "none"


class CurveTrainer:
    """Accuracy rises towards `skill`; at epoch 2 the fault happens, in the first attempt."""

    parameters = 1
    trained_parameters = 1
    forward_flops_per_image = None  # a formula has none

    def __init__(self, family: Family, params: Mapping[str, Any], data: Any, **rest: Any) -> None:
        del family, data
        self.params, self.classes, self.seed = params, rest["num_classes"], rest["seed"]
        self.epoch, self.resumed = 0, False
        self.accumulation = rest["accumulation"]

    def train_epoch(self) -> dict[str, Any]:
        fault = self.params["fault"]
        if fault == "none" and RATES in os.environ:
            fault = drawn(os.environ[RATES], f"{self.seed}/{self.params['skill']}")
        note_in_ledger(f"{self.seed}/{self.params['skill']}", self.epoch + 1)
        seconds = float(os.environ.get(EPOCH_SECONDS, "0"))
        time.sleep(seconds)
        if self.epoch == 1:
            if fault == "nan":
                message = "the training loss must be finite, but is nan in epoch 2"
                raise ArithmeticError(message)
            if fault == "error" or (fault == "error_once" and not self.resumed):
                message = "a made-up error"
                raise RuntimeError(message)
            if fault == "hang" or (fault == "hang_once" and not self.resumed):
                time.sleep(3600)
            if fault == "memory" and self.accumulation == 1:
                message = f"CUDA out of memory. Tried to allocate {os.getpid()} GiB."
                raise OutOfMemoryError(message)
            if fault == "kill_once" and not self.resumed:
                os.kill(os.getpid(), signal.SIGKILL)
        self.epoch += 1
        accuracy = self.params["skill"] * (1 - math.exp(-self.epoch / 2))
        metrics = dict.fromkeys(("accuracy", "precision", "recall"), accuracy)
        return {
            "epoch": self.epoch,
            "train_loss": 1 - accuracy,
            "train_accuracy": accuracy,
            "validation_loss": 1 - accuracy,
            **{f"validation_{name}": value for name, value in metrics.items()},
            "learning_rate": 0.1,
            "epoch_seconds": seconds,
            "images_per_second": 1.0,
            "device_memory_peak_bytes": None,
        }

    def evaluate(self, data: LabeledImages) -> Evaluated:
        accuracy = self.params["skill"] * (1 - math.exp(-self.epoch / 2))
        right = np.arange(len(data)) < round(accuracy * len(data))
        predicted = np.where(right, data.labels, (data.labels + 1) % self.classes)
        probabilities = np.full((len(data), self.classes), 0.1 / (self.classes - 1), np.float32)
        probabilities[np.arange(len(data)), predicted] = 0.9
        confusion = np.zeros((self.classes, self.classes), np.int64)
        np.add.at(confusion, (data.labels, predicted), 1)
        return Evaluated(scores=scores(confusion), probabilities=probabilities, labels=data.labels)

    def state(self) -> bytes:
        return json.dumps(self.epoch).encode()

    def load_state(self, state: bytes) -> None:
        self.epoch, self.resumed = json.loads(state), True

    def weights(self) -> bytes:
        return self.state()

    def load_weights(self, weights: bytes) -> None:
        self.epoch = json.loads(weights)


def build(config: Mapping[str, Any]) -> Any:
    """Nothing to build: the trainer is a formula."""
    raise NotImplementedError


FAMILY = Family(
    name="curve",
    build=build,
    search_space={
        "skill": Dimension(values=FloatDistribution(0.1, 1.0), meaning="accuracy in the end"),
        "fault": Dimension(values=CategoricalDistribution(FAULTS), meaning="what goes wrong"),
    },
    baseline={"skill": 0.5, "fault": "none"},
    trainer="trainables.families.curve:CurveTrainer",
)
