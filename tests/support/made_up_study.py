"""A whole study made up in a second: any number of trials, epochs, classes, seeds and fractions."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    distribution_to_json,
)
from sklearn.metrics import precision_recall_fscore_support

from orchestrator.results import files
from orchestrator.results import schema as results
from orchestrator.stats.pairwise import SMALLEST, compare

SKILL = {"cnn": 0.70, "resnet50_scratch": 0.66, "resnet50_transfer": 0.88}
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


def space_of(family: str) -> dict[str, BaseDistribution]:
    """A family's search space."""
    fixed = PRETRAINED.items() if "transfer" in family else ()
    return {**SPACE, **{name: CategoricalDistribution((value,)) for name, value in fixed}}


START = datetime(2026, 3, 1, 9, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class MadeUpStudy:
    """What is to be made up; trials are per family, and `finished` 0 leaves a search that runs."""

    families: tuple[str, ...] = tuple(SKILL)
    trials: int = 9
    epochs: int = 9
    classes: tuple[str, ...] = ("cat", "dog", "ship", "truck")
    test_images: int = 400
    seeds: int = 3
    fractions: tuple[float, ...] = (0.1, 1.0)
    grace: int = 3
    dataset: str = "cifar10"
    finished: bool = True
    """Whether the search and the finals are over."""
    begun: bool = True
    """Whether any trial has an epoch."""
    draws: int = 100

    def write(self, folder: Path) -> Path:
        """Writes the study's folder."""
        folder.mkdir(parents=True, exist_ok=True)
        tables = _Maker(self).tables()
        for name, table in tables.items():
            files.write_table(folder, name, table, {"study": "made up"})
        content = self.study()
        if self.finished:
            content["choice"] = dict(_winners(tables["trials"].to_pylist()))
        (folder / "study.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
        return folder

    def study(self) -> dict[str, Any]:
        """The content of `study.json`."""
        ended = self.finished
        content: dict[str, Any] = {
            "name": "made up",
            "schema_version": 1,
            "outcome": "completed" if ended else "running",
            "started_at": START.isoformat(),
            "ended_at": (START + timedelta(hours=5)).isoformat() if ended else None,
            "settings": {
                "preset": "standard",
                "dataset": self.dataset,
                "families": list(self.families),
                "trials": self.trials,
                "epochs": self.epochs,
                "grace_period": self.grace,
                "reduction_factor": 3,
                "seeds": self.seeds,
                "seed": 0,
                "train_fractions": list(self.fractions),
                "results_dir": "results",
            },
            "demo": [],
            "spaces": {
                family: {
                    n: json.loads(distribution_to_json(d)) for n, d in space_of(family).items()
                }
                for family in self.families
            },
            "baselines": {
                family: {**BASELINE, **(PRETRAINED if "transfer" in family else {})}
                for family in self.families
            },
            "dataset": {
                "name": self.dataset,
                "classes": list(self.classes),
                "files": {"data.bin": "ab" * 32},
                "train_images": 45_000,
                "validation_images": 5_000,
                "train_images_by_fraction": {str(f): round(45_000 * f) for f in self.fractions},
                "split_sha256": "cd" * 32,
                "image_shape": [32, 32, 3],
            },
            "weights": {"name": "resnet50-0676ba61.pth", "sha256": "ef" * 32},
            "code_sha256": "01" * 32,
            "git_commit": "23" * 20,
            "environment": {"python": "3.11.4", "torch": "2.15.0", "ray": "2.60.0"},
            "cluster": {
                "kind": "local",
                "nodes": 1,
                "cpus": 16,
                "gpus": 2,
                "cpus_per_trial": 1,
                "gpus_per_trial": 1,
                "max_concurrent": 2,
            },
            "forecast": {
                "families": {
                    family: {
                        "trials": self.trials,
                        "epochs": [self.epochs, self.epochs * self.trials],
                        "device_seconds": [4_000.0, 5_000.0],
                    }
                    for family in self.families
                },
                "pace": {"study": "an earlier one", "device": "cuda"},
                "prices": [
                    {
                        "name": "g5.xlarge",
                        "devices": 1,
                        "per_hour": 1.25,
                        "currency": "USD",
                        "source": "made up",
                    }
                ],
            },
            "runs": [{"started_at": START.isoformat(), "outcome": "completed", "host": "here"}],
        }
        if ended:
            content["test_openings"] = 1
            content["halted"] = {}
        return content


def _winners(trials: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each family's best trial, as `study.json` has it."""
    for family in dict.fromkeys(row["family"] for row in trials):
        own = [r for r in trials if r["family"] == family and r["status"] != "failed"]
        if own:
            best = min(own, key=lambda r: (-r["validation_accuracy"], r["trial_id"]))
            yield (
                family,
                {
                    "trial_id": best["trial_id"],
                    "params": json.loads(best["params_json"]),
                    "validation_accuracy": best["validation_accuracy"],
                    "baseline_won": False,
                },
            )


class _Maker:
    """Makes the tables of one study, from one generator."""

    def __init__(self, study: MadeUpStudy) -> None:
        self.study, self.random = study, np.random.default_rng(7)
        self.epochs: list[dict[str, Any]] = []
        self.rungs: list[dict[str, Any]] = []
        self.sequence = 0

    def tables(self) -> dict[str, pa.Table]:
        schemas = results.schemas(map(space_of, self.study.families))
        trials = list(self._trials()) if self.study.begun else []
        final, predictions, final_epochs = self._finals(schemas)
        comparison = schemas["comparison"].empty_table()
        if self.study.finished and final.num_rows:
            comparison = compare(final, predictions, draws=self.study.draws)
        return {
            "trials": results.to_table(trials, schemas["trials"]),
            "epochs": results.to_table(self.epochs, schemas["epochs"]),
            "rungs": results.to_table(self.rungs, schemas["rungs"]),
            "events": results.to_table(list(self._events(trials)), schemas["events"]),
            "final": final,
            "predictions": predictions,
            "final_epochs": final_epochs,
            "comparison": comparison,
        }

    def _trials(self) -> Iterator[dict[str, Any]]:
        """Trials of all families in turn, two at a time, stopped where they are weak."""
        free = [START, START]
        seen: dict[tuple[str, int], list[float]] = {}
        for number in range(self.study.trials):
            for family in self.study.families:
                params = BASELINE if number == 0 else self._params()
                params = {**params, **(PRETRAINED if "transfer" in family else {})}
                curve = self._curve(family, params)
                stop = self._stop(family, number, curve, seen)
                curve = curve[:stop]
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
        self, family: str, number: int, curve: np.ndarray, seen: dict[tuple[str, int], list[float]]
    ) -> int:
        trial, epochs = f"{family}-{number:03}", self.study.epochs
        rung, reached = self.study.grace, []
        while rung < epochs:
            reached.append(rung)
            rung *= 3
        for epoch in reached:
            values = seen.setdefault((family, epoch), [])
            cutoff = float(np.percentile(values, 100 * 2 / 3)) if values else None
            value = float(curve[epoch - 1])
            values.append(value)
            below = cutoff is not None and value < cutoff
            decision = ("stop" if number else "protected") if below else "continue"
            self._arrive((family, trial), epoch, value, cutoff, decision)
            if decision == "stop":
                return epoch
        self._arrive((family, trial), epochs, float(curve[-1]), None, "finished")
        return epochs

    def _arrive(
        self, who: tuple[str, str], epoch: int, value: float, cutoff: float | None, what: str
    ) -> None:
        self.rungs.append(
            {
                "study": "made up",
                "sequence": self.sequence + epoch,
                "family": who[0],
                "trial_id": who[1],
                "epoch": epoch,
                "rung": epoch,
                "value": value,
                "cutoff": cutoff,
                "decision": what,
            }
        )

    def _trial(
        self,
        family: str,
        number: int,
        params: dict[str, Any],
        curve: np.ndarray,
        times: tuple[datetime, float],
    ) -> dict[str, Any]:
        trial, best, (started, seconds) = f"{family}-{number:03}", int(np.argmax(curve)), times
        last = number == self.study.trials - 1 and number > 1
        status = "completed" if len(curve) == self.study.epochs else "stopped"
        if last and family == self.study.families[0]:
            status = "failed" if self.study.finished else "running"
        for index, accuracy in enumerate(curve):
            self.sequence += 1
            moment = started + timedelta(seconds=seconds * (index + 1) / len(curve))
            self.epochs.append(self._epoch(family, trial, index + 1, float(accuracy), moment))
        return {
            "study": "made up",
            "family": family,
            "trial_id": trial,
            "role": "search" if number else "baseline",
            "status": status,
            "stop_reason": {"stopped": "asha", "failed": "out_of_memory"}.get(status),
            "error": "CUDA out of memory" if status == "failed" else None,
            "epochs_run": len(curve),
            "attempts": 1,
            "best_epoch": best + 1,
            "validation_loss": 1 - float(curve[best]),
            **dict.fromkeys(
                ("validation_accuracy", "validation_precision", "validation_recall"),
                float(curve[best]),
            ),
            "device_seconds": seconds,
            "train_fraction": 1.0,
            "seed": number,
            "node": "node-1",
            "device": "cuda",
            "started_at": started,
            "ended_at": None if status == "running" else started + timedelta(seconds=seconds),
            **results.parameter_columns(params),
        }

    def _epoch(
        self, family: str, trial: str, epoch: int, accuracy: float, moment: datetime
    ) -> dict[str, Any]:
        return {
            "study": "made up",
            "family": family,
            "trial_id": trial,
            "epoch": epoch,
            "sequence": self.sequence,
            "attempt": 1,
            "train_loss": 1 - accuracy,
            "train_accuracy": accuracy,
            "validation_loss": 1 - accuracy,
            **dict.fromkeys(
                ("validation_accuracy", "validation_precision", "validation_recall"), accuracy
            ),
            "learning_rate": 1e-4,
            "epoch_seconds": 20.0,
            "images_per_second": 2250.0,
            "device_memory_peak_bytes": None,
            "reported_at": moment,
        }

    def _events(self, trials: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for row in trials:
            if row["status"] == "failed":
                yield {
                    "study": "made up",
                    "at": row["ended_at"],
                    "kind": "out_of_memory",
                    "family": row["family"],
                    "trial_id": row["trial_id"],
                    "detail": "CUDA out of memory",
                }
        if self.study.finished:
            yield {
                "study": "made up",
                "at": START + timedelta(hours=4),
                "kind": "test_opened",
                "detail": "ab" * 32,
            }

    def _finals(self, schemas: dict[str, pa.Schema]) -> tuple[pa.Table, pa.Table, pa.Table]:
        final, predictions, epochs = [], [schemas["predictions"].empty_table()], []
        runs = (
            (family, role, seed, fraction)
            for fraction in sorted(self.study.fractions)
            for family in self.study.families
            for role in results.ROLES
            for seed in range(self.study.seeds)
        )
        labels = np.arange(self.study.test_images) % len(self.study.classes)
        for number, run in enumerate(runs if self.study.finished and self.study.begun else ()):
            row, table = self._final(run, labels, schemas["predictions"])
            final.append(row)
            predictions.append(table)
            started = START + timedelta(hours=4, seconds=120 * number)
            for epoch in range(1, self.study.epochs + 1):
                self.sequence += 1
                moment = started + timedelta(seconds=10 * epoch)
                made = self._epoch(run[0], row["trial_id"], epoch, 0.5, moment)
                epochs.append({**made, "role": run[1], "seed": run[2], "train_fraction": run[3]})
        return (
            results.to_table(final, schemas["final"]),
            pa.concat_tables(predictions),
            results.to_table(epochs, schemas["final_epochs"]),
        )

    def _final(
        self, run: tuple[str, str, int, float], labels: np.ndarray, schema: Any
    ) -> tuple[dict[str, Any], pa.Table]:
        family, role, seed, fraction = run
        classes = len(self.study.classes)
        skill = SKILL.get(family, 0.6) + 0.03 * (role == "tuned") + 0.002 * seed
        scratch = 0 if "transfer" in family else 0.13
        skill += scratch * np.log10(fraction)
        guess = labels.copy()
        wrong = self.random.random(len(labels)) > skill
        neighbours = (labels + 1 + (self.random.random(len(labels)) > 0.7)) % classes
        guess[wrong] = neighbours[wrong]
        scores = self.random.dirichlet(np.full(classes, 0.3), len(labels))
        scores[np.arange(len(labels)), guess] += 1.5
        scores = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)
        hits = scores.argmax(axis=1) == labels
        accuracy = float(hits.mean())
        of_label = scores[np.arange(len(labels)), labels].astype(float)
        loss = float(-np.log(np.maximum(of_label, SMALLEST)).mean())
        precision, recall, _, _ = precision_recall_fscore_support(
            labels, scores.argmax(axis=1), average="macro", zero_division=0
        )
        trial = f"{family}-{role}-s{seed}-f{fraction:g}"
        row: dict[str, Any] = {
            "study": "made up",
            "family": family,
            "role": role,
            "seed": seed,
            "trial_id": trial,
            "train_fraction": fraction,
            "train_images": round(45_000 * fraction),
            "validation_images": 5_000,
            "epoch": self.study.epochs,
            "validation_loss": loss,
            "validation_accuracy": accuracy,
            "last_epoch": self.study.epochs,
            "classes_never_predicted": classes - len(set(scores.argmax(axis=1))),
            "test_images": len(labels),
            "parameters": 23_528_522,
            "train_seconds": 100.0,
            "device_seconds": 100.0,
            "device": "cuda",
            **results.parameter_columns(BASELINE),
        }
        for epoch in ("", "_last_epoch"):
            measured = (loss, accuracy, float(precision), float(recall))
            for metric, value in zip(results.METRICS, measured, strict=True):
                row[f"test_{metric}{epoch}"] = value
            for metric in ("precision", "recall"):
                row[f"test_{metric}_micro_at_half{epoch}"] = accuracy
        count = len(labels)
        table = pa.table(
            {
                "study": ["made up"] * count,
                "family": [family] * count,
                "role": [role] * count,
                "seed": [seed] * count,
                "train_fraction": [fraction] * count,
                "image_index": np.arange(count),
                "label": labels,
                "predicted": scores.argmax(axis=1),
                "probabilities": list(scores),
            }
        ).cast(schema)
        return row, table
