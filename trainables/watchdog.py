"""Ends a process that hangs: a limit for each epoch, and where it was when the limit passed."""

import contextlib
import faulthandler
import os
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def epoch_time_limit(seconds: float, file: Path) -> Iterator[Callable[[], None]]:
    """Ends this process where what is inside takes longer, even if it holds Python's lock.

    What it yields begins the time anew.

    Args:
        seconds: The limit.
        file: Gets the traceback of every thread then; there is none where nothing hung.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as traceback:

        def again() -> None:
            os.utime(traceback.fileno())  # not by its name, which the driver may have removed
            faulthandler.dump_traceback_later(seconds, exit=True, file=traceback)

        again()
        try:
            yield again
        finally:
            faulthandler.cancel_dump_traceback_later()
            file.unlink(missing_ok=True)


def file_of(folder: Path, trial_id: str) -> Path:
    """Where an attempt at a trial says that it hung.

    Args:
        folder: The study's.
        trial_id: The study's own id.
    """
    return folder / "logs" / f".{trial_id}.hanging"


def epoch_began(folder: Path, trial_id: str) -> int:
    """A number that is another one once an attempt at a trial has begun another epoch.

    Returns:
        When its file was changed, in nanoseconds of a clock that may be another machine's; 0 where
        no attempt is in an epoch.
    """
    try:
        # Opened, since a network file system asks anew for the times of a file that is.
        with file_of(folder, trial_id).open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return 0


def take_traceback(folder: Path, trial_id: str) -> str:
    """Where an attempt that has ended was when its limit passed, moved to the trial's log.

    Returns:
        The traceback, empty where the attempt did not hang.
    """
    file = file_of(folder, trial_id)
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    if text:
        with (folder / "logs" / f"{trial_id}.log").open("a", encoding="utf-8") as log:
            log.write(text)
    file.unlink(missing_ok=True)
    return text
