"""The files of a trial beside its checkpoints, and where they are in the study's folder."""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from trainables import checkpoints
from trainables.names import check_trial

PREDICTIONS: Final = "predictions.npz"
BEST_WEIGHTS: Final = "best.safetensors"


def checkpoint_folder(folder: Path, trial_id: str) -> Path:
    """Where the checkpoints of a trial of a study are.

    Raises:
        ValueError: It is no trial's id; a path, for example.
    """
    return folder / "checkpoints" / check_trial(trial_id)


def best_weights_file(folder: Path, epoch: int) -> Path:
    """Where a final keeps the weights of an epoch that was the best when it came."""
    return folder / f"best-{epoch:05d}.safetensors"


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
