"""The configuration of one attempt at a trial."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_spaces.baseline import Params
from trainables.trial_files import checkpoint_folder


@dataclass(frozen=True, kw_only=True)
class AttemptConfig:
    """The configuration of one attempt; plain values, since it crosses processes.

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
        is_final: It is tested once its test part is there, so its best weights are kept till then.
        objective: What epochs are compared by, one of `epoch_rows.OBJECTIVES`.
        rungs: Epochs that are reported at once: it is decided then whether the trial goes on.
        checkpoint_seconds: Epochs are reported, too, when those since the last report took so many
            seconds; each is where the trainer cannot pause.
    """

    trial_id: str
    family: str
    role: str
    attempt: int
    epochs_known: int
    params: Params
    seed: int
    epochs: int
    train_fraction: float
    folder: str
    device: str
    threads: int
    accumulation: int
    precision: str
    reproducible: bool
    is_final: bool = False
    objective: str = "accuracy"
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
