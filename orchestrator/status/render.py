"""How a study stands, for people: its state, its families, its finals, faults and time left."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from rich.console import Console, Group
from rich.padding import Padding
from rich.text import Text

from orchestrator.analysis.section import TELLING, duration
from orchestrator.analysis.test_results import in_words
from orchestrator.forecast.estimate import between
from orchestrator.results.states import Outcome
from orchestrator.status.study_status import FamilyStatus, StudyStatus
from orchestrator.terminal import fitting_table

MISSING: Final = "-"
LEFT: Final = ("family", "best trial")


def print_status(console: Console, status: StudyStatus) -> None:
    """Prints how a study stands."""
    console.print(drawn(status, console.width), crop=False)


def drawn(status: StudyStatus, width: int) -> Group:
    """The same for a part of the terminal that is drawn again and again."""
    return Group(*_parts(status, width))


def time_left(seconds: float) -> str:
    """An estimate of the time left."""
    return f"if it goes on as so far, about {rough(seconds)} left, finals included"


def rough(seconds: float) -> str:
    """An estimate of a time, with no more digits than it deserves."""
    return f"{max(10, round(seconds, -1)):.0f} s" if seconds < TELLING else duration(seconds)


def _parts(status: StudyStatus, width: int) -> Iterator[Text | Padding | Group]:
    yield Text(_headline(status, width), style="bold")
    if status.resume_command is not None:
        # Not wrapped, so that it can be copied.
        yield Text(f"To go on: {status.resume_command}", no_wrap=True, overflow="ignore")
    for note in status.demo:
        yield Text(note, style="bold")
    lost = any(family.interrupted for family in status.families)
    best = "best validation accuracy"
    if status.objective != "accuracy":
        best = f"accuracy of the best by {in_words(status.objective)}"
    rows = [_cells(family, best, lost=lost) for family in status.families]
    yield fitting_table(list(rows[0]), [list(row.values()) for row in rows], width, left=LEFT)
    for family in status.families:
        if family.given_up is not None:
            why = " ".join(family.given_up.split())
            yield Text(f"{family.family} was given up: {why}", style="bold")
    if status.more_trials is not None:
        more, chance = status.more_trials, status.more_trials.chance_of_another_winner
        rough = "less than 1%" if chance < 0.01 else f"{chance:.0%}"  # noqa: PLR2004 (a percent)
        yield Text(
            f"More trials: the {more.trials} to come change which family wins with a chance of "
            f"{rough}, and take about {between([more.device_hours] * 2)} device-hours"
        )
    yield from _finals(status)
    counts = ", ".join(f"{kind} {number}" for kind, number in status.faults.counts.items())
    yield Text(f"Faults: {counts or 'none'}")
    for fault in status.faults.latest:
        trial = f" {fault['trial_id']}" if fault["trial_id"] else ""
        at = f"{fault['at'].astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        yield Padding.indent(Text(f"{at} {fault['kind']}{trial}: {fault['detail']}"), 2)
    if status.state == Outcome.RUNNING:
        yield Text(_freshness(status))


def _headline(status: StudyStatus, width: int) -> str:
    """Everything about the study as a whole, in one line where that fits."""
    parts = [f"Study {status.study}{' (demo)' if status.demo else ''}: {status.state}"]
    if status.driver is not None:
        driver = f"driver: process {status.driver.pid} on {status.driver.host}"
        parts.append(driver if status.driver.alive else f"{driver}, which was killed")
    if status.started_at is not None:
        parts.append(f"started {_time(status.started_at)}")
    if status.run > 1 and status.run_started_at is not None:
        parts.append(f"run {status.run} since {_time(status.run_started_at)}")
    if status.ended_at is not None:
        parts.append(f"ended {_time(status.ended_at)}")
    text, *more = parts
    for part in more:
        fits = len(text.rpartition("\n")[2]) + len(f"; {part};") <= width
        text += f"; {part}" if fits else f";\n{part}"
    return text


def _cells(family: FamilyStatus, of_best: str, *, lost: bool) -> dict[str, str]:
    """Title of each column, that of the best trial given, and what stands in it."""
    best = family.best_validation_accuracy
    numbers = {
        Outcome.INTERRUPTED if lost else Outcome.RUNNING: family.running + family.interrupted,
        "stopped": family.stopped,
        "done": family.completed,
        "failed": family.failed,
        "diverged": family.diverged,
        "trials": family.trials,
        "epochs": family.epochs,
    }
    return {
        "family": family.family,
        of_best: MISSING if best is None else f"{best:.1%}",
        **{title: str(number) for title, number in numbers.items()},
        "device seconds": f"{family.device_seconds:,.0f}",
        "best trial": family.best_trial_id or MISSING,
    }


def _finals(status: StudyStatus) -> Iterator[Text | Padding]:
    finals, state = status.finals, status.state
    if finals is None:
        yield Text(f"Finals: {early_finals(status.finals_begun) or 'not begun'}")
    elif not finals.expected:
        yield Text("Finals: none, since no family has a winner")
    else:
        failed = f", {len(finals.failed)} failed" if finals.failed else ""
        yield Text(
            f"Finals: {finals.done} of {finals.expected} re-trainings done{failed}, "
            f"{finals.epochs:,} of {finals.epochs_expected:,} epochs"
        )
        going = "in progress" if state == Outcome.RUNNING else "not finished"
        for what, runs in ((going, finals.unfinished), ("failed", finals.failed)):
            if runs:
                names = ", ".join(f"{run.trial_id} (epoch {run.epochs})" for run in runs)
                yield Padding.indent(Text(f"{what}: {names}"), 2)


def early_finals(number: int) -> str:
    """What idle slots of a search do; empty where that is nothing."""
    return f"{number} of baselines begun in idle slots of the search" if number else ""


def _freshness(status: StudyStatus) -> str:
    if status.tables_age_seconds is None:
        return "No table has been written yet"
    left = "" if (seconds := status.time_left_seconds) is None else f"; {time_left(seconds)}"
    return f"Tables written {duration(status.tables_age_seconds)} ago{left}"


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
