"""What a study shows while it runs: one row per family on a terminal, nothing elsewhere."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table

from orchestrator.trials.recorder import Recorder


class ProgressTable:
    """Renders the state of a phase each time it is drawn."""

    def __init__(
        self, title: str, recorder: Recorder, families: Sequence[str], *, trials: int, epochs: int
    ) -> None:
        """Takes what to show.

        Args:
            title: Above the table.
            recorder: Of the phase.
            families: One row each.
            trials: Per family, at most.
            epochs: Of a trial that is not stopped.
        """
        self._title, self._recorder, self._families = title, recorder, families
        self._trials, self._epochs = trials, epochs
        self._started, self._ended_before = time.monotonic(), self._ended()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draws the table as things stand."""
        del console, options
        table = Table(title=self._title, title_justify="left", caption=self._remaining())
        for name in ("family", "best validation accuracy", "running", "stopped", "done"):
            table.add_column(name, justify="left" if name == "family" else "right")
        for name in ("failed", "of", "epochs", "device-seconds"):
            table.add_column(name, justify="right")
        for family in self._families:
            table.add_row(family, *self._cells(family))
        yield table

    def _cells(self, family: str) -> list[str]:
        with self._recorder.lock:
            tally = self._recorder.tally(family)
            best, ended = tally.best_validation_accuracy, tally.ended
            return [
                "-" if best is None else f"{best:.1%}",
                str(len(tally.running)),
                str(ended["stopped"]),
                str(ended["completed"]),
                str(ended["failed"] + ended["diverged"]),
                str(self._trials),
                str(tally.epochs),
                f"{self._recorder.device_seconds_of(tally.wall_seconds()):.0f}",
            ]

    def _remaining(self) -> str:
        """Time left at the pace of this run: trials ended against trials to come."""
        ended, total = self._ended(), self._trials * len(self._families)
        if ended == self._ended_before:
            return "time left: unknown before the first epoch"
        elapsed = time.monotonic() - self._started
        left = elapsed / (ended - self._ended_before) * max(0.0, total - ended)
        return f"time left: about {timedelta(seconds=round(left))}"

    def _ended(self) -> float:
        """Trials that have ended, and shares of those that run."""
        with self._recorder.lock:
            tallies = [self._recorder.tally(family) for family in self._families]
            running = [record for tally in tallies for record in tally.running.values()]
            shares = sum(len(record.rows) / self._epochs for record in running)
            return sum(tally.ended.total() for tally in tallies) + shares


@contextlib.contextmanager
def shown(console: Console, table: ProgressTable) -> Iterator[None]:
    """Draws a table on a terminal twice a second; elsewhere nothing."""
    if not console.is_terminal:
        yield
        return
    with Live(table, console=console, refresh_per_second=2):
        yield
