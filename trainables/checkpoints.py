"""Checkpoints of one trial: written whole, hashed, renamed last, the newest intact one found."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

KEPT: Final = 2
CLAIM: Final = "attempt.json"


class SupersededError(RuntimeError):
    """A later attempt at the same trial has begun, so this one must write nothing more."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint that was found intact.

    Attributes:
        epoch: Epochs done.
        rows: The trial's rows of these epochs, oldest first.
        state: What the trainer goes on from.
    """

    epoch: int
    rows: list[dict[str, Any]]
    state: bytes


@dataclass(frozen=True, kw_only=True)
class Claim:
    """An attempt's right to write a trial's checkpoints; the last attempt that began has it.

    Attributes:
        attempt: Its number, from 1.
        trial: What tells the trial from others: its id, hyperparameters, seed, ...
        token: Unlike any other claim's.
    """

    attempt: int
    trial: Mapping[str, Any]
    token: str


def claim(folder: Path, *, attempt: int, trial: Mapping[str, Any]) -> Claim:
    """Begins an attempt: what an earlier one has left unfinished goes, its checkpoints stay.

    Args:
        folder: The trial's.
        attempt: Number of the attempt, from 1.
        trial: Plain values; see `Claim`.

    Raises:
        RuntimeError: The folder has checkpoints of a trial that differs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    earlier = claimed(folder)
    if earlier is not None and earlier.trial != trial:
        message = (
            f"{folder} must have checkpoints of {dict(trial)}, but has those of {earlier.trial}"
        )
        raise RuntimeError(message)
    for leftover in folder.glob(".*"):
        leftover.unlink(missing_ok=True)
    mine = Claim(attempt=attempt, trial=trial, token=uuid.uuid4().hex)
    write_bytes(folder / CLAIM, json.dumps(vars(mine)).encode())
    return mine


def claimed(folder: Path) -> Claim | None:
    """The claim of the last attempt at a trial; None where none has begun, or the trial ended."""
    try:
        return Claim(**json.loads((folder / CLAIM).read_bytes()))
    except FileNotFoundError:
        return None


def must_hold(folder: Path, claim: Claim) -> None:
    """Checks that an attempt may still write.

    Raises:
        SupersededError: A later attempt has begun, or the trial has ended.
    """
    if claimed(folder) != claim:
        message = f"attempt {claim.attempt} must be the last at its trial, but another has begun"
        raise SupersededError(message)


def save(
    folder: Path, *, epoch: int, state: bytes, rows: Sequence[Mapping[str, Any]], claim: Claim
) -> None:
    """Writes the checkpoint of an epoch and removes all but the newest two.

    The state comes first and its manifest last: a manifest that exists names a whole state.

    Raises:
        SupersededError: A later attempt has begun, or the trial has ended.
    """
    must_hold(folder, claim)
    write_bytes(_state_file(folder, epoch), state)
    manifest = {
        "epoch": epoch,
        "bytes": len(state),
        "sha256": hashlib.sha256(state).hexdigest(),
        "rows": [dict(row) for row in rows],
    }
    write_bytes(_manifest_file(folder, epoch), json.dumps(manifest).encode())
    _remove(folder, epochs(folder)[:-KEPT])


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest intact checkpoint, and a sentence for each newer one that is damaged."""
    damaged: list[str] = []
    for epoch in reversed(epochs(folder)):
        path = _state_file(folder, epoch)
        state = path.read_bytes() if path.is_file() else b""
        found = hashlib.sha256(state).hexdigest()
        try:
            manifest = json.loads(_manifest_file(folder, epoch).read_bytes())
        except ValueError as error:
            damaged.append(f"manifest of the checkpoint of epoch {epoch} must be JSON: {error}")
            continue
        if found == manifest["sha256"]:
            return Checkpoint(epoch=epoch, rows=manifest["rows"], state=state), damaged
        damaged.append(
            f"checkpoint of epoch {epoch} must have SHA-256 {manifest['sha256']} in "
            f"{manifest['bytes']} bytes, but has {found} in {len(state)}"
        )
    return None, damaged


def epochs(folder: Path) -> list[int]:
    """The epochs that have a checkpoint, in ascending order."""
    return sorted(int(path.stem.removeprefix("epoch-")) for path in folder.glob("epoch-*.json"))


def remove(folder: Path) -> None:
    """Removes a trial's checkpoints and claim, and the folder if nothing else is in it."""
    (folder / CLAIM).unlink(missing_ok=True)
    _remove(folder, epochs(folder))
    for leftover in (f for name in (".*", "epoch-*.pt", "best-*") for f in folder.glob(name)):
        leftover.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _remove(folder: Path, some: list[int]) -> None:
    for epoch in some:
        _manifest_file(folder, epoch).unlink(missing_ok=True)
        _state_file(folder, epoch).unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole: a temporary name that starts with a dot, then a rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)


def link(source: Path, target: Path) -> None:
    """Has a file under another name too, in place of what has that name; no bytes are written."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        temporary.hardlink_to(source)
    except OSError:  # a file system without
        shutil.copyfile(source, temporary)
    temporary.replace(target)
    temporary.unlink(missing_ok=True)  # left where both names were the same file already


def _state_file(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:05d}.pt"


def _manifest_file(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:05d}.json"
