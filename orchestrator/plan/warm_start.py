"""A warm start: another study's trials on the same data, from which the search learns first."""

import json
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.config.searches import search_of, searches_of
from orchestrator.config.settings import Settings
from orchestrator.plan.families import FamilyPlan
from orchestrator.plan.inputs import Inputs
from orchestrator.plan.provenance import changed, changed_weights
from orchestrator.results import files
from orchestrator.results.rows import EpochRow, TrialRow
from orchestrator.results.states import MAY_WIN, State
from orchestrator.results.study_record import StudyRecord
from search_spaces.dimension import outside

FOLDER: Final = "warm_start"
TABLES: Final = ("trials", "epochs")
# What of `study.json` says whether accuracies can be compared.
NEEDED: Final = (
    *("weights", "dataset.name", "dataset.files", "dataset.image_shape", "dataset.split_sha256"),
)
LEARNED_FROM: Final = (*MAY_WIN, State.DIVERGED)


@dataclass(frozen=True, kw_only=True)
class WarmStart:
    """Trials to learn from, as tables of their own study, whose name is kept; epochs by sequence.

    Of its trials of these families, `left_out` is how many do not count.
    """

    study: str
    trials: pa.Table
    epochs: pa.Table
    left_out: int


@dataclass(frozen=True, kw_only=True)
class Source:
    """A study to learn from, as it is stored."""

    folder: Path
    study: StudyRecord
    trials: pa.Table
    epochs: pa.Table


def read(source: Path) -> Source:
    """Reads a study to learn from, of which nothing is compared yet.

    Raises:
        ValueError: It is no study, or a part of it cannot be read.
    """
    if not (source / "study.json").is_file():
        rule = "--warm-start must name the folder of a study"
        raise ValueError(f"{rule}, but {source} has no study.json")
    try:
        study = files.read_study(source)
        study.check_said(source / "study.json", NEEDED)
        trials, epochs = (files.read_table(source, name) for name in TABLES)
    except (ValueError, OSError) as error:
        raise ValueError(f"--warm-start must name a study that can be read, but {error}") from error
    return Source(folder=source, study=study, trials=trials, epochs=epochs)


def check(
    source: Source, plans: Sequence[FamilyPlan], settings: Settings, inputs: Inputs
) -> WarmStart:
    """The trials of a study that is learned from.

    Trials that failed, have not ended, lack an epoch (their driver was killed between two files),
    or lie outside the spaces are left out.

    Raises:
        ValueError: Its accuracies cannot be compared with this one's: other data, split, weights,
            epochs or share of the training images; or it has none of these trials.
    """
    study, trials, epochs = source.study, source.trials, source.epochs
    spaces = {plan.name: plan.space for plan in plans}
    own = [row for row in trials.to_pylist() if row["family"] in spaces]
    pretrained = {plan.name for plan in plans if plan.pretrained}
    warmed = pretrained & {row["family"] for row in own}
    fractions = {each.name: each.train_fraction for each in searches_of(spaces, settings)}
    searches = [(row["train_fraction"], search_of(row["trial_id"])) for row in own]
    shares = (("train_fraction", share, fractions.get(name, share)) for share, name in searches)
    for what, before, now in chain(_compared(study, settings, inputs, warmed), shares):
        if before != now:
            raise ValueError(
                "--warm-start must name a study whose accuracies compare with this one's, but "
                f"{what} is {before} in {source.folder} and {now} here"
            )
    counted = Counter(epochs["trial_id"].to_pylist())
    used = [
        row["trial_id"]
        for row in own
        if row["status"] in LEARNED_FROM
        and search_of(row["trial_id"]) in fractions
        and counted[row["trial_id"]] == row["epochs_run"]
        and set(params := json.loads(row["params_json"])) == set(spaces[row["family"]])
        and not outside(spaces[row["family"]], params)
    ]
    if not used:
        raise ValueError(
            "--warm-start must name a study with trials in these spaces, but "
            f"{source.folder} has none"
        )
    chosen = pc.field("trial_id").isin(used)
    return WarmStart(
        study=study.name,
        trials=trials.filter(chosen),
        epochs=epochs.filter(chosen).sort_by("sequence"),
        left_out=len(own) - len(used),
    )


def keep(folder: Path, warm: WarmStart | None) -> None:
    """Keeps the trials in a new study's own folder, which then needs the other study no more.

    What another start in this folder left, killed before its study began, is removed.
    """
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    if warm is None:
        return
    (folder / FOLDER).mkdir()
    for name in TABLES:
        table = getattr(warm, name)
        metadata = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
        files.write_table(folder / FOLDER, name, table, metadata)


def check_kept(folder: Path, settings: Settings) -> None:
    """Checks that a resumed study still has what it learned from; raises a `ValueError`."""
    kept(folder)
    if settings.warm_start is not None and not (folder / FOLDER).is_dir():
        raise ValueError(
            f"{folder / FOLDER} must keep the trials of {settings.warm_start} that the study has "
            "learned from, but is missing"
        )


def kept(folder: Path) -> tuple[list[TrialRow], list[EpochRow]]:
    """Rows of the trials and epochs that a study has learned from; none without warm start."""
    if not (folder / FOLDER).exists():
        return [], []
    trials, epochs = (files.read_table(folder / FOLDER, name).to_pylist() for name in TABLES)
    return trials, epochs


def _compared(
    study: StudyRecord, settings: Settings, inputs: Inputs, pretrained: Collection[str]
) -> Iterator[tuple[str, object, object]]:
    """Name, value there and value here of what must be the same."""
    theirs = study.dataset
    yield "dataset", theirs.name, settings.dataset
    for name, before, now in changed(theirs.files, inputs.dataset.files):
        yield f"SHA-256 of the data file {name}", before, now
    yield "image shape", theirs.image_shape, list(inputs.training.images.shape[1:])
    yield "SHA-256 of the split", theirs.split_sha256, inputs.split.digest
    yield "epochs", study.settings.epochs, settings.epochs
    yield "objective", study.settings.objective, settings.objective
    # The demo's own are not made yet where they are None, so no study can have used them.
    weights = {family: inputs.weights_files[family] for family in pretrained}
    yield from changed_weights(study, weights)
