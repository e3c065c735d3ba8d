"""A study's folder as it is left at various moments, for what is said of its status."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import made_up_rows
from made_up_rows import START, epoch, trial

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "families": ["cnn", "resnet50_transfer"],
    "dataset": "digits",
    "trials": 4,
    "epochs": 10,
    "seeds": 2,
    "train_fractions": [0.5, 1.0],
}
CLUSTER = {"cpus_per_trial": 2, "gpus_per_trial": 0.0, "max_concurrent": 2}
CHOICE = {
    "cnn": {
        "trial_id": "cnn-001",
        "params": {},
        "validation_accuracy": 0.625,
        "baseline_won": False,
    },
    "resnet50_transfer": {
        "trial_id": "resnet50_transfer-000",
        "params": {},
        "validation_accuracy": 0.75,
        "baseline_won": True,
    },
}


def write_study(
    folder: Path,
    *,
    outcome: str = "running",
    trials: Sequence[Mapping[str, Any]] | None = (),
    events: Sequence[Mapping[str, Any]] = (),
    final_epochs: Sequence[Mapping[str, Any]] = (),
    final: Sequence[Mapping[str, Any]] = (),
    **more: Any,
) -> Path:
    """Writes a study as it leaves it; `trials` None: before any table is written.

    Of each trial the epochs are there too: 10 s each, the first of them reported after 14 s.
    """
    content = {
        "name": folder.name,
        "outcome": outcome,
        "started_at": "2026-05-04T12:00:00+00:00",
        "ended_at": None if outcome == "running" else "2026-05-04T13:30:00+00:00",
        "settings": SETTINGS,
        "demo": [],
        "cluster": CLUSTER,
        **more,
    }
    tables = {"trials": trials, "events": events, "final_epochs": final_epochs, "final": final}
    tables["epochs"] = epochs_of(trials or ())
    return made_up_rows.write_study(folder, content, {} if trials is None else tables)


def epochs_of(trials: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The epochs of trials that began together, in the order in which they were reported."""
    last = max((row["epochs_run"] for row in trials), default=0)
    rounds = [
        (row["trial_id"], number)
        for number in range(1, last + 1)
        for row in trials
        if number <= row["epochs_run"]
    ]
    return [
        epoch(
            trial_id,
            number,
            sequence=sequence,
            epoch_seconds=10.0,
            reported_at=START + timedelta(seconds=4 + 10 * number),
        )
        for sequence, (trial_id, number) in enumerate(rounds, start=1)
    ]


SEARCHED = (
    trial("cnn-000", "completed", 10, 0.5),
    trial("cnn-001", "stopped", 5, 0.625),
    trial("cnn-002", "running", 5, 0.25),
    trial("resnet50_transfer-000", "running", 8, 0.75),
    trial("resnet50_transfer-001", "failed", 1, 0.9, validation_loss=0.1),
    trial("resnet50_transfer-002", "diverged", 2, 0.8),
)
ENDED = tuple(row for row in SEARCHED if row["status"] != "running")
