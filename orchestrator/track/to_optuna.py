"""A study's search in an Optuna journal that grows with it: `optuna-dashboard FILE` follows it."""

from pathlib import Path

from orchestrator.results import files
from orchestrator.track.optuna_journal import update_journal
from orchestrator.track.tracked_study import TrackedStudy


def open_at(place: str) -> "OptunaTracker":
    """The journal in a file."""
    return OptunaTracker(Path(place).expanduser().absolute())


class OptunaTracker:
    """See the module."""

    def __init__(self, path: Path) -> None:
        """Takes the file; one that is there is appended to."""
        self._path = path

    def update(self, study: TrackedStudy) -> None:
        """See `Tracker`; the search's own Optuna study has no trial outside its space either."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        update_journal(study.folder, files.read_study(study.folder), self._path)

    def close(self) -> None:
        """Nothing is open."""
