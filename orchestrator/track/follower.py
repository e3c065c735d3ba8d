"""A process that keeps a tracker up to date with a study's folder, apart from the study's driver.

`python -m orchestrator.track.follower`, driven by its standard input: whatever the tracker's
package does, hangs in or dies of, happens here. The end of the input is the study's end. Each line
that it says is a JSON object: `{"failing": REASON}`, empty once it works again.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

from filelock import FileLock, Timeout

from orchestrator.config.trackers import Target
from orchestrator.track.tracked_study import Tracker, open_tracker, read_tracked
from trainables.secrets import redacted

LEAST_SECONDS: Final = 5.0
MOST_SECONDS: Final = 60.0
REST_FACTOR: Final = 20
LAST_SECONDS: Final = 30.0
NICENESS: Final = 19
"""Below that of trials, which Ray runs at 15."""


def lock_of(folder: Path, target: Target) -> FileLock:
    """Held by the one process that sends a study to a tracker."""
    return FileLock(folder / f".track-{target.tracker}.lock")


def send(folder: Path, target: Target) -> None:
    """Sends a study once, as it is.

    Raises:
        ValueError: It is no study, the tracker fails, or another process sends to it.
    """
    study = read_tracked(folder)
    try:
        with lock_of(folder, target).acquire(timeout=0):
            tracker = open_tracker(target)
            tracker.update(study)
            tracker.close()
    except Timeout as error:
        raise ValueError(
            f"{target.tracker} must be sent to by one process at a time, but another, perhaps the "
            f"study's own, sends {folder} to it"
        ) from error
    except Exception as error:
        raise ValueError(f"{target} does not take the study: {_reason(error)}") from error


class Follower:
    """Sends what is new every 5 to 60 s, 20 times what sending takes, until the study ends."""

    def __init__(
        self, folder: Path, open_one: Callable[[], Tracker], say: Callable[[str], None]
    ) -> None:
        """Takes the study's folder, what opens the tracker, and what reports why it fails."""
        self._folder, self._open_one, self._say = folder, open_one, say
        self._tracker: Tracker | None = None
        self._sent: dict[str, tuple[int, int]] = {}
        self._failing = ""

    def follow(self, ended: threading.Event) -> bool:
        """Returns, once the study has ended, whether all of it was sent."""
        last = False
        while True:
            started = time.monotonic()
            self.update()
            if last:
                break
            rest = REST_FACTOR * (time.monotonic() - started)
            last = ended.wait(min(max(LEAST_SECONDS, rest), MOST_SECONDS))
        if self._failing:  # perhaps by what had been open for long
            self.update()
        if self._tracker is not None:
            try:
                self._tracker.close()
            except Exception as error:  # noqa: BLE001 (a tracker's package may raise anything)
                self._note(_reason(error))
        return not self._failing

    def update(self) -> None:
        """Sends what is new, and says where that begins to fail, or works again."""
        try:
            stats = {path.name: path.stat() for path in self._folder.glob("[!.]*.*")}
            # What changes with each file of the study that is written.
            stamps = {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}
            if stamps == self._sent and not self._failing:
                return
            if self._tracker is None:
                self._tracker = self._open_one()
            self._tracker.update(read_tracked(self._folder))
        except Exception as error:  # noqa: BLE001 (as above)
            self._tracker = None  # another asks anew what is there
            self._note(_reason(error))
        else:
            self._sent = stamps
            self._note("")

    def _note(self, failing: str) -> None:
        if bool(failing) != bool(self._failing):
            self._say(failing)
        self._failing = failing


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def main() -> None:
    """Follows the study that the first line of the input names."""
    asked = json.loads(sys.stdin.readline())
    target = Target(tracker=asked["tracker"], place=asked["place"])
    folder = Path(asked["folder"])
    lines = _own_lines()
    os.nice(NICENESS)

    def say(failing: str) -> None:
        lines.write(json.dumps({"failing": redacted(failing)}) + "\n")

    ended = threading.Event()
    threading.Thread(target=_listen, args=[ended], daemon=True).start()
    with lock_of(folder, target):
        done = Follower(folder, lambda: open_tracker(target), say).follow(ended)
    lines.flush()
    os._exit(0 if done else 1)  # whatever the tracker's package still has to do at an exit


def _listen(ended: threading.Event) -> None:
    """Waits for the study's end, and ends this process where it does not by itself."""
    sys.stdin.read()
    ended.set()
    time.sleep(LAST_SECONDS)
    os._exit(1)


def _own_lines() -> TextIO:
    """The standard output for us alone; whatever packages print goes where errors go."""
    lines = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return lines


if __name__ == "__main__":
    main()
