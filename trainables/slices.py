"""Drives a trainer a moment at a time, and copies aside what is to be written meanwhile."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from trainables.answers import epoch_row
from trainables.checkpoints import Chunk
from trainables.trainers import Trainer

Chunks = Callable[[], Iterable[Chunk]]
"""Makes the bytes of a file, in parts; in another thread, while training goes on."""


class Copied(Protocol):
    """What was copied aside."""

    def chunks(self) -> Iterable[Chunk]:
        """The bytes of its file, in parts."""


@runtime_checkable
class Pausing(Protocol):
    """A trainer that can pause within an epoch, and copy aside what it is in at once."""

    def train_slice(self) -> Mapping[str, Any] | None:
        """Trains for a moment; the epoch's columns where that was its end."""

    def snapshot(self) -> Copied:
        """The state; the one before is written by then, and is copied over."""

    def weights_snapshot(self) -> Copied:
        """The weights."""


class Slices:
    """The one way to drive both kinds of trainers.

    Attributes:
        pause: Whether training may go on for a moment while something is written.
    """

    def __init__(self, trainer: Trainer) -> None:
        """Takes a trainer, which may be `Pausing`."""
        self._trainer = trainer
        self.pause = isinstance(trainer, Pausing)

    def train(self) -> dict[str, Any] | None:
        """Trains for a moment, or an epoch; the epoch's columns where that was its end.

        Raises:
            ValueError: They are not those of an epoch.
        """
        if isinstance(self._trainer, Pausing):
            row = self._trainer.train_slice()
            return None if row is None else epoch_row(row)
        return epoch_row(self._trainer.train_epoch())

    def state(self) -> Chunks:
        """What training goes on from, as it is now."""
        if isinstance(self._trainer, Pausing):
            return self._trainer.snapshot().chunks
        state = self._trainer.state()
        return lambda: [state]

    def weights(self) -> Chunks:
        """The network's weights, as they are now."""
        if isinstance(self._trainer, Pausing):
            return self._trainer.weights_snapshot().chunks
        weights = self._trainer.weights()
        return lambda: [weights]
