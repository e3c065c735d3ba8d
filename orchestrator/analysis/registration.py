"""What was registered before the search, and what became of each question; the rest is explored."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import pandas as pd

from orchestrator.analysis.formats import interval, p_value, words
from orchestrator.analysis.pairwise import ENDS, excludes_zero, is_measured, named_ends, swapped
from orchestrator.analysis.section import Section, percent
from orchestrator.results.registration import EXPLORED
from orchestrator.results.rows import ComparisonRow, MeasuredRow, models_of
from orchestrator.results.study_record import Question, StudyRecord

KEY: Final = "differences/registered"
MARKED: Final = frozenset({"results", "differences", "data", "calibration", "classes", "effort"})
"""Chapters whose sections say so where nobody registered what they ask."""


def registration_sections(study: StudyRecord, pairs: Sequence[ComparisonRow]) -> Iterator[Section]:
    """A row for each registered question, asked or not; nothing of a study that registered none.

    Args:
        study: The study.
        pairs: The rows of `comparison.parquet`.
    """
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
            f"(SHA-256 {registration.sha256[:12]}): {len(questions)} questions, p "
            f"corrected over them by Holm, alpha {alpha:g}. All other comparisons are explored: "
            "they suggest what to ask next, and are corrected apart.",
        ),
        warnings=tuple(f"A registered question could not be asked: {name}." for name in not_asked),
        place="terminal",
    )


def of_answer(study: StudyRecord, row: MeasuredRow | None) -> tuple[str, ...]:
    """Whether the comparison that the answer rests on was registered.

    Args:
        study: The study.
        row: Of the two families that the answer compares; None where it compares none.
    """
    if study.registration is None or row is None:
        return ()
    if row["registered"]:
        return ("The comparison of the two best was registered before the search.",)
    return ("The comparison of the two best was not registered: it is explored.",)


def mark_explored(study: StudyRecord, sections: Sequence[Section]) -> tuple[Section, ...]:
    """The sections, of a study that registered questions those that asked others with a mark."""
    if study.registration is None:
        return tuple(sections)
    return tuple(
        replace(section, title=f"{section.title} ({EXPLORED})")
        if section.chapter in MARKED and section.key != KEY and not _is_of_pairs(section)
        else section
        for section in sections
    )


def _is_of_pairs(section: Section) -> bool:
    """Whether each of its rows says itself what was registered."""
    return "asked" in section.table.columns


def _answered(question: Question, pairs: Sequence[ComparisonRow], alpha: float) -> dict[str, Any]:
    """A question's row, with what the test set answered."""
    means = {row["metric"]: _as_asked(row, question) for row in pairs if _is_about(row, question)}
    row: dict[str, Any] = {"question": str(question), "margin": question.margin}
    found = means.get("accuracy")
    if found is None or not is_measured(found):
        empty = dict.fromkeys(f"accuracy{end}" for end in ENDS.values())
        return {**row, **empty, "p_value_holm": None, "answer": "could not be asked"}
    return {
        **row,
        **named_ends(found),
        "p_value_holm": found["p_value_holm"],
        "answer": _answer(question, found, alpha),
    }


def _is_about(row: ComparisonRow, question: Question) -> bool:
    models = frozenset(models_of(row))
    return row["seed"] is None and (row["train_fraction"], models) == question.asked


def _as_asked(row: ComparisonRow, question: Question) -> ComparisonRow:
    return row if (row["a_family"], row["a_role"]) == question.models[0] else swapped(row)


def _answer(question: Question, row: MeasuredRow, alpha: float) -> str:
    corrected = row["p_value_holm"]
    if corrected is None or not (corrected < alpha and excludes_zero(row)):
        return "cannot be told apart"
    first = row["difference"] > 0
    name = " ".join(question.models[0 if first else 1])
    low = row["ci_low"] if first else -row["ci_high"]
    if not question.margin:
        return f"{name} is better"
    by = percent(question.margin)
    settled = "by more than" if low > question.margin else "whether by more than"
    return f"{name} is better, {settled} {by}" + ("" if low > question.margin else " is open")
