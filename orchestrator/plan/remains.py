"""What a driver has left of its study: tables and claims, read though some may be damaged."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from orchestrator.plan import warm_start
from orchestrator.results import files
from orchestrator.results.schema import TEST_OPENED
from orchestrator.results.states import State
from orchestrator.results.study_record import StudyRecord
from trainables import checkpoints
from trainables.names import FAMILY, TRIAL

RESTORED: Final = (
    *("trials", "epochs", "rungs", "events", "final", "final_epochs", "predictions", "comparison"),
)


@dataclass(frozen=True, kw_only=True)
class Used:
    """What a study has used of its inputs, apart from the training part; what nobody can tell, too.

    Attributes:
        test: The test part was opened.
        weights: A family that begins with the weights has an epoch, or has learned from some.
    """

    test: bool
    weights: bool


def read_claims(folder: Path) -> tuple[dict[str, checkpoints.Claim], list[tuple[str, str]]]:
    """The claims of the last attempts by trial, and an event for each damaged or strange one."""
    claims, events = {}, []
    for path in sorted((folder / "checkpoints").glob("*")):
        if TRIAL.fullmatch(path.name) is None or not path.is_dir():
            stray = f"{path.name!r} in checkpoints/ is no trial's: left alone"
            events.append(("stray_file", stray))
            continue
        try:
            claim = checkpoints.claimed(path)
            if claim is not None and not _is_whole(claim, path.name):
                raise checkpoints.DamagedClaimError(f"{path} must be of {path.name}, but is not")
        except checkpoints.DamagedClaimError as error:
            claim = checkpoints.claim_of_newest(path)
            claim = claim if claim is not None and _is_whole(claim, path.name) else None
            instead = "it counts as missing" if claim is None else "a checkpoint says the same"
            events.append(("claim_damaged", f"{instead}: {error}"))
        if claim is not None:
            claims[path.name] = claim
    return claims, events


def read_tables(
    folder: Path, names: Sequence[str] = RESTORED
) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """The rows of each table, and what is wrong with those that are damaged.

    A table that is missing has no rows (the driver died before its first write); one that is
    damaged neither. The predictions are many, and looked at alone.
    """
    tables: dict[str, list[Any]] = {}
    damaged: dict[str, str] = {}
    for name in names:
        tables[name] = []
        if not os.path.lexists(folder / f"{name}.parquet"):
            continue
        try:
            table = files.read_table(folder, name)
            tables[name] = table.to_pylist() if name != "predictions" else []
        except ValueError as error:
            damaged[name] = str(error)
    return tables, damaged


def read_used(folder: Path, study: StudyRecord, pretrained: Collection[str]) -> Used:
    """What a study has used of its inputs; all of it where a table that says so is damaged."""
    tables, damaged = read_tables(folder, ("trials", "epochs", "events", "final_epochs"))
    claims, _ = read_claims(folder)
    _, learned_from = warm_start.kept(folder)
    opened = any(row["kind"] == TEST_OPENED for row in tables["events"])
    trained = {
        *(row["family"] for row in tables["trials"] if row["epochs_run"]),
        *(row["family"] for row in (*tables["epochs"], *tables["final_epochs"], *learned_from)),
        *(
            claim.trial["family"]
            for name, claim in claims.items()
            if checkpoints.epochs(folder / "checkpoints" / name)
        ),
    }
    return Used(
        test=bool(damaged) or opened or study.test_openings > 0,
        weights=bool(damaged) or not trained.isdisjoint(pretrained),
    )


def check_nothing_lost(folder: Path) -> dict[str, list[Any]]:
    """Checks that no trial has lost what it was trained with.

    Returns:
        The rows of its tables; see `read_tables`.

    Raises:
        ValueError: `trials.parquet` is damaged or missing, and epochs would be lost with it.
    """
    tables, damaged = read_tables(folder, ("trials", "epochs", "final"))
    known = {*read_claims(folder)[0], *(row["trial_id"] for row in tables["trials"])}
    lost = sorted({row["trial_id"] for row in tables["epochs"]} - known)
    if lost or ("trials" in damaged and not known):
        why = damaged.get("trials", f"{folder / 'trials.parquet'} lacks {', '.join(lost[:3])}")
        raise ValueError(
            "trials.parquet must have every trial, since what each was trained with is nowhere "
            f"else, but {why}; restore it from a copy, or start a new study"
        )
    return tables


def so_far(tables: Mapping[str, Sequence[Any]]) -> str:
    """What an earlier run of a study has done, in a sentence."""
    ended = sum(row["status"] != State.RUNNING for row in tables["trials"])
    tested = len({row["trial_id"] for row in tables["final"]})
    return (
        f"Of the search {ended:,} trials had ended and {len(tables['epochs']):,} epochs were "
        f"trained before, of the finals {tested:,} runs were tested."
    )


def _is_whole(claim: checkpoints.Claim, trial_id: str) -> bool:
    """Whether a claim says all that makes a trial of this name."""
    trial = claim.trial
    types = {"trial_id": str, "family": str, "role": str, "seed": int, "params": dict}
    return (
        trial.keys() == {*types, "train_fraction"}
        and all(isinstance(trial[name], kind) for name, kind in types.items())
        and isinstance(trial["train_fraction"], int | float)
        and trial["trial_id"] == trial_id
        and FAMILY.fullmatch(trial["family"]) is not None
    )
