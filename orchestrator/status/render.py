"""How a study stands, for people: its state, its families, its finals, faults and time left."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from orchestrator.analysis.section import TELLING, duration
from orchestrator.status.family_status import FamilyStanding
from orchestrator.status.study_status import (
    INTERRUPTED,
    RUNNING,
    FaultsStanding,
    FinalsStanding,
    Standing,
)

MISSING: Final = "-"
TITLES: Final = (
    "family",
    "best validation accuracy",
    RUNNING,
    "stopped",
    "done",
    "failed",
    "diverged",
    "of",
    "epochs",
    "device seconds",
    "best trial",
)
LEFT: Final = ("family", "best trial")


def print_standing(console: Console, standing: Standing) -> None:
    """Prints how a study stands; no line of text is wrapped, so that commands can be copied."""
    for part in _parts(standing):
        console.print(part, soft_wrap=isinstance(part, Text), crop=False)


def drawn(standing: Standing) -> Group:
    """The same for a part of the terminal that is drawn again and again."""
    return Group(*_parts(standing))


def _parts(standing: Standing) -> Iterator[Text | Table]:
    yield Text(_headline(standing), style="bold")
    if standing.resume_command is not None:
        yield Text(f"To go on: {standing.resume_command}")
    for note in standing.demo:
        yield Text(note, style="bold")
    yield _table(standing)
    for family in standing.families:
        if family.given_up is not None:
            yield Text(f"{family.family} was given up: {_one_line(family.given_up)}", style="bold")
    yield from _finals(standing.finals, standing.state)
    yield from _faults(standing.faults)
    if standing.state == RUNNING:
        yield Text(_freshness(standing))


def _headline(standing: Standing) -> str:
    """Everything about the study as a whole, in one line."""
    demo = " (demo)" if standing.demo else ""
    parts = [f"Study {standing.study}{demo}: {standing.state}"]
    if standing.driver is not None:
        driver = f"driver: process {standing.driver.pid} on {standing.driver.host}"
        parts.append(driver if standing.driver.alive else f"{driver}, which was killed")
    if standing.started_at is not None:
        parts.append(f"started {_time(standing.started_at)}")
    if standing.run > 1 and standing.run_started_at is not None:
        parts.append(f"run {standing.run} since {_time(standing.run_started_at)}")
    if standing.ended_at is not None:
        parts.append(f"ended {_time(standing.ended_at)}")
    return "; ".join(parts)


def _table(standing: Standing) -> Table:
    """One row per family; a narrow terminal breaks titles between words, and no number."""
    lost = any(family.interrupted for family in standing.families)
    titles = [INTERRUPTED if title == RUNNING and lost else title for title in TITLES]
    rows = [_cells(family, lost=lost) for family in standing.families]
    table = Table(box=box.SIMPLE, padding=0, show_edge=False)
    for title, *cells in zip(titles, *rows, strict=True):
        words = [word for text in (title, *cells) for word in text.split()]
        table.add_column(
            title,
            justify="left" if title in LEFT else "right",
            min_width=max(len(word) for word in words),
        )
    for row in rows:
        table.add_row(*row)
    return table


def _cells(family: FamilyStanding, *, lost: bool) -> list[str]:
    best = family.best_validation_accuracy
    return [
        family.family,
        MISSING if best is None else f"{best:.1%}",
        str(family.interrupted if lost else family.running),
        str(family.stopped),
        str(family.completed),
        str(family.failed),
        str(family.diverged),
        str(family.trials),
        str(family.epochs),
        f"{family.device_seconds:,.0f}",
        family.best_trial_id or MISSING,
    ]


def _finals(finals: FinalsStanding | None, state: str) -> Iterator[Text]:
    if finals is None:
        yield Text("Finals: not begun")
    elif not finals.expected:
        yield Text("Finals: none, since no family has a winner")
    else:
        yield Text(
            f"Finals: {finals.done} of {finals.expected} re-trainings done, "
            f"{finals.epochs} of {finals.epochs_expected} epochs"
        )
        runs = ", ".join(f"{run.trial_id} (epoch {run.epochs})" for run in finals.unfinished)
        if runs:
            yield Text(f"  {'in progress' if state == RUNNING else 'not finished'}: {runs}")


def _faults(faults: FaultsStanding) -> Iterator[Text]:
    counts = ", ".join(f"{kind} {number}" for kind, number in faults.counts.items())
    yield Text(f"Faults: {counts or 'none'}")
    for fault in faults.latest:
        trial = f" {fault.trial_id}" if fault.trial_id else ""
        yield Text(
            f"  {fault.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} {fault.kind}{trial}: {fault.detail}"
        )


def _freshness(standing: Standing) -> str:
    if standing.tables_age_seconds is None:
        return "No table has been written yet"
    text = f"Tables written {standing.tables_age_seconds:.0f} s ago"
    if standing.time_left_seconds is None:
        return text
    left = _rough(standing.time_left_seconds)
    return f"{text}; if it goes on as so far, about {left} left, finals included"


def _rough(seconds: float) -> str:
    """A duration with no more digits than an estimate deserves."""
    return f"{max(10, round(seconds, -1)):.0f} s" if seconds < TELLING else duration(seconds)


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _one_line(text: str) -> str:
    return " ".join(text.split())
