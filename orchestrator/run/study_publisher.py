"""Keeps a copy of a running study behind an address, from a thread, so that the driver never waits.

What is stored there is at any moment what a driver could have left that was killed a little
earlier.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from orchestrator.results import published
from orchestrator.results.lock import HeldError
from orchestrator.results.published import Place, PublishedFile, Run, Snapshot
from orchestrator.run.session import Session
from orchestrator.run.staging import StagedFile, Stamp, staged
from orchestrator.trials.table_writer import WritingError
from trainables.secrets import redacted

# A checkpoint is at most 30 s old when it is held, so with half a minute for the rest a head that
# is lost loses a minute.
SECONDS: Final = 15.0
REST_SECONDS: Final = 1.0
LAST_SECONDS: Final = 600.0
LAST_INTERRUPTED_SECONDS: Final = 20.0


class TakenOverError(RuntimeError):
    """Another head has resumed the study that is stored at the address."""


def publishing(session: Session) -> AbstractContextManager[None]:
    """Publishes a study inside, and once more at the end; nothing where that was not asked for."""
    if session.settings.publish is None:
        return contextlib.nullcontext()
    address = f"{session.settings.publish.rstrip('/')}/{session.name}"
    publisher = StudyPublisher(
        session.folder,
        published.place_of(address, flag="--publish"),
        still=session.writer.still,
        runs=published.runs_of(session.manifest.study),
        check=session.hold.check,
        note=session.note,
        say=session.say,
    )
    return publisher.running()


@dataclass
class StudyPublisher:
    """Publishes a study every 15 s, or as often as sending allows.

    Attributes:
        still: Inside it no table changes.
        check: Raises where another driver has taken the folder over.
        note: Notes an event by kind and detail.
        say: Prints a line.
    """

    folder: Path
    place: Place
    _: KW_ONLY
    runs: tuple[Run, ...]
    still: Callable[[], AbstractContextManager[object]]
    check: Callable[[], None]
    note: Callable[[str, str], None]
    say: Callable[[str], None]

    def __post_init__(self) -> None:
        self._known: dict[Stamp, PublishedFile] = {}
        self._there: dict[str, int] = {}
        self._last: Snapshot | None = None
        self._failing = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="study-publisher", daemon=True)

    def publish(self, *, last: bool = False) -> None:
        """Sends what has changed, then the manifest, then removes what neither of the last names.

        After the `last` nothing follows, so that what the one before it names goes too.

        Raises:
            TakenOverError: Another head has gone on with the study there.
            HeldError: Another driver has gone on with the folder.
        """
        found = self.place.snapshot()
        self._must_go_on(found)
        if found is None or found != self._last:  # the first time, or another head wrote meanwhile
            self._known.clear()
            self._there = self.place.sizes()
        with staged(self.folder, self._known, self.still()) as files:
            self._send(files)
        self._must_go_on(self.place.snapshot())  # sending may have taken long
        snapshot = Snapshot(
            study=self.folder.name,
            published_at=time.time(),
            runs=self.runs,
            files={name: self._known[each.stamp] for name, each in files.items()},
        )
        self.place.write(snapshot)
        before, self._last = self._last or found, snapshot
        needed = snapshot.objects() | (before.objects() if before and not last else set())
        unneeded = self._there.keys() - needed
        self.place.remove(unneeded)
        self._there = {name: self._there[name] for name in self._there.keys() - unneeded}
        stamps = {each.stamp for each in files.values()}
        self._known = {stamp: file for stamp, file in self._known.items() if stamp in stamps}

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Publishes at once, then now and then, and once more at the end."""
        self.say(f"Publishing to {self.place.address} every {SECONDS:g} s")
        self._thread.start()
        patience = LAST_INTERRUPTED_SECONDS
        try:
            yield
            patience = LAST_SECONDS
        finally:
            self._stop.set()
            self._thread.join(timeout=patience)
            self._say_how_it_ended(patience)

    def _run(self) -> None:
        last = False
        while True:
            started = time.monotonic()
            try:
                self.publish(last=last)
            except (TakenOverError, HeldError) as error:
                self._failing = str(error)
                self._tell("publish_ended", self._failing)
                return
            except Exception as error:  # noqa: BLE001 (a study goes on whether it is sent or not)
                reason = " ".join(str(error).split()) or type(error).__name__
                if not self._failing:
                    self._tell("publish_failed", f"{self.place.address}, tried again: {reason}")
                self._failing = reason
            else:
                if self._failing:
                    self.say(f"Publishing to {self.place.address} again")
                self._failing = ""
            if last:
                return
            rest = SECONDS - (time.monotonic() - started)
            last = self._stop.wait(max(REST_SECONDS, rest))

    def _send(self, files: Mapping[str, StagedFile]) -> None:
        """Sends the objects that are not there; a file is known once it has been sent."""
        for name, each in files.items():
            if each.held is None:
                continue
            file = published.described(each.held)
            target = published.object_name(name, file)
            if self._there.get(target) != file.bytes:
                self.place.send(each.held, target)
                self._there[target] = file.bytes
            self._known[each.stamp] = file

    def _must_go_on(self, there: Snapshot | None) -> None:
        """Checks that this driver is the last to have gone on with the study, here and there."""
        self.check()
        if there is not None and not published.goes_on(there.runs, self.runs):
            raise TakenOverError(
                f"{self.place.address} is published by {there.who}, so no more by this driver; "
                "the study here goes on by itself"
            )

    def _tell(self, kind: str, detail: str) -> None:
        """Says it in a line, and as an event, which fails only where the study itself has."""
        self.say(f"{kind}: {detail}")
        with contextlib.suppress(WritingError):
            self.note(kind, redacted(detail))

    def _say_how_it_ended(self, patience: float) -> None:
        why = self._failing
        if self._thread.is_alive():
            why = f"the last of it was not sent within {patience:g} s"
        if not why:
            self.say(f"Published: {self.place.address}")
            return
        stored = "nothing of this run is there"
        if self._last is not None:
            at = datetime.fromtimestamp(self._last.published_at, UTC).isoformat(timespec="seconds")
            stored = f"what is there is of {at}"
        self.say(f"Not published to the end: {self.place.address}: {why}; {stored}")
