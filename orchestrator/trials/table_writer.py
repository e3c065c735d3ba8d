"""Writer of a running study's tables, in a thread, so that the driver loop never waits."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from orchestrator.results import files, schema

LEAST_SECONDS: Final = 5.0
REST_FACTOR: Final = 20

Rows = Sequence[Mapping[str, object]]
Source = Callable[[], Rows | Callable[[], pa.Table]]

# A kill between two files must leave no row without what it belongs to: no epoch of an unknown
# trial, no final without its predictions.
ORDER: Final = ("trials", "epochs", "rungs", "events", "final_epochs", "predictions", "final")


class WritingError(RuntimeError):
    """The thread that writes the tables has ended before the study."""


@dataclass
class TableWriter:
    """Rewrites changed tables every max(5 s, 20 times the last write's duration).

    Attributes:
        schemas: Of all tables.
        metadata: Stamped on their files.
        check: Called before each write; raises where this process must not write any more.
        lock: Changed tables are read under it: what is recorded under it is written together.
    """

    folder: Path
    schemas: Mapping[str, pa.Schema]
    metadata: Mapping[str, str]
    check: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._sources: dict[str, Source] = {}
        self._changed: set[str] = set()
        self._afterwards: list[Callable[[], None]] = []
        self.lock, self._writing = threading.RLock(), threading.Lock()
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="table-writer", daemon=True)

    def add(self, name: str, source: Source) -> None:
        """Adds a table and marks it changed, so that it is written with its schema.

        Its source is called under `lock`, in the writer's thread; it returns rows of its own, or
        what makes the table once the lock is released.
        """
        with self.lock:
            self._sources[name] = source
            self._changed.add(name)

    def changed(self, *names: str) -> None:
        """Marks tables as changed, after `check_running`; those that were not added are ignored.

        Raises:
            WritingError: See `check_running`.
        """
        self.check_running()
        with self.lock:
            self._changed |= self._sources.keys() & names

    def check_running(self) -> None:
        """Checks that the thread still writes.

        Raises:
            WritingError: An earlier write failed; the study cannot keep what it finds.
        """
        if self._error is not None:
            what = f"{type(self._error).__name__}: {self._error}"
            raise WritingError(
                f"the tables could not be written, so the study has ended: {what}"
            ) from self._error

    def afterwards(self, action: Callable[[], None]) -> None:
        """Calls a function once all present rows are on disk."""
        with self.lock:
            self._afterwards.append(action)

    def write(self) -> None:
        """Writes the tables that changed, or were removed, now, as they are at one moment.

        Raises:
            OSError: A file cannot be written.
        """
        with self._writing:  # the driver writes too, now and then
            self.check()
            with self.lock:
                names, self._changed = self._changed | self._missing(), set()
                actions, self._afterwards = self._afterwards, []
                snapshot = {name: self._sources[name]() for name in ORDER if name in names}
            for name, rows in snapshot.items():
                table = rows() if callable(rows) else schema.to_table(rows, self.schemas[name])
                files.write_table(self.folder, name, table, self.metadata)
            for action in actions:
                action()

    def _missing(self) -> set[str]:
        return {name for name in self._sources if not (self.folder / f"{name}.parquet").exists()}

    def still(self) -> AbstractContextManager[object]:
        """Keeps tables from being written inside, and what waits for a write from being removed."""
        return self._writing

    @contextlib.contextmanager
    def running(self) -> Iterator["TableWriter"]:
        """Writes at once, then now and then, and once more at the end.

        A table that is not there yet is written without rows first: all can be read at once.
        """
        for name, table_schema in self.schemas.items():
            if not (self.folder / f"{name}.parquet").exists():
                files.write_table(self.folder, name, table_schema.empty_table(), self.metadata)
        self.write()
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()
            if self._error is None:
                self.write()

    def _run(self) -> None:
        pause = LEAST_SECONDS
        while not self._stop.wait(pause):
            started = time.monotonic()
            try:
                self.write()
            except Exception as error:  # noqa: BLE001 (this thread must not die unnoticed)
                self._error = error
                return
            pause = max(LEAST_SECONDS, REST_FACTOR * (time.monotonic() - started))
