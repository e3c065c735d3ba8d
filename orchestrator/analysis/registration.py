"""What was registered before the search, and what became of each question; the rest is explored."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import pandas as pd

from orchestrator.analysis.formats import interval, p_value, words
from orchestrator.analysis.pairwise import ends, excludes_zero, is_measured, named_ends, swapped
from orchestrator.analysis.section import Section, percent
from orchestrator.cli import counted
from orchestrator.results.registration import EXPLORED
from orchestrator.results.rows import ComparisonRow, MeasuredRow, models_of
from orchestrator.results.study_record import Question, StudyRecord

KEY: Final = "differences/registered"
MARKED: Final = frozenset({"results", "differences", "data", "calibration", "classes", "effort"})
"""Topics whose sections say so where nobody registered what they ask."""


def registration_sections(study: StudyRecord, pairs: Sequence[ComparisonRow]) -> Iterator[Section]:
    """A row for each registered question, asked or not; nothing of a study that registered none."""
    registration = study.registration
    if registration is None:
        return
    questions, alpha = registration.questions, registration.alpha
    rows = [_answered(question, pairs, alpha) for question in questions]
    not_asked = [row["question"] for row in rows if row["p_value_holm"] is None]
    yield Section(
        key=KEY,
        title="What was registered before the search",
        table=pd.DataFrame(rows).astype({"p_value_holm": float}),
        formats={
            "question": words("question"),
            "points [95% interval]": interval("accuracy", "accuracy"),
            "corrected p": p_value("p_value_holm"),
            "answer": words("answer"),
        },
        notes=(
            f"Registered at {registration.registered_at}, before the first trial "
            f"(SHA-256 {registration.sha256[:12]}): {counted(len(questions), 'question')}, p "
            f"corrected over them by Holm, alpha {alpha:g}. All other comparisons are explored: "
            "they suggest what to ask next, and are corrected apart.",
        ),
        warnings=tuple(f"A registered question could not be asked: {name}." for name in not_asked),
        place="terminal",
    )


def of_answer(study: StudyRecord, row: MeasuredRow | None) -> tuple[str, ...]:
    """Whether the row that the answer is based on, where it compares two, was registered."""
    if study.registration is None or row is None:
        return ()
    how = "registered before the search" if row["registered"] else "not registered: it is explored"
    return (f"The comparison of the two best was {how}.",)


def mark_explored(study: StudyRecord, sections: Sequence[Section]) -> tuple[Section, ...]:
    """The sections, of a study that registered questions those that asked others with a mark."""
    if study.registration is None:
        return tuple(sections)
    return tuple(
        replace(section, title=f"{section.title} ({EXPLORED})")
        if section.topic in MARKED and section.key != KEY and "asked" not in section.table.columns
        else section
        for section in sections
    )


def _answered(question: Question, pairs: Sequence[ComparisonRow], alpha: float) -> dict[str, Any]:
    row: dict[str, Any] = {"question": str(question), "margin": question.margin}
    for pair in pairs:
        models = models_of(pair)
        asked = (pair["train_fraction"], frozenset(models)) == question.asked
        if asked and pair["seed"] is None and pair["metric"] == "accuracy" and is_measured(pair):
            found = pair if models == question.models else swapped(pair)
            more = {
                "p_value_holm": found["p_value_holm"],
                "answer": _answer(question, found, alpha),
            }
            return {**row, **named_ends(found), **more}
    empty = dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high", "p_value_holm"))
    return {**row, **empty, "answer": "could not be asked"}


def _answer(question: Question, row: MeasuredRow, alpha: float) -> str:
    (family, _), (other, _) = question.models
    # Of other trainings no interval is 0 wide.
    if family == other and not any(ends(row)):
        return "both are one training: the baseline won"
    corrected = row["p_value_holm"]
    if corrected is None or not (corrected < alpha and excludes_zero(row)):
        return "cannot be told apart"
    first = row["difference"] > 0
    name = " ".join(question.models[0 if first else 1])
    low = row["ci_low"] if first else -row["ci_high"]
    if not question.margin:
        return f"{name} is better"
    by = f"by more than {percent(question.margin)}"
    return f"{name} is better, {by if low > question.margin else f'whether {by} is open'}"
