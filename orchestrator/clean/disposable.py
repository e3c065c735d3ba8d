"""What is stored in a study's folder but no longer needed, and how many bytes that is."""

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.results import files, published
from orchestrator.results.kept_weights import seed_folders
from orchestrator.results.states import ENDED, State
from orchestrator.results.study_results import StudyResults
from trainables import checkpoints
from trainables.names import check_trial


@dataclass(frozen=True, kw_only=True)
class Disposable:
    """Something to remove.

    Attributes:
        path: A file, or a folder with all that is in it.
        what: In words.
    """

    path: Path
    what: str

    @property
    def bytes(self) -> int:
        """What it takes."""
        if not self.path.is_dir() or self.path.is_symlink():
            return self.path.lstat().st_size
        return sum(each.lstat().st_size for each in self.path.rglob("*") if not each.is_dir())

    def remove(self) -> None:
        """Removes it; a link goes, not what it leads to."""
        if self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path)
        else:
            self.path.unlink(missing_ok=True)


def find(folder: Path, *, ensembles: bool = False) -> list[Disposable]:
    """What is disposable of a study that no driver holds; nothing that resuming it needs.

    Args:
        folder: The study's.
        ensembles: So are the weights of its winners' seeds beside the best, which an ensemble needs
            and nothing else.

    Raises:
        ValueError: It is no study, it is damaged, or a link in it leads out of it.
    """
    files.check_inside(folder)
    results = StudyResults(folder)
    found = [
        *_if_there(folder / "tune", "Ray Tune's own files"),
        *_if_there(folder / published.STAGING, "half-published files"),
        *(Disposable(path=path, what="half-written files") for path in files.leftovers(folder)),
    ]
    if results.study.outcome in ENDED:
        found += _if_there(folder / "checkpoints", "checkpoints of a study that has ended")
    else:
        found += _of_ended_trials(results)
    for family in results.settings.families if ensembles else ():
        seeds = seed_folders(folder, family)
        found += _if_there(seeds, "weights that only ensembles of seeds need")
    return found


def _if_there(path: Path, what: str) -> list[Disposable]:
    return [Disposable(path=path, what=what)] if path.exists() else []


def _of_ended_trials(results: StudyResults) -> Iterator[Disposable]:
    """Checkpoints of trials of the search that have ended, and whose epochs are all on disk.

    Those of finals stay: the winners' weights and the predictions are among them.
    """
    kept = results.folder / "checkpoints"
    counted = Counter(row["trial_id"] for row in results.rows("epochs"))
    for row in results.rows("trials"):
        if row["status"] == State.RUNNING or counted[row["trial_id"]] != row["epochs_run"]:
            continue
        for path in checkpoints.files_of(kept / check_trial(row["trial_id"])):
            yield Disposable(path=path, what="checkpoints of trials that have ended")
