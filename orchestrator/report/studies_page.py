"""The page of several studies side by side: what differs, and what each found."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.analysis.answer import Answer
from orchestrator.compare.across_studies import Side, read_side, side_by_side
from orchestrator.report.chapters import Chapter
from orchestrator.report.figures import study_differences
from orchestrator.report.page import Page
from orchestrator.stats.across_studies import why_not_comparable

if TYPE_CHECKING:
    from orchestrator.analysis.section import Section

TITLES: Final = (
    ("pairs", "The same models compared"),
    ("results", "Test results"),
    ("differs", "What differs between the studies"),
    ("effort", "What each search was given"),
    ("openings", "Openings of the test set"),
)
"""Key and heading of each chapter, in their order."""


def compose(folders: Sequence[Path]) -> Page:
    """Everything that the report of several studies says and shows.

    Args:
        folders: The studies', two or more.

    Raises:
        ValueError: A folder is no study, its finals have not begun, or it stands twice.
        OSError: A file cannot be read.
    """
    names = [folder.resolve() for folder in folders]
    sides = [read_side(folder, names=names) for folder in folders]
    report, rows = side_by_side(sides)
    chapters: dict[str, list[Section]] = {key: [] for key, _ in TITLES}
    for section in report.sections:
        if section.chapter in chapters:
            chapters[section.chapter].append(section)
    chart = study_differences.figure(rows)
    shown = [side.name for side in sides]
    listed = f"{', '.join(shown[:-1])} and {shown[-1]}"
    return Page(
        name=" and ".join(shown),
        state="",
        question=f"How do the models of {listed} compare?",
        answer=Answer(
            headline=study_differences.finding(rows), details=tuple(_not_comparable(sides))
        ),
        demo=report.demo,
        warnings=tuple(
            line
            for section in report.sections
            if section.chapter == "warnings"
            for line in section.notes
        ),
        facts=[(side.name, side.study.settings.dataset) for side in sides],
        chapters=[
            Chapter(
                key=key,
                title=title,
                charts=(chart,) if key == "pairs" and chart else (),
                sections=tuple(chapters[key]),
                open=True,
            )
            for key, title in TITLES
            if chapters[key]
        ],
    )


def _not_comparable(sides: Sequence[Side]) -> Iterator[str]:
    for a, b in combinations(sides, 2):
        why = why_not_comparable(a.tested, b.tested)
        if why is not None:
            yield f"{a.name} and {b.name} cannot be compared pairwise: {why}."
