"""Writer of `study.json`: settings, data, code and the machines that a study ran on."""

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any, Final

from orchestrator.config.settings import Settings, to_json
from orchestrator.results import code_version, files
from orchestrator.results.states import Outcome
from orchestrator.results.study_record import StudyRecord
from trainables import hardware

LIBRARIES: Final = ("ray", "optuna", "torch", "torchvision", "numpy", "pandas", "pyarrow")
HEIC_PLUGIN: Final = "pillow-heif"
"""Reads some images where it is installed, and need not be."""


class Manifest:
    """`study.json`, rewritten whole each time something is added; `study` is its content."""

    study: StudyRecord

    def __init__(self, folder: Path, content: Mapping[str, Any], check: Callable[[], None]) -> None:
        """Writes the file with its first content, that of `describe`.

        The check is called before each write; it raises where this process must write no more.
        """
        self._path, self._check = folder / "study.json", check
        self._content: dict[str, Any] = {}
        self.add(**content)

    def add(self, **content: Any) -> None:
        """Adds or replaces entries and writes the file."""
        self._check()
        self._content.update(content)
        # At once: threads read it, and what one of them made of older content must not stay.
        self.study = record_of(self._content).in_folder(self._path.parent)
        text = json.dumps(self._content, indent=2, default=str) + "\n"
        files.write_text(self._path, text, sync=True)  # what it says is nowhere else

    def end(self, outcome: str) -> None:
        """Records how this run of the study ended: `completed`, `incomplete`, `interrupted`, ..."""
        *earlier, this = self._content["runs"]
        ended = {"outcome": outcome, "ended_at": now()}
        self.add(**ended, runs=[*earlier, {**this, **ended}])


def record_of(content: Mapping[str, Any]) -> StudyRecord:
    """The record that will be read of a `study.json` with this content."""
    return StudyRecord.of(Path("study.json"), json.loads(json.dumps(content, default=str)))


def continued(study: StudyRecord, description: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `study.json` when a study is resumed.

    A setting that is newer than the study is not among its own as long as it stands at its default:
    the digest of a choice is over the settings, and the choice is the same.
    """
    *earlier, last = study.raw["runs"]
    if last["outcome"] == Outcome.RUNNING:  # it had no time to say how it ended
        last = {**last, "outcome": "killed"}
    runs = [*earlier, last, *description["runs"]]
    kept = {"started_at": study.started_at, "rungs": study.rungs}
    defaults, before = to_json(Settings()), study.raw["settings"]
    settings = {
        name: value
        for name, value in description["settings"].items()
        if name in before or value != defaults[name]
    }
    return {**study.raw, **description, **kept, "settings": settings, "runs": runs}


def table_metadata(study: StudyRecord) -> dict[str, str]:
    """Metadata of every Parquet file: the study, its code, and what its rows rest on."""
    return {
        "study": study.name,
        "git_commit": study.git_commit or "",
        "environment": json.dumps(study.environment),
        **stamp(study),
    }


def stamp(study: StudyRecord) -> dict[str, str]:
    """The hashes of what a study is based on, by which a table is known to be of it."""
    registered = study.registration
    return {
        "split_sha256": study.dataset.split_sha256,
        "data_sha256": sha256_of(study.dataset.files),
        "weights_sha256": study.weights_sha256 or "",
        **({"registration_sha256": registered.sha256} if registered else {}),
    }


def sha256_of(files: Mapping[str, str]) -> str:
    """One hash over many files, each with its own hash."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def environment() -> dict[str, str]:
    """Versions of Python and the libraries that results depend on, and the processor.

    And of this project where it is installed and no checkout, which has a commit.
    """
    own = code_version.package_version()
    optional = {each: [*distributions(name=each)] for each in (HEIC_PLUGIN, "timm")}
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": hardware.here().processor,
        **{library: version(library) for library in LIBRARIES},
        **{name: found[0].version for name, found in optional.items() if found},
        **({code_version.DISTRIBUTION: own} if own is not None else {}),
    }


def now() -> str:
    """The time as ISO 8601 text in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
