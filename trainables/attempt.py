"""One attempt at one trial: goes on from its checkpoint, trains epoch by epoch, tests a final."""

import errno
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from trainables import answers, checkpoints
from trainables.attempt_config import AttemptConfig
from trainables.checkpoint_writer import CheckpointWriter
from trainables.data.dataset import LabeledImages
from trainables.epoch_rows import OBJECTIVES, best_row, impossible
from trainables.registry import load_family
from trainables.shared_data import SharedData
from trainables.slices import Chunks, Slices
from trainables.trainers import make_trainer
from trainables.trial_files import BEST_WEIGHTS, keep_predictions

log = logging.getLogger(__name__)


class Attempt:
    """Trains a trial from wherever its last attempt came to."""

    def __init__(
        self,
        config: AttemptConfig,
        shared: SharedData,
        test: LabeledImages | None,
        *,
        image_memory: int | None = None,
    ) -> None:
        """Builds the trainer and loads the newest intact checkpoint, if there is one.

        Args:
            config: What to train.
            shared: What it is trained on.
            test: The decoded test part of a final; None before the choice, when nothing is tested.
            image_memory: Bytes that images may take on its device; None: all that they need.

        Raises:
            NotKeptError: All checkpoints are damaged, or none is there of epochs that are recorded:
                nothing starts over silently.
            ValueError: The trainer cannot say how many parameters its network has.
        """
        self._config, self._test, self._classes = config, test, len(shared.classes)
        with checkpoints.kept_in(config.checkpoints):
            claim = checkpoints.claim(
                config.checkpoints, attempt=config.attempt, trial=config.trial
            )
        self._trainer = make_trainer(load_family(config.family), config, shared, image_memory)
        answers.counts(self._trainer)  # which finals need, after the search
        self._slices = Slices(self._trainer)
        self._writer = CheckpointWriter(config.checkpoints, claim, final=config.is_final)
        self._saved = 0  # rows that have a checkpoint, or are having one written
        self._reported = 0
        self._stretch_began = self._last_epoch_ended = time.monotonic()
        self._diverged = ""
        self._best_weights: Chunks | None = None  # that no file has yet
        with checkpoints.kept_in(config.checkpoints):
            checkpoint, self._damaged = checkpoints.newest(config.checkpoints)
        self.rows: list[dict[str, Any]] = []
        if checkpoint is not None:
            self._trainer.load_state(checkpoint.state)
            self.rows = checkpoint.rows
            self._saved = len(self.rows)
            log.info("attempt %d goes on after epoch %d", config.attempt, checkpoint.epoch)
        elif self._damaged or config.epochs_known:
            missing = f"{config.epochs_known} epochs are recorded, but no checkpoint is intact"
            raise checkpoints.NotKeptError(
                errno.ENOENT, "; ".join([f"{missing} in {config.checkpoints}", *self._damaged])
            )
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
            written = self._writer.finish()
        except BaseException:
            self.close()
            raise
        if self._diverged and not written:
            return {**self._news(self.rows), "done": True, "diverged": self._diverged}
        rows = self.rows[: self._saved]
        result = {**self._news(rows[:-1]), **rows[-1]}
        if len(rows) < self._config.epochs:
            return {**result, "done": False}
        return {**result, "done": True, **self._final()}

    def close(self) -> None:
        """Waits for what is being written, so that nothing is written from here on."""
        self._writer.close()

    def _is_to_report(self) -> bool:
        """Whether there is something to report; begins to write what a stretch has come to."""
        if not self._writer.busy and self._stretch_is_over():
            self._writer.begin(self._slices.state(), self._best_weights, list(self.rows))
            self._best_weights = None
            self._saved, self._stretch_began = len(self.rows), time.monotonic()
        if not self._writer.busy:
            return bool(self._diverged) or self._saved == self._config.epochs
        if self._writer.is_written() or not self._slices.pause or self._stretch_is_over():
            return True
        return len(self.rows) == self._config.epochs or bool(self._diverged)

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
        """Trains for a moment; records the epoch that ends in it."""
        try:
            row = self._slices.train()
            if row is None:
                return
            self._check(row)
            row["objective"] = self._objective(row)
        except ArithmeticError as error:
            log.warning("diverged: %s", error)
            self._diverged = str(error)
            return
        self.rows.append(row)
        self._last_epoch_ended = time.monotonic()
        if self._config.is_final and best_row(self.rows) is row:
            self._best_weights = self._slices.weights()
        if "images_fed" in row:
            log.info("%s", row["images_fed"])
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
            raise ValueError(
                f"a trainer's next row must be of epoch {expected}, but is {row.get('epoch')}"
            )
        wrong = impossible(row)
        if wrong:
            raise ArithmeticError(wrong)

    def _objective(self, row: dict[str, Any]) -> float:
        """What an epoch is compared by.

        Raises:
            ValueError: The trainer does not measure it.
        """
        column = OBJECTIVES[self._config.objective]
        if column not in row:
            raise ValueError(
                f"a trainer's rows must have {column} for the objective, but have none"
            )
        value: float = row[column]
        return value

    def _news(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Those of the rows that have not been reported, and what was found at the beginning."""
        news: dict[str, Any] = {"earlier_rows": list(rows[self._reported :])}
        if self._damaged:
            news["damaged_checkpoints"], self._damaged = self._damaged, []
        self._reported = self._saved
        return news

    def _final(self) -> dict[str, Any]:
        """Tests the last epoch and the best one; keeps the predictions of the best."""
        if self._test is None:
            return {}
        last = self._tested_on(self._test)
        best, row = last, best_row(self.rows)
        if row is not self.rows[-1]:
            with checkpoints.kept_in(self._config.checkpoints):
                weights = (self._config.checkpoints / BEST_WEIGHTS).read_bytes()
            self._trainer.load_weights(weights)
            best = self._tested_on(self._test)
        with checkpoints.kept_in(self._config.checkpoints):
            keep_predictions(self._config.checkpoints, best.probabilities, self._test.labels)
        return {
            **best.metrics,
            **{f"{name}_last_epoch": value for name, value in last.metrics.items()},
            "best_epoch": row["epoch"],
            "classes_never_predicted": best.classes_never_predicted,
            "test_images": len(self._test),
            **answers.sizes(self._trainer),
        }

    def _tested_on(self, test: LabeledImages) -> answers.Tested:
        return answers.tested(self._trainer.evaluate(test), test, self._classes)
