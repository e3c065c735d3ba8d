"""Failures: events by kind, and every trial that did not end as it should, with its cause."""

from collections.abc import Iterator
from typing import Final

import pandas as pd

from orchestrator.analysis.formats import number, words
from orchestrator.analysis.section import Format, Section, count
from orchestrator.cli import counted
from orchestrator.report.inputs import Inputs
from orchestrator.results.states import State

MOST_ROWS: Final = 30
BAD: Final = (State.FAILED, State.DIVERGED)
SHOWN: Final = ("trial_id", "status", "stop_reason", "epochs_run", "attempts", "error")


def gather(inputs: Inputs) -> tuple[Section, ...]:
    """The sections on failures; notes alone where there were none."""
    rows = [row for row in inputs.trials if row["status"] in BAD]
    first = (f"The first {MOST_ROWS} of {count(len(rows))} are shown.",)
    return (
        Section(
            key="failures/events",
            title="Failures: events by kind",
            table=pd.DataFrame(inputs.status.faults.counts.items(), columns=["kind", "events"]),
            formats={"kind": words("kind"), "events": number("events")},
            notes=tuple(_notes(inputs)),
        ),
        Section(
            key="failures/trials",
            title="Failures: trials",
            table=pd.DataFrame(rows[:MOST_ROWS], columns=list(SHOWN)),
            formats={
                "trial": words("trial_id"),
                "status": words("status"),
                "reason": words("stop_reason"),
                "epochs": number("epochs_run"),
                "attempts": number("attempts"),
                "error": Format(
                    ("error",), lambda text: " ".join(text.split())[:300], numeric=False
                ),
            },
            notes=first if len(rows) > MOST_ROWS else (),
        ),
    )


def _notes(inputs: Inputs) -> Iterator[str]:
    trials = inputs.trials
    if not inputs.status.faults.counts:
        yield "No fault was recorded."
    bad = {status: sum(row["status"] == status for row in trials) for status in BAD}
    listed = " and ".join(f"{count(number)} {status}" for status, number in bad.items())
    again = sum((row["attempts"] or 0) > 1 for row in trials)
    yield (
        f"Of {counted(len(trials), 'trial')}, {listed}; {count(again)} needed more than one "
        "attempt."
    )
    for family in inputs.status.families:
        if family.given_up:
            yield f"{family.family} was given up: {family.given_up}"
