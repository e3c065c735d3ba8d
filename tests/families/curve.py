"""Does the orchestrator do as it should? A curve by formula, with faults where it is told to."""

import json
import math
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution

from search_spaces.dimension import Dimension
from trainables.dataset import LabeledImages
from trainables.family import Family
from trainables.metrics import Scores, micro_at_half

FAULTS = ("none", "nan", "error", "error_once", "kill_once")


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What the formula says about the test part."""

    scores: Scores
    probabilities: np.ndarray
    labels: np.ndarray

    def test_metrics(self) -> dict[str, float]:
        precision, recall = micro_at_half(self.probabilities, self.labels)
        return {
            "test_loss": 1 - self.scores.accuracy,
            "test_accuracy": self.scores.accuracy,
            "test_precision": self.scores.precision,
            "test_recall": self.scores.recall,
            "test_precision_micro_at_half": precision,
            "test_recall_micro_at_half": recall,
        }


class CurveTrainer:
    """Accuracy rises towards `skill`; at epoch 2 the fault happens, in the first attempt."""

    parameters = 1

    def __init__(self, family: Family, params: Mapping[str, Any], data: Any, **rest: Any) -> None:
        del family, data
        self.params, self.classes = params, rest["num_classes"]
        self.epoch, self.resumed = 0, False

    def train_epoch(self) -> dict[str, Any]:
        fault = self.params["fault"]
        if self.epoch == 1:
            if fault == "nan":
                message = "the training loss must be finite, but is nan in epoch 2"
                raise ArithmeticError(message)
            if fault == "error" or (fault == "error_once" and not self.resumed):
                message = "a made-up error"
                raise RuntimeError(message)
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
            "epoch_seconds": 0.0,
            "images_per_second": 1.0,
            "device_memory_peak_bytes": None,
        }

    def evaluate(self, data: LabeledImages) -> Evaluated:
        accuracy = self.params["skill"] * (1 - math.exp(-self.epoch / 2))
        right = np.arange(len(data)) < round(accuracy * len(data))
        predicted = np.where(right, data.labels, (data.labels + 1) % self.classes)
        probabilities = np.full((len(data), self.classes), 0.1 / (self.classes - 1), np.float32)
        probabilities[np.arange(len(data)), predicted] = 0.9
        share = float(right.mean())
        scores = Scores(accuracy=share, precision=share, recall=share, classes_never_predicted=0)
        return Evaluated(scores=scores, probabilities=probabilities, labels=data.labels)

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
