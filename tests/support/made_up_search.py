"""The search of a made-up study: trials with learning curves, the weak stopped at rungs."""

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from made_up_rows import START, Row, epoch, rung, trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from orchestrator.results import schema as results

SKILL = {"cnn": 0.70, "resnet50_scratch": 0.66, "resnet50_transfer": 0.88}
"""How often each family's baseline is right; another family's is in 60% of cases."""
SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-5, 1e-2, log=True),
    "batch_size": CategoricalDistribution((32, 64, 128, 256)),
    "optimizer": CategoricalDistribution(("adam", "adamw", "sgd")),
    "dropout": FloatDistribution(0.0, 0.7),
}
BASELINE = {"learning_rate": 1e-4, "batch_size": 64, "optimizer": "adam", "dropout": 0.0}
PRETRAINED = {
    "frozen_stages": 0,
    "input_size": 48,
    "normalization": "zero_one",
    "head_learning_rate_multiplier": 1.0,
    "weight_decay": 0.0,
    "label_smoothing": 0.0,
    "schedule": "constant",
    "warmup_fraction": 0.0,
    "augmentation": "none",
}
"""What only the fine-tuned family has here; fixed in a made-up study."""
SPEED = {"epoch_seconds": 20.0, "images_per_second": 2250.0}


def space_of(family: str) -> dict[str, BaseDistribution]:
    """A family's search space."""
    fixed = PRETRAINED.items() if "transfer" in family else ()
    return {**SPACE, **{name: CategoricalDistribution((value,)) for name, value in fixed}}


class Search:
    """Makes the rows of a whole study's search, from one generator."""

    def __init__(self, study: Any) -> None:
        self.study, self.random = study, np.random.default_rng(7)
        self.epochs: list[Row] = []
        self.rungs: list[Row] = []

    def trials(self) -> Iterator[Row]:
        """Trials of all families in turn, two at a time, stopped where they are weak."""
        free = [START, START]
        seen: dict[tuple[str, int], list[float]] = {}
        for number, family in itertools.product(range(self.study.trials), self.study.families):
            params = BASELINE if number == 0 else self._params()
            params = {**params, **(PRETRAINED if "transfer" in family else {})}
            curve = self._curve(family, params)
            curve = curve[: self._stop(f"{family}-{number:03}", curve, seen)]
            lane = int(np.argmin([moment.timestamp() for moment in free]))
            seconds = 20.0 * len(curve) + float(self.random.uniform(0, 5))
            started = free[lane] + timedelta(seconds=float(self.random.uniform(1, 30)))
            free[lane] = started + timedelta(seconds=seconds)
            yield self._trial(family, number, params, curve, (started, seconds))

    def _params(self) -> dict[str, Any]:
        return {
            "learning_rate": float(10 ** self.random.uniform(-5, -2)),
            "batch_size": int(self.random.choice([32, 64, 128, 256])),
            "optimizer": str(self.random.choice(["adam", "adamw", "sgd"])),
            "dropout": float(self.random.uniform(0, 0.7)),
        }

    def _curve(self, family: str, params: dict[str, Any]) -> np.ndarray:
        """Accuracy at each epoch: best near a learning rate of 3e-4, the end known by epoch 50."""
        off = abs(np.log10(params["learning_rate"]) + 3.5)
        top = SKILL.get(family, 0.6) - 0.08 * off - 0.05 * params["dropout"]
        steps = np.arange(1, self.study.epochs + 1) / self.study.epochs
        noise = self.random.normal(0, 0.006, self.study.epochs)
        return np.clip(top * (1 - np.exp(-5 * steps)) + noise, 0.01, 0.99)

    def _stop(
        self, trial_id: str, curve: np.ndarray, seen: dict[tuple[str, int], list[float]]
    ) -> int:
        """Has a trial arrive at rungs; its last epoch."""
        epochs, reached = self.study.epochs, self.study.grace
        while reached < epochs:
            values = seen.setdefault((trial_id.partition("-")[0], reached), [])
            cutoff = float(np.percentile(values, 100 * 2 / 3)) if values else None
            value = float(curve[reached - 1])
            values.append(value)
            decision = "continue"
            if cutoff is not None and value < cutoff:
                decision = "protected" if trial_id.endswith("-000") else "stop"
            self._arrive(trial_id, reached, value, decision, cutoff)
            if decision == "stop":
                return reached
            reached *= 3
        self._arrive(trial_id, epochs, float(curve[-1]), "finished", None)
        return epochs

    def _arrive(self, trial_id: str, at: int, value: float, decision: str, cutoff: Any) -> None:
        sequence = len(self.epochs) + at
        self.rungs.append(rung(trial_id, at, value, decision, cutoff=cutoff, sequence=sequence))

    def _trial(
        self,
        family: str,
        number: int,
        params: dict[str, Any],
        curve: np.ndarray,
        times: tuple[datetime, float],
    ) -> Row:
        trial_id, best, (started, seconds) = f"{family}-{number:03}", int(np.argmax(curve)), times
        last = number == self.study.trials - 1 and number > 1
        status = "completed" if len(curve) == self.study.epochs else "stopped"
        if last and family == self.study.families[0]:
            status = "failed" if self.study.finished else "running"
        for index, accuracy in enumerate(map(float, curve), start=1):
            moment = started + timedelta(seconds=seconds * index / len(curve))
            more = {"sequence": len(self.epochs) + 1, "reported_at": moment, **SPEED}
            self.epochs.append(epoch(trial_id, index, accuracy, **more))
        return trial(
            trial_id,
            status,
            len(curve),
            float(curve[best]),
            stop_reason={"stopped": "asha", "failed": "out_of_memory"}.get(status),
            error="CUDA out of memory" if status == "failed" else None,
            best_epoch=best + 1,
            validation_loss=1 - float(curve[best]),
            validation_precision=float(curve[best]),
            validation_recall=float(curve[best]),
            device_seconds=seconds,
            seed=number,
            node="node-1",
            device="cuda",
            started_at=started,
            ended_at=None if status == "running" else started + timedelta(seconds=seconds),
            **results.parameter_columns(params),
        )
