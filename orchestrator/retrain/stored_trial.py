"""A trial of a study as its tables have it, of the search or of the finals, with its epochs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from orchestrator.config.final_epochs import final_epochs
from orchestrator.config.settings import Settings
from orchestrator.results.rows import EpochRow, FinalRow, TrialRow
from orchestrator.results.states import State
from orchestrator.results.study_results import StudyResults
from orchestrator.run import finals
from orchestrator.trials.trial import TrialSpec


@dataclass(frozen=True, kw_only=True)
class StoredTrial:
    """A trial of the search, or a final run, as a study's tables have it.

    Attributes:
        spec: What it is.
        status: As in `trials.parquet`; a final run in `final.parquet` is `completed`.
        device: `cpu` or `cuda`.
        rows: Its epochs in order.
        epochs: How many it was to have, which its schedule reaches to.
        in_parts: Its batches may have been cut into parts, since its device's memory did not do.
    """

    spec: TrialSpec
    status: str
    device: str
    rows: Sequence[EpochRow]
    epochs: int
    in_parts: bool

    @property
    def diverged(self) -> bool:
        """The epoch after its last one had a loss that was not finite."""
        return self.status == State.DIVERGED


def read_trial(folder: Path, settings: Settings, trial_id: str) -> StoredTrial:
    """A trial of `trials.parquet` or a run of `final.parquet`, with its epochs.

    Raises:
        ValueError: There is no such trial, or it has no epoch to compare with.
    """
    results = StudyResults(folder)
    search = {row["trial_id"]: row for row in results.rows("trials")}
    # A winner that is the baseline has a row in either role; the baseline's comes first.
    final = {row["trial_id"]: row for row in reversed(results.rows("final"))}
    if trial_id in search:
        row: TrialRow | FinalRow = search[trial_id]
        epochs, seed, status = "epochs", row["seed"], search[trial_id]["status"]
        whole = settings.epochs
    elif trial_id in final:
        row, epochs, status = final[trial_id], "final_epochs", State.COMPLETED
        seed = finals.final_seed(settings, row["family"], row["seed"])
        whole = final_epochs(settings, row["train_fraction"])
    else:
        choices = ", ".join([*sorted(search), *sorted(final)]) or "none yet"
        raise ValueError(
            f"--trial must be in trials.parquet or final.parquet of {folder}, but got "
            f"{trial_id!r}; choose from {choices}"
        )
    table = results.table_or_empty(epochs).filter(pc.field("trial_id") == trial_id)
    stored = StoredTrial(
        spec=TrialSpec(
            trial_id=trial_id,
            family=row["family"],
            role=row["role"],
            params=json.loads(row["params_json"]),
            seed=seed,
            train_fraction=row["train_fraction"],
        ),
        epochs=whole,
        status=status,
        device=row["device"],
        rows=table.sort_by("epoch").to_pylist(),
        in_parts=any(
            (event["trial_id"], event["kind"]) == (trial_id, "out_of_memory")
            for event in results.rows("events")
        ),
    )
    if not stored.rows and not stored.diverged:
        raise ValueError(
            f"a trial must have an epoch to be compared, but {trial_id} ({stored.status}) has none"
        )
    return stored
