"""What failed: events by kind, and every trial that did not end as it should, with its cause."""

from collections.abc import Iterator
from typing import Final

from orchestrator.analysis.section import MISSING, Section, count, worded
from orchestrator.report.inputs import Inputs

MOST_ROWS: Final = 30
BAD: Final = ("failed", "diverged")


def gather(inputs: Inputs) -> tuple[Section, ...]:
    """The sections on failures; sentences alone where there were none."""
    return (
        worded(
            key="failures/events",
            title="Failures: events by kind",
            columns=("kind", "events"),
            rows=tuple((k, count(n)) for k, n in inputs.standing.faults.counts.items()),
            notes=tuple(_sentences(inputs)),
        ),
        _trials(inputs),
    )


def _sentences(inputs: Inputs) -> Iterator[str]:
    trials = inputs.trials
    if not inputs.standing.faults.counts:
        yield "No fault was recorded."
    bad = {status: sum(row["status"] == status for row in trials) for status in BAD}
    listed = " and ".join(f"{count(number)} {status}" for status, number in bad.items())
    again = sum((row["attempts"] or 0) > 1 for row in trials)
    yield (
        f"Of {count(len(trials))} trials, {listed}; {count(again)} needed more than one attempt."
    )
    for family in inputs.standing.families:
        if family.given_up:
            yield f"{family.family} was given up: {family.given_up}"


def _trials(inputs: Inputs) -> Section:
    rows = [row for row in inputs.trials if row["status"] in BAD]
    sentences = (f"The first {MOST_ROWS} of {count(len(rows))} are shown.",)
    return worded(
        key="failures/trials",
        title="Failures: trials",
        columns=("trial", "status", "reason", "epochs", "attempts", "error"),
        rows=tuple(
            (
                row["trial_id"],
                row["status"],
                row["stop_reason"] or MISSING,
                count(row["epochs_run"]),
                count(row["attempts"]),
                " ".join((row["error"] or MISSING).split())[:300],
            )
            for row in rows[:MOST_ROWS]
        ),
        notes=sentences if len(rows) > MOST_ROWS else (),
    )
