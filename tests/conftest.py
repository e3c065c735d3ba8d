"""What several tests share: made-up images, a family without torch, and a recorder."""

from pathlib import Path

import numpy as np
import pytest

from orchestrator.recording import Recorder, TrialSpec
from orchestrator.results import schemas
from orchestrator.writing import TableWriter
from search_spaces.dimension import distributions
from trainables.dataset import LabeledImages
from trainables.registry import load_family


@pytest.fixture
def made_up_images() -> LabeledImages:
    """60 images of 3 classes that differ in colour: uint8 [60, 16, 16, 3]."""
    random = np.random.default_rng(0)
    labels = np.arange(60, dtype=np.int64) % 3
    images = random.integers(0, 80, (60, 16, 16, 3), dtype=np.uint8)
    images[np.arange(60), :, :, labels] += 120
    return LabeledImages(images=images, labels=labels)


@pytest.fixture
def awkward_path(tmp_path: Path) -> Path:
    """A folder whose name has spaces, quotes and letters beyond ASCII."""
    folder = tmp_path / "étude d'images (1)"
    folder.mkdir()
    return folder


FAMILIES = Path(__file__).parent / "families"


@pytest.fixture
def curve_family(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the family `curve` on the registry's path."""
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(FAMILIES))


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """A recorder of a search of the shipped families; nothing is written until asked."""
    spaces = [distributions(load_family(name).search_space) for name in ("cnn",)]
    writer = TableWriter(tmp_path, schemas(spaces), {})
    recorder = Recorder(
        study="test",
        folder=tmp_path,
        writer=writer,
        devices_per_trial=1,
        device="cpu",
        epochs_table="epochs",
        events=[],
    )
    recorder.write_search_tables()
    return recorder


def spec_of(trial_id: str, role: str = "search") -> TrialSpec:
    """A trial with the cnn's baseline hyperparameters."""
    return TrialSpec(
        trial_id=trial_id,
        family=trial_id.rpartition("-")[0],
        role=role,
        params=dict(load_family("cnn").baseline),
        seed=1,
        train_fraction=1.0,
    )


def row_of(epoch: int, accuracy: float, loss: float = 1.0) -> dict[str, float | None]:
    """An epoch's columns, made up."""
    return {
        "epoch": epoch,
        "train_loss": loss,
        "train_accuracy": accuracy,
        "validation_loss": loss,
        "validation_accuracy": accuracy,
        "validation_precision": accuracy,
        "validation_recall": accuracy,
        "learning_rate": 1e-4,
        "epoch_seconds": 1.0,
        "images_per_second": 10.0,
        "device_memory_peak_bytes": None,
    }
