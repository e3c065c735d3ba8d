"""Consistent view of a study's files at one moment, to be published."""

import contextlib
import itertools
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.plan import warm_start
from orchestrator.results.published import STAGING
from trainables import checkpoints
from trainables.names import TRIAL
from trainables.trial_files import BEST_WEIGHTS, PREDICTIONS, best_weights_file

# `study.json` first: what the driver writes without the table writer comes before its entry there.
KEPT: Final = (
    *("study.json", "*.parquet", f"{warm_start.FOLDER}/*.parquet", "comparison.md", "report.html"),
    *("examples/**/*", "winners/**/*"),
)
TRIES: Final = 20
Stamp = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class StagedFile:
    """A file of a study at one moment.

    Attributes:
        stamp: Inode, bytes and time of writing: another file, or other content, has another.
        held: The same file under a name of ours; None where its stamp was known already.
    """

    stamp: Stamp
    held: Path | None


@contextlib.contextmanager
def staged(
    folder: Path, known: Collection[Stamp], still: AbstractContextManager[object]
) -> Iterator[dict[str, StagedFile]]:
    """Holds the files inside from which the study would resume, were its driver killed now.

    A file of a study is written under another name and renamed, so a further name of it keeps its
    content, whatever takes its place; no bytes are copied. Files whose stamps are `known` need not
    be held, and no table changes inside `still`.

    Yields:
        Path in the study's folder to the file.

    Raises:
        OSError: A file cannot be held.
    """
    staging = folder / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    numbers = itertools.count()

    def hold(paths: Iterable[Path]) -> Iterator[tuple[str, StagedFile]]:
        for path in paths:
            if not path.is_file() or path.is_symlink() or path.name.startswith("."):
                continue
            with contextlib.suppress(FileNotFoundError):  # it has gone meanwhile
                about = path.stat()
                stamp, held = (about.st_ino, about.st_size, about.st_mtime_ns), None
                if stamp not in known:
                    held = staging / f"{next(numbers)}{path.suffix}"
                    checkpoints.link(path, held)
                yield path.relative_to(folder).as_posix(), StagedFile(stamp=stamp, held=held)

    try:
        with still:
            files = dict(hold(path for pattern in KEPT for path in folder.glob(pattern)))
            for place in sorted((folder / "checkpoints").glob("*")):
                if TRIAL.fullmatch(place.name):
                    files.update(_of_trial(place, hold))
        yield files
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _of_trial(
    place: Path, hold: Callable[[Iterable[Path]], Iterable[tuple[str, StagedFile]]]
) -> dict[str, StagedFile]:
    """A trial's newest checkpoint, what belongs to it, and the claim, which is no older.

    The trial's process may be anywhere, and writes meanwhile: what is held belongs together where
    the checkpoint is still there afterwards.
    """
    for _ in range(TRIES):
        newest = checkpoints.epochs(place)[-1:]
        patterns = [f"epoch-{epoch:05d}.*" for epoch in newest]
        patterns += [best_weights_file(place, 0).name.replace("00000", "*")]
        patterns += [BEST_WEIGHTS, PREDICTIONS, checkpoints.CLAIM]
        found = dict(hold(path for pattern in patterns for path in place.glob(pattern)))
        if not newest or newest[0] in checkpoints.epochs(place):
            return found
    raise TimeoutError(f"the checkpoints in {place} change too fast to be held")
