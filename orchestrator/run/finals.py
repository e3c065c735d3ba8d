"""The finals: choice of winners, re-training of winners and baselines, predictions and tests."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.config.final_epochs import final_epochs
from orchestrator.config.searches import Search, search_for
from orchestrator.config.settings import ARITHMETIC, ENDS, OPERATIONAL, Settings
from orchestrator.plan.families import FamilyPlan
from orchestrator.results import files
from orchestrator.results.final_runs import final_id
from orchestrator.results.rows import FinalRow
from orchestrator.results.schema import FIXED_SCHEMAS, parameter_columns
from orchestrator.results.study_record import Choice
from orchestrator.trials.recorder import Recorder, Report
from orchestrator.trials.trial import TrialRecord, TrialSpec, winner
from search_spaces.baseline import Params
from trainables.epoch_rows import objective
from trainables.trainers import SIZES
from trainables.training.seeding import derive_seed
from trainables.trial_files import PREDICTIONS, checkpoint_folder, keep_predictions


def choose(recorder: Recorder, searches: Sequence[Search]) -> dict[str, Choice]:
    """Chooses the winner of each search that has one, by validation alone."""
    best = {search.name: winner(recorder.of_search(search.name)) for search in searches}
    return {name: choice_of(record) for name, record in best.items() if record is not None}


def choice_of(record: TrialRecord) -> Choice:
    """The entry of `study.json` for a winner."""
    assert record.best is not None
    return Choice(
        trial_id=record.spec.trial_id,
        params=dict(record.spec.params),
        validation_accuracy=record.best["validation_accuracy"],
        baseline_won=record.spec.role == "baseline",
    )


def digest(choice: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """The SHA-256 of a choice and its settings, to which an opening of the test set belongs.

    Where a study runs is left out: on another machine the choice is the same.
    """
    frozen = {
        name: value
        for name, value in settings.items()
        # Without a budget, or equal steps, a choice is what it was before there were any; and how a
        # study computes and proposes stays as it is, whether it is older than the setting or not.
        if name not in {*OPERATIONAL, *ARITHMETIC, "sampler"}
        and (value or name not in {*ENDS, "equal_steps"})
    }
    text = json.dumps({"choice": choice, "settings": frozen}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def final_specs(
    choice: Mapping[str, Choice | None],
    plans: Sequence[FamilyPlan],
    searches: Sequence[Search],
    settings: Settings,
) -> list[TrialSpec]:
    """The trials of the finals: each chosen baseline and winner, per seed and fraction.

    A winner that is the baseline is trained once, and so is one that is None: not known yet.
    Baseline and winner share their seeds.
    """
    return [
        TrialSpec(
            trial_id=final_id(plan.name, role, seed, fraction),
            family=plan.name,
            role=role,
            params=params,
            seed=final_seed(settings, plan.name, seed),
            train_fraction=fraction,
            seed_index=seed,
            epochs=final_epochs(settings, fraction),
        )
        for fraction in settings.train_fractions
        for seed in range(settings.seeds)
        for plan in plans
        for search in [search_for(searches, plan.name, fraction)]
        if search.name in choice
        for role, params in _roles(choice[search.name], plan)
    ]


def final_seed(settings: Settings, family: str, seed_index: int) -> int:
    """The seed of a family's re-training, the same for both roles."""
    return derive_seed(settings.seed, family, "final", seed_index)


def final_rows(record: TrialRecord, *, roles: Sequence[str], **known: Any) -> list[FinalRow]:
    """The rows of `final.parquet` of a completed run: one for each role it stands for.

    What is `known` besides are the columns that the record has not: `study`, `device`,
    `device_seconds`, `train_images` and `validation_images`.
    """
    result, best, spec = record.final, record.best, record.spec
    assert result is not None
    assert best is not None
    row = {
        **known,
        "family": spec.family,
        "seed": spec.seed_index,
        "trial_id": spec.trial_id,
        "train_fraction": spec.train_fraction,
        "epoch": best["epoch"],
        "validation_loss": best["validation_loss"],
        "validation_accuracy": best["validation_accuracy"],
        "objective": objective(best),
        "last_epoch": len(record.rows),
        "train_seconds": sum(epoch["epoch_seconds"] for epoch in record.rows),
        "device_name": record.place.get("device_name"),
        **measured(result),
        **parameter_columns(spec.params),
    }
    return [cast("FinalRow", {**row, "role": role}) for role in roles]


def measured(result: Report) -> dict[str, Any]:
    """A run's test metrics, from its last report or from its row in `final.parquet`."""
    return {
        name: value
        for name, value in result.items()
        if name.startswith("test_") or name in {"classes_never_predicted", *SIZES}
    }


def restore_predictions(folder: Path, records: Iterable[TrialRecord]) -> None:
    """Writes the predictions of tested runs again where their checkpoints are gone."""
    missing = [
        record.spec
        for record in records
        if not (checkpoint_folder(folder, record.spec.trial_id) / PREDICTIONS).exists()
    ]
    if not missing:
        return
    table = files.read_table(folder, "predictions")
    for spec in missing:
        own = table.filter(
            (pc.field("family") == spec.family)
            & (pc.field("role") == spec.role)
            & (pc.field("seed") == spec.seed_index)
            & (pc.field("train_fraction") == spec.train_fraction)
        )
        probabilities = np.stack(own["probabilities"].to_numpy())
        keep_predictions(
            checkpoint_folder(folder, spec.trial_id), probabilities, own["label"].to_numpy()
        )


def predictions(folder: Path, rows: Iterable[FinalRow], names: Sequence[str] = ()) -> pa.Table:
    """The table of `predictions.parquet` for rows of `final.parquet`.

    `names` are the files of the test images; empty where they are no files.
    """
    tables = [_predictions_of(folder, row, names) for row in rows]
    schema = FIXED_SCHEMAS["predictions"]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _roles(chosen: Choice | None, plan: FamilyPlan) -> list[tuple[str, Params]]:
    if chosen is None or chosen.baseline_won:
        return [("baseline", plan.baseline)]
    return [("baseline", plan.baseline), ("tuned", chosen.params)]


def _predictions_of(folder: Path, row: FinalRow, names: Sequence[str]) -> pa.Table:
    path = checkpoint_folder(folder, row["trial_id"]) / PREDICTIONS
    with np.load(path, allow_pickle=False) as arrays:
        probabilities, labels = arrays["probabilities"], arrays["labels"]
    count, classes = probabilities.shape
    offsets = np.arange(0, (count + 1) * classes, classes, dtype=np.int32)
    known: Mapping[str, Any] = row
    same = {name: known[name] for name in ("study", "family", "role", "seed", "train_fraction")}
    columns = {
        **{name: pa.array([value] * count) for name, value in same.items()},
        "image_index": np.arange(count, dtype=np.int32),
        "label": labels.astype(np.int16),
        "predicted": probabilities.argmax(axis=1).astype(np.int16),
        "probabilities": pa.ListArray.from_arrays(offsets, probabilities.ravel()),
        "file": pa.array(names, pa.string()) if names else pa.nulls(count, pa.string()),
    }
    return pa.table(columns).cast(FIXED_SCHEMAS["predictions"])
