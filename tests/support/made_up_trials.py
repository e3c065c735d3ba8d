"""Made-up trials in memory: how they are told, what they report, and a recorder of them."""

from pathlib import Path
from typing import Any

from orchestrator.results.schema import schemas
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.table_writer import TableWriter
from orchestrator.trials.trial import TrialSpec
from search_spaces.dimension import distributions
from trainables import node_check
from trainables.attempt_config import AttemptConfig
from trainables.registry import load_family


def make_recorder(
    folder: Path, devices_per_trial: float = 1, epochs_table: str = "epochs"
) -> Recorder:
    """A recorder whose trials reserve so many devices."""
    spaces = [distributions(load_family(name).search_space) for name in ("cnn",)]
    writer = TableWriter(folder, schemas(spaces), {})
    return Recorder(
        study="test",
        folder=folder,
        writer=writer,
        devices_per_trial=devices_per_trial,
        device="cpu",
        epochs_table=epochs_table,
        events=[],
    )


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


def config_of(
    folder: Path, *, number: int = 1, is_final: bool = False, **params: Any
) -> AttemptConfig:
    """An attempt at a trial of the family `curve`."""
    return AttemptConfig(
        trial_id="curve-001",
        family="curve",
        role="search",
        attempt=number,
        epochs_known=0,
        params={"skill": 0.9, "fault": "none", **params},
        seed=1,
        epochs=3,
        train_fraction=1.0,
        folder=str(folder),
        device="cpu",
        threads=1,
        accumulation=1,
        precision="fp32",
        reproducible=False,
        is_final=is_final,
    )


def attempt_config(folder: Path, trial_id: str, **own: Any) -> dict[str, Any]:
    """What Tune tells the process of an attempt at a trial with its family's baseline, on a CPU."""
    family = trial_id.rpartition("-")[0]
    return {
        **vars(config_of(folder)),
        "trial_id": trial_id,
        "family": family,
        "params": dict(load_family(family).baseline),
        "resources": {"CPU": 1},
        "epoch_time_limit": 60.0,
        "software": node_check.software(),
        "mix_devices": False,
        **own,
    }
