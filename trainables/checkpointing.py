"""Checkpoints of one trial: written whole, hashed, renamed last, the newest intact one found."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

KEPT: Final = 2


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


def save(folder: Path, *, epoch: int, state: bytes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes the checkpoint of an epoch and removes all but the newest two.

    The state comes first and its manifest last: a manifest that exists names a whole state.
    """
    folder.mkdir(parents=True, exist_ok=True)
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
        manifest = json.loads(_manifest_file(folder, epoch).read_bytes())
        path = _state_file(folder, epoch)
        state = path.read_bytes() if path.is_file() else b""
        found = hashlib.sha256(state).hexdigest()
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
    """Removes a trial's checkpoints, and the folder if nothing else is in it."""
    _remove(folder, epochs(folder))
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _remove(folder: Path, some: list[int]) -> None:
    for epoch in some:
        _manifest_file(folder, epoch).unlink()
        _state_file(folder, epoch).unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole: a temporary name that starts with a dot, then a rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)


def _state_file(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:05d}.pt"


def _manifest_file(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:05d}.json"
