"""Made-up studies: what a comparison reads of one, or the whole, of any size, in a second."""

import io
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from made_up_record import record
from made_up_rows import (
    NAME,
    START,
    Row,
    Rows,
    epoch,
    event,
    final_run,
    names_of,
    table,
    trial,
    write_study,
)
from made_up_search import BASELINE, PRETRAINED, SKILL, SPEED, Search, space_of
from optuna.distributions import distribution_to_json
from rich.console import Console
from sklearn.metrics import precision_recall_fscore_support

from orchestrator.compare.document import Report, prepare
from orchestrator.compare.render import markdown_of, print_answer, print_report
from orchestrator.results import schema as results
from orchestrator.results.study_record import StudyRecord
from orchestrator.stats.pairwise import compare
from orchestrator.stats.predictions import SMALLEST, split_runs

CLASSES, IMAGES = 4, 300


@dataclass(kw_only=True)
class ComparedStudy:
    """What a comparison reads of a study: two trials of each family, and the final runs."""

    families: tuple[str, ...] = tuple(SKILL)
    failed: tuple[str, ...] = ()
    """Further families, of which no trial finished."""
    epochs: int = 50
    classes: tuple[str, ...] = tuple(map(str, range(CLASSES)))
    test_images: int = IMAGES
    seeds: int = 2
    fractions: tuple[float, ...] = (1.0,)
    seed_effect: float = 0.0
    """How much more often a run is right than with the seed before."""
    identical: tuple[str, ...] = ()
    """Families whose winner is their baseline."""
    never_predicted: tuple[str, ...] = ()
    """Families that never predict the last class."""
    missing: tuple[str, ...] = ()
    """Columns of `final.parquet` that have no value."""
    dataset: str = "cifar10"
    draws: int = 100
    settings: dict[str, Any] = field(default_factory=dict)
    """Further settings."""
    entries: dict[str, Any] = field(default_factory=dict)
    """Further entries of `study.json`."""
    given: dict[str, Rows | pa.Table] = field(default_factory=dict)
    """Tables that are not made up."""

    @cached_property
    def labels(self) -> np.ndarray:
        """The class of each test image."""
        return np.arange(self.test_images) % len(self.classes)

    @cached_property
    def runs(self) -> dict[tuple[str, str, int, float], np.ndarray]:
        """Each final run's probabilities, [images, classes]; they may be changed."""
        random = np.random.default_rng(5)
        keys = itertools.product(
            sorted(self.fractions), self.families, results.ROLES, range(self.seeds)
        )
        runs: dict[tuple[str, str, int, float], np.ndarray] = {}
        for fraction, family, role, seed in keys:
            same = role == "tuned" and family in self.identical
            runs[family, role, seed, fraction] = (
                runs[family, "baseline", seed, fraction]
                if same
                else self._scores(random, family, role, seed, fraction)
            )
        return runs

    def _scores(
        self, random: np.random.Generator, family: str, role: str, seed: int, fraction: float
    ) -> np.ndarray:
        labels, classes = self.labels, len(self.classes)
        skill = SKILL.get(family, 0.6) + 0.03 * (role == "tuned") + self.seed_effect * (seed - 1)
        skill += (0 if "transfer" in family else 0.13) * np.log10(fraction)
        guess = labels.copy()
        wrong = random.random(len(labels)) > skill
        neighbours = (labels + 1 + (random.random(len(labels)) > 0.7)) % classes
        guess[wrong] = neighbours[wrong]
        if family in self.never_predicted:
            guess[guess == classes - 1] = 0
        scores = random.random((len(labels), classes))
        scores[np.arange(len(labels)), guess] += 1
        return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)

    def run(self, family: str, role: str, seed: int, fraction: float = 1.0) -> np.ndarray:
        return self.runs[family, role, seed, fraction]

    def drop(self, family: str, role: str, seed: int) -> None:
        del self.runs[family, role, seed, 1.0]

    def final(self) -> pa.Table:
        rows = [
            {**self._measured(key, run), **dict.fromkeys(self.missing)}
            for key, run in self.runs.items()
        ]
        return self._filled({"final": rows})["final"]

    def _measured(self, key: tuple[str, str, int, float], scores: np.ndarray) -> Row:
        family, role, seed, fraction = key
        same = scores is self.runs.get((family, "baseline", seed, fraction))
        predicted, of_label = scores.argmax(axis=1), scores[np.arange(len(scores)), self.labels]
        loss = float(-np.log(np.maximum(of_label.astype(float), SMALLEST)).mean())
        accuracy = float((predicted == self.labels).mean())
        precision, recall = macro_means(self.labels.tobytes(), predicted.tobytes())
        row = final_run(
            role,
            seed,
            fraction,
            family,
            trial_id=f"{family}-{'baseline' if same else role}-s{seed}-f{fraction:g}",
            train_images=round(45_000 * fraction),
            validation_images=5_000,
            epoch=self.epochs,
            validation_loss=loss,
            validation_accuracy=accuracy,
            last_epoch=self.epochs,
            classes_never_predicted=len(self.classes) - len(set(predicted)),
            test_images=len(scores),
            parameters=11_173_962,
            train_seconds=100.0,
            device_seconds=100.0,
            device="cuda",
            **results.parameter_columns(BASELINE if same else {**BASELINE, "learning_rate": 3e-4}),
        )
        for when in ("", "_last_epoch"):
            measured = (loss, accuracy, precision, recall)
            for metric, value in zip(results.METRICS, measured, strict=True):
                row[f"test_{metric}{when}"] = value
            row[f"test_precision_micro_at_half{when}"] = accuracy + 0.01
            row[f"test_recall_micro_at_half{when}"] = accuracy - 0.02
        return row

    def predictions(self) -> pa.Table:
        schema, count = results.FIXED_SCHEMAS["predictions"], self.test_images
        tables = [
            pa.table(
                {
                    "study": [NAME] * count,
                    "family": [family] * count,
                    "role": [role] * count,
                    "seed": [seed] * count,
                    "train_fraction": [fraction] * count,
                    "image_index": np.arange(count)[::-1],
                    "label": self.labels[::-1],
                    "predicted": scores.argmax(axis=1)[::-1],
                    "probabilities": list(scores[::-1]),
                    "file": [None] * count,
                },
                schema=schema,
            )
            for (family, role, seed, fraction), scores in self.runs.items()
        ]
        return pa.concat_tables([schema.empty_table(), *tables])

    def comparison(self) -> pa.Table:
        return compare(self.final(), self.predictions(), draws=self.draws)

    def compared(self) -> list[Row]:
        rows: list[Row] = self.comparison().to_pylist()
        return rows

    def accuracies(self, seed: int | None) -> list[Row]:
        """The rows of accuracy of one seed, or of the means."""
        return [r for r in self.compared() if (r["metric"], r["seed"]) == ("accuracy", seed)]

    def search(self) -> dict[str, Rows | pa.Table]:
        """The tables of the search."""
        ends = {"completed": (50, 0.6, 1.0), "stopped": (15, 0.7, 0.9)}
        trials = []
        for families, statuses in (
            (self.families, ("completed", "stopped")),
            (self.failed, ("failed", "diverged")),
        ):
            for family, (number, status) in itertools.product(families, enumerate(statuses)):
                epochs, accuracy, loss = ends.get(status, (0, None, None))
                more = {"validation_loss": loss, "device_seconds": 3000.0}
                trials.append(trial(f"{family}-{number:03}", status, epochs, accuracy, **more))
        return {"trials": trials, "epochs": (), "rungs": ()}

    def tables(self) -> dict[str, pa.Table]:
        """All tables that are written."""
        made = {**self.search(), "final": self.final(), "predictions": self.predictions()}
        return self._filled({**made, **self.given})

    def _filled(self, tables: Mapping[str, Rows | pa.Table]) -> dict[str, pa.Table]:
        spaces = [space_of(family) for family in self.families]
        return {name: table(name, rows, spaces) for name, rows in tables.items()}

    def study(self) -> dict[str, Any]:
        """The content of `study.json`."""
        settings = {
            "dataset": self.dataset,
            "families": [*self.families, *self.failed],
            "trials": 1,
            "epochs": self.epochs,
            "seeds": self.seeds,
            "train_fractions": list(self.fractions),
            "grace_period": 5,
            "reduction_factor": 3,
            **self.settings,
        }
        return {"name": NAME, "settings": settings, "demo": [], "test_openings": 1, **self.entries}

    def record(self) -> StudyRecord:
        """What is read of `study.json`."""
        return record(self.study())

    def write(self, folder: Path) -> Path:
        """Writes the study's folder."""
        return write_study(folder, self.study(), self.tables())

    def markdown(self) -> str:
        return markdown_of(self.report())

    def terminal(self, width: int = 200) -> str:
        return shown(self.report(), width)

    def report(self) -> Report:
        tables = self.tables()
        if "comparison" not in tables:
            tables["comparison"] = self.comparison()
        study = self.record()
        runs = split_runs(tables["predictions"], study.settings.families)
        return prepare(study, tables, runs=runs)


def shown(report: Report, width: int) -> str:
    """What a terminal so wide shows of a report."""
    console = Console(file=io.StringIO(), width=width)
    print_report(console, report)
    print_answer(console, report)
    return console.file.getvalue()


@cache
def macro_means(labels: bytes, predicted: bytes) -> tuple[float, float]:
    """Precision and recall by scikit-learn, once for the runs that many tests have alike."""
    both = (np.frombuffer(each, np.int64) for each in (labels, predicted))
    precision, recall, _, _ = precision_recall_fscore_support(
        *both, average="macro", zero_division=0
    )
    return float(precision), float(recall)


@dataclass(kw_only=True)
class MadeUpStudy(ComparedStudy):
    """A whole study; trials are per family, and `finished` False leaves a search that runs."""

    trials: int = 9
    epochs: int = 9
    classes: tuple[str, ...] = ("cat", "dog", "ship", "truck")
    test_images: int = 400
    seeds: int = 3
    fractions: tuple[float, ...] = (0.1, 1.0)
    seed_effect: float = 0.002
    grace: int = 3
    finished: bool = True
    """Whether the search and the finals are over."""
    begun: bool = True
    """Whether any trial has an epoch."""

    @cached_property
    def runs(self) -> dict[tuple[str, str, int, float], np.ndarray]:
        return super().runs if self.finished and self.begun else {}

    def tables(self) -> dict[str, pa.Table]:
        tables = super().tables()
        final_epochs = [
            epoch(
                row["trial_id"],
                number,
                **{name: row[name] for name in ("role", "seed", "train_fraction")},
                **SPEED,
                sequence=10**6 + self.epochs * index + number,
                reported_at=START + timedelta(hours=4, seconds=120 * index + 10 * number),
            )
            for index, row in enumerate(tables["final"].to_pylist())
            for number in range(1, self.epochs + 1)
        ]
        made = {"final_epochs": final_epochs, "comparison": self.comparison()}
        return {**tables, **self._filled({**made, **self.given})}

    def search(self) -> dict[str, Rows | pa.Table]:
        search = Search(self)
        trials = list(search.trials()) if self.begun else []
        events = [
            event("out_of_memory", row["error"], at=row["ended_at"], **names_of(row["trial_id"]))
            for row in trials
            if row["status"] == "failed"
        ]
        if self.finished:
            events.append(event("test_opened", "ab" * 32, minute=240))
        return {"trials": trials, "epochs": search.epochs, "rungs": search.rungs, "events": events}

    def study(self) -> dict[str, Any]:
        ended = START + timedelta(hours=5) if self.finished else None
        compared = super().study()
        content: dict[str, Any] = {
            "schema_version": 1,
            "outcome": "completed" if ended else "running",
            "started_at": START.isoformat(),
            "ended_at": ended and ended.isoformat(),
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
            content |= {"halted": {}, "choice": dict(self._winners())}
        else:
            del compared["test_openings"]
        settings = {
            "preset": "standard",
            "trials": self.trials,
            "grace_period": self.grace,
            "reduction_factor": 3,
            "seed": 0,
            "results_dir": "results",
        }
        return {**content, **compared, "settings": {**compared["settings"], **settings}}

    def _winners(self) -> Iterator[tuple[str, Row]]:
        """Each family's best trial, as `study.json` has it."""
        trials = self.search()["trials"]
        for family in self.families:
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
