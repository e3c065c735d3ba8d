"""Trains one trial of a study again, with all that made it, and compares the two curves."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.config.final_epochs import final_epochs
from orchestrator.config.settings import Settings
from orchestrator.config.sources import from_json
from orchestrator.plan import inputs, memory, pretrained_weights, provenance
from orchestrator.results import code_version, files, manifest, schema
from orchestrator.results.rows import EpochRow, FinalRow, TrialRow
from orchestrator.results.states import State
from orchestrator.results.study_record import StudyRecord
from orchestrator.results.study_results import StudyResults
from orchestrator.run import finals
from orchestrator.trials.recorder import Report
from orchestrator.trials.trial import TrialSpec
from trainables import device_memory, registry
from trainables.attempt_config import AttemptConfig
from trainables.data.splitting import fraction_of
from trainables.epoch_rows import OBJECTIVES
from trainables.family import Family
from trainables.hardware import PRECISIONS
from trainables.names import full_name
from trainables.shared_data import SharedData
from trainables.trainers import Trainer, make_trainer
from trainables.weights import loading

# What depends on the seed alone and not on the clock.
COMPARED: Final = (
    *("train_loss", "train_accuracy", "learning_rate"),
    *(f"validation_{metric}" for metric in schema.METRICS),
)
# What of `study.json` says how a trial was trained.
NEEDED: Final = (
    *("cluster.cpus_per_trial", "dataset.files", "dataset.split_sha256", "weights", "runs"),
    *("environment", "code_sha256", "git_commit"),
)

# The trials named to choose from, those whose names are most alike.
MOST_CHOICES: Final = 10
# What an attempt knows of its trial.
SPECIFIED: Final = ("trial_id", "family", "role", "seed", "params", "train_fraction")


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


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch, as it was and as it is now.

    Attributes:
        number: From 1.
        stored: Its row in the study; None where the trial diverged.
        now: Its columns now; None where it diverges.
    """

    number: int
    stored: Report | None
    now: Report | None

    def differences(self) -> dict[str, float]:
        """Column to how far it is from the stored one; none where an epoch has no row."""
        if self.stored is None or self.now is None:
            return {}
        return {name: abs(self.now[name] - self.stored[name]) for name in COMPARED}


@dataclass(frozen=True, kw_only=True)
class Retraining:
    """A trial that is ready to be trained again.

    Attributes:
        study: The study.
        stored: The trial.
        trainer: With its network built and its data in place.
        device: What it is trained on now.
        unused: What the user named that this trial does not need.
    """

    study: StudyRecord
    stored: StoredTrial
    trainer: Trainer
    device: str
    unused: Sequence[str]

    def run(self) -> Iterator[Epoch]:
        """Trains, epoch by epoch; ends at one that diverges."""
        epochs = [*self.stored.rows, *([None] if self.stored.diverged else [])]
        for number, stored in enumerate(epochs, 1):
            try:
                now = self.trainer.train_epoch()
            except ArithmeticError:
                yield Epoch(number=number, stored=stored, now=None)
                return
            now["reported_at"] = datetime.now(UTC)
            yield Epoch(number=number, stored=stored, now=now)

    def table(self, epochs: Sequence[Epoch]) -> pa.Table:
        """The new curve in the columns of `epochs.parquet`."""
        spec = self.stored.spec
        same = {"study": self.study.name, "family": spec.family, "trial_id": spec.trial_id}
        column = OBJECTIVES[self.study.settings.objective]
        rows = [
            {**same, "sequence": epoch.number, "attempt": 1, **now, "objective": now.get(column)}
            for epoch in epochs
            if (now := epoch.now) is not None
        ]
        return schema.to_table(rows, schema.FIXED_SCHEMAS["epochs"])


def prepare(
    folder: Path,
    trial_id: str,
    *,
    data_dir: str | None,
    weights_name: str | None,
    device: str | None,
) -> Retraining:
    """Finds the trial, checks what it was trained on, and builds its network anew.

    Args:
        folder: The study's.
        trial_id: Of a search trial or a final run.
        data_dir: Where the data are now; None: where they were.
        weights_name: Where the pre-trained weights are now; None: where they were.
        device: `cpu` or `cuda`; None: what the trial ran on.

    Raises:
        ValueError: There is no such trial, it has no epoch, the device is not there, or data,
            split or weights are not those that `study.json` records.
    """
    study = files.read_study(folder)
    study.check_said(folder / "study.json", NEEDED)
    settings = from_json(study.raw["settings"])
    settings = replace(
        settings,
        data_dir=settings.data_dir if data_dir is None else data_dir,
        weights=settings.weights if weights_name is None else weights_name,
    )
    stored = _read_trial(folder, settings, full_name(trial_id))
    family = registry.load_family(stored.spec.family)
    device = stored.device if device is None else device
    _check_device(device, stored)
    shared = _shared(study, settings, family, stored.spec.train_fraction)
    config = AttemptConfig(
        **{name: getattr(stored.spec, name) for name in SPECIFIED},
        attempt=1,
        epochs_known=0,
        epochs=stored.epochs,
        folder=str(folder),
        device=device,
        accumulation=1,
        threads=study.cluster.cpus_per_trial,
        precision=_precision(study, device),
        reproducible=settings.reproducible,
        objective=settings.objective,
    )
    return Retraining(
        study=study,
        stored=stored,
        trainer=make_trainer(family, config, shared, device_memory.limit_of_images(device)),
        device=device,
        unused=["--weights"] if weights_name is not None and not family.pretrained else [],
    )


def explanations(retraining: Retraining) -> list[str]:
    """What is not as it was when the study ran, and so may explain a difference."""
    study, stored = retraining.study, retraining.stored
    pairs: dict[str, tuple[str | None, str]] = {
        "device": (stored.device, retraining.device),
        "precision": (study.precision, _precision(study, retraining.device)),
    }
    environment = manifest.environment()
    pairs |= {name: (study.environment.get(name), environment[name]) for name in environment}
    found = [
        f"{name}: {then} then, {now} now" for name, (then, now) in pairs.items() if then != now
    ]
    found += _other_code(study)
    if len(study.runs) > 1:
        found.append(
            f"the study ran {len(study.runs)} times, and study.json has the environment and "
            "the CPUs per trial of the last run"
        )
    if stored.in_parts:
        found.append("its batches may have been cut into parts: its device ran out of memory")
    if retraining.device == "cuda":
        found.append("on a GPU not every operation gives the same bits each time")
    return found


def _precision(study: StudyRecord, device: str) -> str:
    """The study's; on another device that lacks it, what that one computes with by itself."""
    stored = study.precision
    return stored if stored in PRECISIONS[device] else PRECISIONS[device][0]


def _other_code(study: StudyRecord) -> list[str]:
    try:
        now = code_version.code_sha256(study.settings.families, study.settings.dataset)
    except ValueError:  # a family outside the checkout that is not available
        return ["code: not all families of the study are here to be compared"]
    if now == study.code_sha256:
        return []
    return [
        f"code: SHA-256 {study.code_sha256} (commit {study.git_commit or 'not known'}) then, "
        f"{now} (commit {code_version.git_commit() or 'not known'}) now"
    ]


def _check_device(device: str, stored: StoredTrial) -> None:
    if device != "cuda":
        return
    import torch

    if not torch.cuda.is_available():
        raise ValueError(
            f"the device must be there, but {stored.spec.trial_id} ran on {stored.device}, cuda is "
            "asked for, and there is no CUDA device; --device cpu trains it on the CPU, which "
            "rounds otherwise"
        )


def _shared(study: StudyRecord, settings: Settings, family: Family, fraction: float) -> SharedData:
    """What the trial was trained on, its hashes checked; the test part stays closed."""
    file = None
    if family.pretrained:
        text = pretrained_weights.named_for(family.name, settings)
        file = pretrained_weights.locate(text, family)
        if file is None:
            raise ValueError(
                f"the weights of {family.name} must be there, but the demo's are in no cache here"
            )
        _refuse_any(provenance.other_weights(study, family.name, file))
    dataset = inputs.named_data_set(settings).open(settings.data_dir, settings.edge)
    provenance.check_own_validation(study, dataset)
    _refuse_any(provenance.other_files(study, dataset))
    training = memory.with_room(dataset).read_training()
    parts = inputs.divide(settings, dataset, training.labels)
    _refuse_any(provenance.other_split(study, parts))
    return SharedData(
        training=training,
        train={fraction: fraction_of(parts.train, training.labels, fraction, settings.seed)},
        validation=parts.validation,
        classes=dataset.classes,
        weights={} if file is None else {family.name: loading.read(file)},
    )


def _refuse_any(notes: Iterator[str]) -> None:
    for sentence in notes:
        raise ValueError(sentence)


def _read_trial(folder: Path, settings: Settings, trial_id: str) -> StoredTrial:
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
        choices = choices_for(trial_id, [*search, *final]) or "none yet"
        raise ValueError(
            f"--trial must be in trials.parquet or final.parquet of {folder}, but got "
            f"{trial_id!r}; choose from {choices}"
        )
    kinds = {event["kind"] for event in results.rows("events") if event["trial_id"] == trial_id}
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
        in_parts="out_of_memory" in kinds,
    )
    if not stored.rows and not stored.diverged:
        raise ValueError(
            f"a trial must have an epoch to be compared, but {trial_id} ({stored.status}) has none"
        )
    return stored


def choices_for(name: str, names: Sequence[str]) -> str:
    """The names to choose from in place of one: those that are most like it, and how many more."""
    near = sorted(get_close_matches(name, names, n=MOST_CHOICES, cutoff=0.0))
    more = len(names) - len(near)
    return f"{', '.join(near)}{f' and {more:,} more' if more else ''}"
