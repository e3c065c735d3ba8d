"""Progress of a running study: the time left, and on a terminal a table with a row per family."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from orchestrator.forecast.remaining import TimeLeft
from orchestrator.results.states import State
from orchestrator.status.render import early_finals, time_left
from orchestrator.terminal import fitting_table
from orchestrator.trials.recorder import Recorder

TITLES: Final = (
    *("family", "best validation accuracy", "running", "stopped", "done", "failed or diverged"),
    *("trials", "epochs", "device seconds"),
)
LEAST_SECONDS: Final = 5.0
REST_FACTOR: Final = 20


@dataclass
class Remaining:
    """Wall seconds to a study's end; forecast anew at most every 5 s, or 20 times what that takes.

    In between they are counted down.
    """

    forecast: Callable[[], TimeLeft | None]
    _last: TimeLeft | None = None
    _ask_at: float = -math.inf

    def seconds(self) -> float | None:
        """Seconds left now; None where that is not known, or the end is overdue."""
        started = time.monotonic()
        if started >= self._ask_at:
            self._last = self.forecast()
            spent = time.monotonic() - started
            self._ask_at = started + max(LEAST_SECONDS, REST_FACTOR * spent)
        now = datetime.fromtimestamp(time.time(), UTC)
        return None if self._last is None else self._last.on(now)


@dataclass
class ProgressTable:
    """Renders the state of a phase each time it is drawn.

    Attributes:
        planned: How many trials of each family there are to be.
        time_left: The wall seconds that the study still takes, None if not known.
        begun: The number of finals that idle slots of a search have begun.
        over: The phase has ended: there is no time left to tell.
    """

    title: str
    recorder: Recorder
    planned: Mapping[str, int]
    time_left: Callable[[], float | None]
    begun: Callable[[], int] = int
    over: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        rows = [self._cells(family, planned) for family, planned in self.planned.items()]
        yield Text(self.title, style="bold")
        yield fitting_table(TITLES, rows, options.max_width, left=TITLES[:1])
        if begun := self.begun():
            yield Text(f"Finals: {early_finals(begun)}")
        if not self.over:
            seconds = self.time_left()
            yield Text("time left: not known" if seconds is None else time_left(seconds))

    def _cells(self, family: str, planned: int) -> list[str]:
        with self.recorder.lock:
            totals = self.recorder.totals(family)
            best, ended = totals.best_validation_accuracy, totals.ended
            return [
                family,
                "-" if best is None else f"{best:.1%}",
                str(totals.at_work()),
                str(ended[State.STOPPED]),
                str(ended[State.COMPLETED]),
                str(ended[State.FAILED] + ended[State.DIVERGED]),
                str(planned),
                str(totals.epochs),
                f"{self.recorder.device_seconds_of(totals.wall_seconds()):.0f}",
            ]


@contextlib.contextmanager
def shown(console: Console, table: ProgressTable) -> Iterator[None]:
    """Draws a table on a terminal twice a second; elsewhere nothing."""
    if not console.is_terminal:
        yield
        return
    with Live(table, console=console, refresh_per_second=2):
        yield
        table.over = True  # the last picture stays
