"""Publishes a study's folder as it is, without a driver."""

import time
from pathlib import Path

from orchestrator.results import files, published
from orchestrator.results.published import Place, Run, Snapshot, place_of, runs_of


def publish(folder: Path, address: str, runs: tuple[Run, ...] = ()) -> Place:
    """Publishes all files of a folder below an address, as its own runs' last driver or others."""
    place = place_of(f"{address}/{folder.name}", flag="--publish")
    place.check_writable()
    described = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name, file = path.relative_to(folder).as_posix(), published.described(path)
        if not path.name.startswith("."):
            place.send(path, published.object_name(name, file))
            described[name] = file
    place.write(
        Snapshot(
            study=folder.name,
            published_at=time.time(),
            runs=runs or runs_of(files.read_study(folder)),
            files=described,
        )
    )
    return place
