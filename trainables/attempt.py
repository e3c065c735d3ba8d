"""One attempt at one trial: goes on from its checkpoint, trains epoch by epoch, tests a final."""

import importlib
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from trainables import checkpoints
from trainables.data.dataset import LabeledImages
from trainables.family import Family
from trainables.names import check_trial
from trainables.registry import load_family
from trainables.shared_data import SharedData
from trainables.slices import Chunks, Slices

log = logging.getLogger(__name__)

PREDICTIONS: Final = "predictions.npz"
BEST_WEIGHTS: Final = "best.safetensors"
# What is measured as an epoch, and the highest that it can be; nothing can be below 0.
HIGHEST: Final = {
    **dict.fromkeys(("train_loss", "validation_loss"), math.inf),
    **dict.fromkeys(("train_accuracy", "validation_accuracy"), 1.0),
    **dict.fromkeys(("validation_precision", "validation_recall"), 1.0),
}
ROUNDING: Final = 1e-6
# Columns of `final.parquet` and what a trainer calls them.
SIZES: Final = ("parameters", "trained_parameters", "forward_flops_per_image")


class TestEvaluation(Protocol):
    """What a trainer says about the test part."""

    probabilities: Any
    labels: Any
    scores: Any

    def test_metrics(self) -> dict[str, float]:
        """The `test_*` columns of `final.parquet`."""


class Trainer(Protocol):
    """What an attempt needs of a trainer; `trainables.training.Trainer` is the real one."""

    epoch: int

    @property
    def parameters(self) -> int:
        """How many parameters the network has."""

    @property
    def trained_parameters(self) -> int:
        """How many of them are trained."""

    @property
    def forward_flops_per_image(self) -> int | None:
        """Floating point operations of one image's way forward; None where nobody can count."""

    def train_epoch(self) -> dict[str, Any]:
        """Trains for one epoch and validates; the epoch's columns."""

    def evaluate(self, data: LabeledImages) -> TestEvaluation:
        """Evaluates on other images."""

    def state(self) -> bytes:
        """Everything that training goes on from."""

    def load_state(self, state: bytes) -> None:
        """Goes on from a state."""

    def weights(self) -> bytes:
        """The network's weights."""

    def load_weights(self, weights: bytes) -> None:
        """Takes over weights."""


@dataclass(frozen=True, kw_only=True)
class AttemptConfig:
    """What one attempt is told; plain values, since it crosses processes.

    Attributes:
        trial_id: The study's own id, e.g. `cnn-003`.
        family: The family's name.
        role: `baseline` or `search`; in the finals `baseline` or `tuned`.
        attempt: From 1.
        epochs_known: Epochs of the trial that are recorded already, and so must have a checkpoint.
        params: The family's hyperparameters.
        seed: The trial's.
        epochs: Of the whole training.
        train_fraction: Share of the training images to train on.
        folder: The study's folder, absolute.
        device: `cpu` or `cuda`.
        threads: CPU threads.
        accumulation: Parts that each batch is cut into; more than 1 after the memory did not do.
        precision: `tf32`, `fp32` or `bf16`.
        reproducible: Deterministic algorithms alone.
        rungs: Epochs that are reported at once: it is decided then whether the trial goes on.
        checkpoint_seconds: Epochs are reported, too, when those since the last report took so many
            seconds; each is where the trainer cannot pause.
    """

    trial_id: str
    family: str
    role: str
    attempt: int
    epochs_known: int
    params: Mapping[str, Any]
    seed: int
    epochs: int
    train_fraction: float
    folder: str
    device: str
    threads: int
    accumulation: int
    precision: str
    reproducible: bool
    rungs: Sequence[int] = ()
    checkpoint_seconds: float = 0.0

    @property
    def checkpoints(self) -> Path:
        """The folder of this trial's checkpoints."""
        return checkpoint_folder(Path(self.folder), self.trial_id)

    @property
    def trial(self) -> dict[str, Any]:
        """What tells the trial from others, whatever attempts it takes."""
        names = ("trial_id", "family", "role", "seed", "train_fraction")
        return {**{name: getattr(self, name) for name in names}, "params": dict(self.params)}


class Attempt:
    """Trains a trial from wherever its last attempt came to."""

    def __init__(
        self, config: AttemptConfig, shared: SharedData, test: LabeledImages | None
    ) -> None:
        """Builds the trainer and loads the newest intact checkpoint, if there is one.

        Args:
            config: What to train.
            shared: What it is trained on.
            test: The decoded test part of a final; None in the search.

        Raises:
            RuntimeError: All checkpoints are damaged, or none is there of epochs that are recorded:
                nothing starts over silently.
        """
        self._config, self._test = config, test
        self._claim = checkpoints.claim(
            config.checkpoints, attempt=config.attempt, trial=config.trial
        )
        self._trainer = make_trainer(load_family(config.family), config, shared)
        self._slices = Slices(self._trainer)
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None
        self._saved = 0  # rows that have a checkpoint, or are having one written
        self._reported = 0
        self._stretch_began = self._last_epoch_ended = time.monotonic()
        self._diverged = ""
        self._best_weights: Chunks | None = None  # that no file has yet
        checkpoint, self._damaged = checkpoints.newest(config.checkpoints)
        self.rows: list[dict[str, Any]] = []
        if checkpoint is not None:
            self._trainer.load_state(checkpoint.state)
            self.rows = checkpoint.rows
            self._saved = len(self.rows)
            log.info("attempt %d goes on after epoch %d", config.attempt, checkpoint.epoch)
        elif self._damaged or config.epochs_known:
            missing = f"{config.epochs_known} epochs are recorded, but no checkpoint is intact"
            raise RuntimeError("; ".join([*self._damaged, missing]))
        self._first_epoch = len(self.rows) + 1

    def step(self, epoch_begins: Callable[[], None] = lambda: None) -> dict[str, Any]:
        """A stretch of epochs and its checkpoint; after the last of a final, the test as well.

        Of a trainer that trains whole epochs a stretch is one epoch. Of one that can pause it ends
        at the attempt's first epoch, at a rung, at the last epoch, and where its epochs took long
        enough; while its checkpoint is written, the next stretch goes on.

        Args:
            epoch_begins: Called after each epoch, before the next one begins.

        Returns:
            The columns of the last epoch of the stretch, `earlier_rows` with those of epochs before
            it that have not been reported, `done`, and where they apply `diverged`, the columns of
            `final.parquet`, and `damaged_checkpoints`, a sentence for each. The first step of an
            attempt reports again what its checkpoint knows, since it may never have been heard.
        """
        try:
            while not self._is_to_report():
                self._train(epoch_begins)
            if self._writing is not None:
                self._writing.result()
        except BaseException:
            self.close()
            raise
        if self._writing is None and self._diverged:
            return {**self._news(self.rows), "done": True, "diverged": self._diverged}
        self._writing = None
        rows = self.rows[: self._saved]
        result = {**self._news(rows[:-1]), **rows[-1]}
        if len(rows) < self._config.epochs:
            return {**result, "done": False}
        return {**result, "done": True, **self._final()}

    def close(self) -> None:
        """Waits for what is being written, so that nothing is written from here on."""
        self._writer.shutdown(wait=True)

    def _is_to_report(self) -> bool:
        """Whether there is something to report; begins to write what a stretch has come to."""
        if self._writing is None and self._stretch_is_over():
            self._begin_writing()
        if self._writing is None:
            return bool(self._diverged) or self._saved == self._config.epochs
        more = len(self.rows) < self._config.epochs and not self._diverged
        return self._writing.done() or not self._slices.pause or not more or self._stretch_is_over()

    def _stretch_is_over(self) -> bool:
        """Whether the last epoch that was trained is one that needs a checkpoint."""
        epoch = len(self.rows)
        if epoch == self._saved:
            return False
        at_once = {self._first_epoch, self._config.epochs, *self._config.rungs}
        if epoch in at_once or not self._slices.pause:
            return True
        return self._last_epoch_ended - self._stretch_began >= self._config.checkpoint_seconds

    def _train(self, epoch_begins: Callable[[], None]) -> None:
        """Trains for a moment; takes up the epoch that ends in it."""
        try:
            row = self._slices.train()
            if row is None:
                return
            self._check(row)
        except ArithmeticError as error:
            log.warning("diverged: %s", error)
            self._diverged = str(error)
            return
        self.rows.append(row)
        self._last_epoch_ended = time.monotonic()
        if self._test is not None and best_row(self.rows) is row:
            self._best_weights = self._slices.weights()
        log.info("%s", {k: round(v, 4) for k, v in row.items() if isinstance(v, float)})
        epoch_begins()

    def _check(self, row: dict[str, Any]) -> None:
        """Checks an epoch's columns, whichever trainer they are from.

        Raises:
            ArithmeticError: The trial has diverged.
            ValueError: They are not those of the next epoch.
        """
        expected = len(self.rows) + 1
        if row.get("epoch") != expected:
            message = f"a trainer's next row must be of epoch {expected}, but is {row.get('epoch')}"
            raise ValueError(message)
        wrong = impossible(row)
        if wrong:
            raise ArithmeticError(wrong)

    def _news(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Those of the rows that have not been reported, and what was found at the beginning."""
        news: dict[str, Any] = {"earlier_rows": list(rows[self._reported :])}
        if self._damaged:
            news["damaged_checkpoints"], self._damaged = self._damaged, []
        self._reported = self._saved
        return news

    def _begin_writing(self) -> None:
        """Has the checkpoint of the last epoch written beside the training."""
        state, weights, rows = self._slices.state(), self._best_weights, list(self.rows)
        self._best_weights = None
        self._writing = self._writer.submit(self._write, state, weights, rows)
        self._saved, self._stretch_began = len(rows), time.monotonic()

    def _write(self, state: Chunks, weights: Chunks | None, rows: list[dict[str, Any]]) -> None:
        folder = self._config.checkpoints
        if self._test is not None:
            self._keep_best(weights, rows)
        epoch = rows[-1]["epoch"]
        checkpoints.save(folder, epoch=epoch, state=state(), rows=rows, claim=self._claim)
        self._remove_unneeded_weights(rows)

    def _keep_best(self, weights: Chunks | None, rows: list[dict[str, Any]]) -> None:
        """Keeps a final's weights of the epoch that is the best on validation by now.

        The file is named by its epoch: after a kill the epoch may be trained again and turn out
        worse, and then the best one before it must still be there.
        """
        folder = self._config.checkpoints
        own = best_weights_file(folder, best_row(rows)["epoch"])
        if weights is not None:
            checkpoints.must_hold(folder, self._claim)
            checkpoints.write_chunks(own, weights())
        if own.exists():
            checkpoints.link(own, folder / BEST_WEIGHTS)

    def _remove_unneeded_weights(self, rows: list[dict[str, Any]]) -> None:
        """Leaves the weights that an attempt needs that goes on from any of the checkpoints."""
        folder = self._config.checkpoints
        files = set(folder.glob(best_weights_file(folder, 0).name.replace("00000", "*")))
        needed = {best_row(rows[:epoch])["epoch"] for epoch in checkpoints.epochs(folder)}
        for file in files - {best_weights_file(folder, epoch) for epoch in needed}:
            file.unlink(missing_ok=True)

    def _final(self) -> dict[str, Any]:
        """Tests the last epoch and the best one; keeps the predictions of the best."""
        if self._test is None:
            return {}
        last = self._trainer.evaluate(self._test)
        best, row = last, best_row(self.rows)
        if row is not self.rows[-1]:
            self._trainer.load_weights((self._config.checkpoints / BEST_WEIGHTS).read_bytes())
            best = self._trainer.evaluate(self._test)
        keep_predictions(self._config.checkpoints, best.probabilities, best.labels)
        return {
            **best.test_metrics(),
            **{f"{name}_last_epoch": value for name, value in last.test_metrics().items()},
            "best_epoch": row["epoch"],
            "classes_never_predicted": best.scores.classes_never_predicted,
            "test_images": len(self._test),
            **{name: getattr(self._trainer, name) for name in SIZES},
        }


def make_trainer(family: Family, config: AttemptConfig, shared: SharedData) -> Trainer:
    """The family's trainer for one attempt."""
    module, _, name = family.trainer.partition(":")
    trainer: Trainer = getattr(importlib.import_module(module), name)(
        family,
        config.params,
        shared.training,
        train=shared.train[config.train_fraction],
        validation=shared.validation,
        num_classes=len(shared.classes),
        weights=shared.weights if family.pretrained else None,
        seed=config.seed,
        epochs=config.epochs,
        device=config.device,
        threads=config.threads,
        accumulation=config.accumulation,
        precision=config.precision,
        reproducible=config.reproducible,
    )
    return trainer


def keep_predictions(
    folder: Path, probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> None:
    """Keeps what a final predicted beside its checkpoints, written whole.

    Args:
        folder: The final's.
        probabilities: Shape [test images, classes].
        labels: Shape [test images].
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{PREDICTIONS}"
    with checkpoints.needing_space(temporary), temporary.open("wb") as file:
        np.savez(file, probabilities=probabilities, labels=labels)
    temporary.replace(folder / PREDICTIONS)


def best_row(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The row of the highest validation accuracy; ties by lower loss, then the earlier epoch."""
    return max(rows, key=lambda row: (row["validation_accuracy"], -row["validation_loss"]))


def impossible(row: Mapping[str, Any]) -> str:
    """What in an epoch's columns cannot be measured, so that the trial has diverged; else empty."""
    for name in HIGHEST.keys() & row.keys():
        value, highest = row[name], HIGHEST[name]
        if not (math.isfinite(value) and -ROUNDING <= value <= highest + ROUNDING):
            limits = "at least 0" if highest == math.inf else f"from 0 to {highest:g}"
            return f"{name} must be finite and {limits}, but is {value} in epoch {row['epoch']}"
    return ""


def best_weights_file(folder: Path, epoch: int) -> Path:
    """Where a final keeps the weights of an epoch that was the best when it came."""
    return folder / f"best-{epoch:05d}.safetensors"


def checkpoint_folder(folder: Path, trial_id: str) -> Path:
    """Where the checkpoints of a trial of a study lie.

    Raises:
        ValueError: It is no trial's id; a path, for example.
    """
    return folder / "checkpoints" / check_trial(trial_id)
