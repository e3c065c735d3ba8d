"""Checkpoints of one trial: written whole, hashed, renamed last, the newest intact one found."""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

KEPT: Final = 2
Chunk = bytes | memoryview
CLAIM: Final = "attempt.json"
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
TAKES_NOTHING: Final = FULL | {errno.EROFS, errno.EFBIG}
"""Errors by which a disk takes no more, or nothing so large: no trial can keep what it finds."""
OF_A_PROCESS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of what a process has taken itself: too many open files, and memory."""


class SupersededError(RuntimeError):
    """A later attempt at the same trial has begun, so this one must write nothing more."""


class NotKeptError(OSError):
    """What a trial must keep is gone, or cannot be read or written; which is not its fault."""


class DiskFullError(NotKeptError):
    """The disk does not take what a trial must keep; nothing half written is left."""


class DamagedClaimError(ValueError):
    """A claim was cut, emptied, or is of something else."""


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
    with contextlib.suppress(DamagedClaimError):  # counts as missing, as whoever resumes has said
        earlier = claim_of_newest(folder) or claimed(folder)
        if earlier is not None and earlier.trial != trial and epochs(folder):
            raise RuntimeError(
                f"{folder} must have checkpoints of {dict(trial)}, but has those of {earlier.trial}"
            )
    _unlink(folder.glob(".*"))
    mine = Claim(attempt=attempt, trial=trial, token=uuid.uuid4().hex)
    write_bytes(folder / CLAIM, json.dumps(vars(mine)).encode())
    return mine


def claimed(folder: Path) -> Claim | None:
    """The claim of the last attempt at a trial; None where none has begun, or the trial ended.

    Raises:
        DamagedClaimError: It cannot be read, or lacks something.
    """
    path = folder / CLAIM
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DamagedClaimError(f"{path} must be JSON, but is not: {error}") from error
    return _claim_of(path, content)


def claim_of_newest(folder: Path) -> Claim | None:
    """The claim under which the newest checkpoint that can be read was written."""
    for epoch in reversed(epochs(folder)):
        with contextlib.suppress(ValueError, RecursionError):
            return _claim_of(folder, _read_manifest(folder, epoch).get("claim"))
    return None


def _claim_of(path: Path, content: Any) -> Claim:
    types = {"attempt": int, "trial": dict, "token": str}
    if not isinstance(content, dict) or {k: type(v) for k, v in content.items()} != types:
        raise DamagedClaimError(
            f"{path} must have {', '.join(types)}, but is {str(content)[:100]!r}"
        )
    return Claim(**content)


def must_hold(folder: Path, claim: Claim) -> None:
    """Checks that an attempt may still write.

    Raises:
        NotKeptError: The folder is gone, as it is where the trial has ended, of which nobody hears.
        SupersededError: A later attempt has begun.
    """
    if not folder.is_dir():
        raise NotKeptError(errno.ENOENT, f"{os.strerror(errno.ENOENT)}: {folder}")
    try:
        held = claimed(folder) == claim
    except DamagedClaimError:
        held = False
    if not held:
        raise SupersededError(
            f"attempt {claim.attempt} must be the last at its trial, but another has begun"
        )


def save(
    folder: Path,
    *,
    epoch: int,
    state: Iterable[Chunk],
    rows: Sequence[Mapping[str, Any]],
    claim: Claim,
) -> None:
    """Writes the checkpoint of an epoch and removes all but the newest two.

    The state comes first and its manifest last: a manifest that exists names a whole state.

    Raises:
        NotKeptError, SupersededError: See `must_hold`.
    """
    must_hold(folder, claim)
    size, digest = write_chunks(_state_file(folder, epoch), state)
    manifest = {
        "epoch": epoch,
        "bytes": size,
        "sha256": digest,
        "rows": [dict(row) for row in rows],
        "claim": vars(claim),
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
            manifest = _read_manifest(folder, epoch)
        except (ValueError, RecursionError) as error:
            damaged.append(f"manifest of the checkpoint of epoch {epoch} must be whole: {error}")
            continue
        if found == manifest["sha256"]:
            return Checkpoint(epoch=epoch, rows=manifest["rows"], state=state), damaged
        damaged.append(
            f"checkpoint of epoch {epoch} must have SHA-256 {manifest['sha256']} in "
            f"{manifest['bytes']} bytes, but has {found} in {len(state)}"
        )
    return None, damaged


def _read_manifest(folder: Path, epoch: int) -> dict[str, Any]:
    """What is said of a checkpoint.

    Raises:
        ValueError: It is no JSON, or lacks something.
    """
    content: Any = json.loads(_manifest_file(folder, epoch).read_bytes())
    rows = content.get("rows") if isinstance(content, dict) else None
    is_valid = isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
    if not is_valid or not {"epoch", "bytes", "sha256"} <= content.keys():
        raise ValueError("it must have epoch, bytes, sha256 and rows")
    return dict(content)


def epochs(folder: Path) -> list[int]:
    """The epochs that have a checkpoint, in ascending order."""
    found = (re.fullmatch(r"epoch-(\d{5,9})\.json", path.name) for path in folder.glob("epoch-*"))
    return sorted(int(match[1]) for match in found if match and (folder / match[0]).is_file())


def files_of(folder: Path) -> Iterator[Path]:
    """The claim of a trial, its checkpoints, and what was left half written; nothing strange."""
    names = (CLAIM, ".*", "epoch-*", "best-*")
    paths = (path for name in names for path in folder.glob(name))
    yield from (path for path in paths if path.is_file() or path.is_symlink())


def remove(folder: Path) -> None:
    """Removes a trial's checkpoints and claim, and the folder if nothing else is in it."""
    _unlink(files_of(folder))
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _unlink(paths: Iterator[Path]) -> None:
    for path in paths:
        if path.is_file() or path.is_symlink():
            path.unlink(missing_ok=True)


def _remove(folder: Path, some: list[int]) -> None:
    for epoch in some:
        _manifest_file(folder, epoch).unlink(missing_ok=True)
        _state_file(folder, epoch).unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole; see `write_chunks`."""
    write_chunks(path, [content])


def write_chunks(path: Path, chunks: Iterable[Chunk]) -> tuple[int, str]:
    """Writes a file whole: a temporary name that starts with a dot, then a rename.

    Returns:
        How many bytes it has, and their SHA-256.

    Raises:
        DiskFullError: It does not fit.
    """
    temporary, size, digest = path.with_name(f".{path.name}.{os.getpid()}"), 0, hashlib.sha256()
    with needing_space(temporary), temporary.open("wb") as file:
        for chunk in chunks:
            size += file.write(chunk)
            digest.update(chunk)
    temporary.replace(path)
    return size, digest.hexdigest()


@contextlib.contextmanager
def needing_space(temporary: Path) -> Iterator[None]:
    """What is begun inside is removed, and the error says so, where the disk becomes full."""
    try:
        yield
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not is_full(error):
            raise
        why = "no space is left for" if error.errno in FULL else f"{error.strerror}:"
        raise DiskFullError(error.errno, f"{why} {temporary}") from error


@contextlib.contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """What is done inside is done with files of a study: no trial is at fault if that fails.

    Raises:
        NotKeptError: The system cannot, but for what the process has taken itself.
    """
    try:
        yield
    except NotKeptError:
        raise
    except OSError as error:
        if error.errno is None or error.errno in OF_A_PROCESS:
            raise
        kind = DiskFullError if is_full(error) else NotKeptError
        raise kind(error.errno, f"{error.strerror}: {error.filename or folder}") from error


def is_full(error: BaseException | None) -> bool:
    """Whether an error says that a disk, or a user's share of it, is full, or takes nothing."""
    return isinstance(error, OSError) and error.errno in TAKES_NOTHING


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
