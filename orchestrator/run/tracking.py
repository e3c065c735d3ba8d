"""Processes that send a running study to trackers, so that none of these can harm it."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from orchestrator.called import words_of
from orchestrator.config.trackers import Target
from orchestrator.track import follower

RESTART_SECONDS: Final = 15.0
LAST_INTERRUPTED_SECONDS: Final = 5.0
ROOT: Final = Path(follower.__file__).resolve().parents[follower.__name__.count(".")]


@contextlib.contextmanager
def following(
    folder: Path, targets: Sequence[Target], say: Callable[[str], None]
) -> Iterator[Sequence["TrackerProcess"]]:
    """Has a process for each tracker send the study inside; at the end it waits for all."""
    followers = [TrackerProcess(folder, target, say) for target in targets]
    for each in followers:
        each.start()
    patience = LAST_INTERRUPTED_SECONDS
    try:
        yield followers
        patience = follower.LAST_SECONDS
    finally:
        for each in followers:
            each.end()
        deadline = time.monotonic() + patience
        for each in followers:
            each.wait(deadline - time.monotonic())


class TrackerProcess:
    """Process that sends the study to one tracker; it is replaced where it dies."""

    def __init__(self, folder: Path, target: Target, say: Callable[[str], None]) -> None:
        """Takes the study's folder, the tracker, and what prints a line; nothing is started yet."""
        self._folder, self._target, self._say = folder, target, say
        self._process: subprocess.Popen[str] | None = None
        self._failing = ""
        self._starting, self._ending = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"track-{target}", daemon=True)

    @property
    def pid(self) -> int | None:
        """Id of the process; None before it has been started."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Starts the process."""
        self._say(f"Sending to {self._target}; its log: {self._log}")
        self._log.parent.mkdir(exist_ok=True)
        self._thread.start()

    def end(self) -> None:
        """Tells the process that the study has ended; it sends the last rows."""
        with self._starting:
            self._ending.set()
            if self._process is not None:
                _close_input(self._process)

    def wait(self, seconds: float) -> None:
        """Waits for the process, kills it if it takes longer, and says how it ended."""
        self._thread.join(max(0.0, seconds))
        if self._thread.is_alive():
            self._failing = "the last of it was not taken in time"
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):  # with whatever it has started
                os.killpg(self._process.pid, signal.SIGKILL)
        if not self._failing:
            self._say(f"Sent to {self._target}")
            return
        command = shlex.join([*words_of("export"), str(self._folder), "--track", str(self._target)])
        self._say(f"Not all of it is in {self._target}: {self._failing}; to send it: {command}")

    @property
    def _log(self) -> Path:
        return self._folder / "logs" / f"track-{self._target.tracker}.log"

    def _run(self) -> None:
        while True:
            code = self._follow()
            if self._ending.is_set() and code == 0:
                self._failing = ""
                return
            if not self._failing:
                self._note(f"the process that sends ended with exit code {code}")
            if self._ending.wait(RESTART_SECONDS):
                return

    def _follow(self) -> int:
        """Runs a process to its end; returns its exit code."""
        with self._starting, self._log.open("a", encoding="utf-8") as log:
            paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
            self._process = process = subprocess.Popen(
                [sys.executable, "-m", follower.__name__],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is for the study, which says when it ends
            )
            assert process.stdin is not None
            request = {"folder": str(self._folder), **vars(self._target)}
            with contextlib.suppress(OSError):
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
            if self._ending.is_set():
                _close_input(process)
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._note(json.loads(line)["failing"])
        code = process.wait()
        _close_input(process)
        return code

    def _note(self, failing: str) -> None:
        """Says it in a line where it begins to fail, or works again."""
        if failing and not self._failing:
            self._say(f"{self._target} fails, and is tried again: {failing}")
        elif self._failing and not failing:
            self._say(f"{self._target} works again")
        self._failing = failing


def _close_input(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # it is dead, which its exit code says
        process.stdin.close()
