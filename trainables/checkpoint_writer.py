"""Writes an attempt's checkpoints beside its training."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from trainables import checkpoints
from trainables.epoch_rows import best_row
from trainables.slices import Chunks
from trainables.trial_files import BEST_WEIGHTS, best_weights_file


class CheckpointWriter:
    """Writes one checkpoint at a time in a thread of its own; of a final its best weights too."""

    def __init__(self, folder: Path, claim: checkpoints.Claim, *, final: bool) -> None:
        """Takes where to write, and by whose right.

        Args:
            folder: Of the trial's checkpoints.
            claim: The attempt's.
            final: The trial is a final, whose best weights are kept.
        """
        self._folder, self._claim, self._is_final = folder, claim, final
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a checkpoint was begun that `finish` has not been asked for."""
        return self._writing is not None

    def begin(self, state: Chunks, weights: Chunks | None, rows: Sequence[dict[str, Any]]) -> None:
        """Begins to write a checkpoint; the one before it must be finished.

        Args:
            state: What training goes on from.
            weights: Those of the best epoch, where no file has them yet.
            rows: Of all epochs so far.
        """
        assert not self.busy
        self._writing = self._thread.submit(self._kept, state, weights, rows)

    def is_written(self) -> bool:
        """Whether the checkpoint that was begun is written, or cannot be."""
        return self._writing is not None and self._writing.done()

    def finish(self) -> bool:
        """Waits for the checkpoint that was begun.

        Returns:
            Whether there was one.

        Raises:
            Exception: Why it could not be written; see `checkpoints.save`.
        """
        if self._writing is None:
            return False
        self._writing.result()
        self._writing = None
        return True

    def close(self) -> None:
        """Waits for what is being written, so that nothing is written from here on."""
        self._thread.shutdown(wait=True)

    def _kept(self, *what: Any) -> None:
        with checkpoints.kept_in(self._folder):
            self._write(*what)

    def _write(self, state: Chunks, weights: Chunks | None, rows: Sequence[dict[str, Any]]) -> None:
        if self._is_final:
            self._keep_best(weights, rows)
        epoch = rows[-1]["epoch"]
        checkpoints.save(self._folder, epoch=epoch, state=state(), rows=rows, claim=self._claim)
        self._remove_unneeded_weights(rows)

    def _keep_best(self, weights: Chunks | None, rows: Sequence[dict[str, Any]]) -> None:
        """Keeps a final's weights of the epoch that is the best on validation by now.

        The file is named by its epoch: after a kill the epoch may be trained again and turn out
        worse, and then the best one before it must still be there.
        """
        own = best_weights_file(self._folder, best_row(rows)["epoch"])
        if weights is not None:
            checkpoints.must_hold(self._folder, self._claim)
            checkpoints.write_chunks(own, weights())
        if own.exists():
            checkpoints.link(own, self._folder / BEST_WEIGHTS)

    def _remove_unneeded_weights(self, rows: Sequence[dict[str, Any]]) -> None:
        """Leaves the weights that an attempt needs that goes on from any of the checkpoints."""
        folder = self._folder
        files = set(folder.glob(best_weights_file(folder, 0).name.replace("00000", "*")))
        needed = {best_row(rows[:epoch])["epoch"] for epoch in checkpoints.epochs(folder)}
        for file in files - {best_weights_file(folder, epoch) for epoch in needed}:
            file.unlink(missing_ok=True)
