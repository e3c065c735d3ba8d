"""Writes the tables of a running study from a thread, so that the driver loop never waits."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from orchestrator import results

LEAST_SECONDS: Final = 5.0
REST_FACTOR: Final = 20

Source = Callable[[], list[dict[str, Any]] | pa.Table]


class TableWriter:
    """Rewrites changed tables every max(5 s, 20 times the last write's duration).

    A source is called in the writer's thread and returns rows of its own, or a table.
    """

    def __init__(
        self, folder: Path, schemas: Mapping[str, pa.Schema], metadata: Mapping[str, str]
    ) -> None:
        """Takes the study's folder, the schema of each table, and what to stamp files with."""
        self._folder, self._schemas, self._metadata = folder, schemas, metadata
        self._sources: dict[str, Source] = {}
        self._changed: set[str] = set()
        self._afterwards: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="table-writer", daemon=True)

    def add(self, name: str, source: Source) -> None:
        """Takes up a table and marks it changed, so that it is written with its schema."""
        with self._lock:
            self._sources[name] = source
            self._changed.add(name)

    def changed(self, name: str) -> None:
        """Says that a table has new rows; one that was not added is ignored.

        Raises:
            OSError: An earlier write failed; the study cannot keep what it finds.
        """
        if self._error is not None:
            raise self._error
        with self._lock:
            if name in self._sources:
                self._changed.add(name)

    def afterwards(self, action: Callable[[], None]) -> None:
        """Does something once all rows there are now lie on disk."""
        with self._lock:
            self._afterwards.append(action)

    def write(self) -> None:
        """Writes the changed tables now."""
        with self._lock:
            names, self._changed = self._changed, set()
            actions, self._afterwards = self._afterwards, []
        for name in sorted(names):
            rows = self._sources[name]()
            table = results.to_table(rows, self._schemas[name]) if isinstance(rows, list) else rows
            results.write_table(self._folder, name, table, self._metadata)
        for action in actions:
            action()

    @contextlib.contextmanager
    def running(self) -> Iterator["TableWriter"]:
        """Writes at once, then now and then, and once more at the end."""
        self.write()
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()
            self.write()

    def _run(self) -> None:
        pause = LEAST_SECONDS
        while not self._stop.wait(pause):
            started = time.monotonic()
            try:
                self.write()
            except (OSError, pa.ArrowException) as error:
                self._error = error
                return
            pause = max(LEAST_SECONDS, REST_FACTOR * (time.monotonic() - started))
