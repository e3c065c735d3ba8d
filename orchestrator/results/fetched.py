"""A study that is stored at an address, brought here: to be read, or to be resumed."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final

import platformdirs
from filelock import FileLock

from orchestrator.results import files, lock, published
from orchestrator.results.published import Place, Snapshot
from trainables import checkpoints
from trainables.secrets import redacted

TRIES: Final = 5
"""A study that is published may remove a file between its manifest and our asking for it."""


def local_folder(results: str, *, weights: bool = False, flag: str = "RESULTS") -> Path:
    """The folder to read a study in: its own, or of an address a copy in the user's cache.

    Each call asks the address, which ends in the study's name, anew, and brings what has changed;
    the winners' weights where these are needed too. Errors name the `flag` that it was given by.

    Raises:
        ValueError: It is a file; or no study is stored at the address, or it cannot be read.
    """
    if "://" not in results:
        if Path(results).is_file():
            raise ValueError(f"{flag} must be a study's folder, but {results} is a file")
        return Path(results)
    place = published.place_of(results, flag=flag)
    folder = cache_folder(place)
    folder.mkdir(parents=True, exist_ok=True)

    def wanted(name: str) -> bool:
        top, ending = name.partition("/")[0], Path(name).suffix
        return top != "checkpoints" and (weights or ending != ".safetensors")

    with FileLock(folder.parent / ".lock"):
        snapshot = fetch(place, folder, wanted)
        before = lock.copy_of(folder)
        for name in set(before.files if before else ()) - set(snapshot.files):
            (folder / name).unlink(missing_ok=True)
        copy = lock.Copy(
            address=redacted(place.address),
            host=snapshot.runs[-1].host,
            pid=snapshot.runs[-1].pid,
            published_at=snapshot.published_at,
            files=sorted(snapshot.files),
        )
        files.write_text(folder / lock.COPY, json.dumps(asdict(copy)) + "\n")
    return folder


def bring_back(address: str, folder: Path) -> Snapshot:
    """Makes a study's folder from what is stored at an address, whole or not at all.

    Raises:
        ValueError: The folder exists, no study is stored there, or it cannot be read.
    """
    place = published.place_of(address, flag="--resume")
    if os.path.lexists(folder):
        raise ValueError(
            f"--resume of an address must make a new folder, but {folder} exists; choose another "
            f"--results-dir, or go on with what is there: --resume {folder.name}"
        )
    temporary = folder.with_name(f".{folder.name}.fetched")
    shutil.rmtree(temporary, ignore_errors=True)  # a killed try left it
    try:
        snapshot = fetch(place, temporary, lambda _: True)
        for path in temporary.rglob("*"):  # of a moment before, where it took more than one try
            if path.is_file() and path.relative_to(temporary).as_posix() not in snapshot.files:
                path.unlink()
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return snapshot


def fetch(place: Place, folder: Path, wanted: Callable[[str], bool]) -> Snapshot:
    """Downloads the files of one moment into a folder; those that are there already stay.

    Raises:
        ValueError: No study is stored there, or it cannot be read.
    """
    for _ in range(TRIES):
        snapshot = place.snapshot()
        if snapshot is None:
            raise ValueError(
                f"a study must lie at {place.address}, but there is none; give the address that it "
                "was published to, with its name at the end"
            )
        try:
            _fetch(place, folder, snapshot, wanted)
        except FileNotFoundError:
            continue
        return snapshot
    raise ValueError(
        f"a study must be whole, but files that {place.address} names do not lie there"
    )


def _fetch(place: Place, folder: Path, snapshot: Snapshot, wanted: Callable[[str], bool]) -> None:
    here: dict[str, Path] = {}
    for name in filter(wanted, snapshot.files):
        file, target = snapshot.files[name], folder / name
        object_name = published.object_name(name, file)
        target.parent.mkdir(parents=True, exist_ok=True)
        known = published.described(target) if target.is_file() else None
        if known is None or (known.bytes, known.sha256) != (file.bytes, file.sha256):
            if object_name in here:  # weights may have several names, and are needed once
                checkpoints.link(here[object_name], target)
            else:
                place.get(object_name, file, target)
        here.setdefault(object_name, target)
        os.utime(target, (file.modified, file.modified))


def cache_folder(place: Place) -> Path:
    """Where the copy of a published study is kept."""
    digest = hashlib.sha256(f"{place.filesystem.protocol} {place.path}".encode()).hexdigest()
    return platformdirs.user_cache_path("transfer-study") / "studies" / digest[:16] / place.name
