"""The page of several studies side by side: what differs, and what each found."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Final

from orchestrator.analysis.answer import Answer
from orchestrator.compare.across_studies import read_sides, side_by_side
from orchestrator.report.figures import differences
from orchestrator.report.page import Page, arrange
from orchestrator.stats.across_studies import why_not_comparable

TITLES: Final = {
    "pairs": "The same models compared",
    "results": "Test results",
    "differs": "What differs between the studies",
    "effort": "What each search was given",
    "openings": "Openings of the test set",
}
"""Heading of each topic, in their order."""


def compose(folders: Sequence[Path]) -> Page:
    """Everything that the report of several studies, two or more, says and shows.

    Raises:
        ValueError: A folder is no study, its finals have not begun, or it stands twice.
        OSError: A file cannot be read.
    """
    sides = read_sides(folders)
    report, rows = side_by_side(sides)
    chart = differences.side_by_side(rows)
    headline = "No model of these studies can be compared with itself on the same test images."
    apart = [
        f"{a.name} and {b.name} cannot be compared pairwise: {why}."
        for a, b in combinations(sides, 2)
        if (why := why_not_comparable(a.tested, b.tested)) is not None
    ]
    *others, last = [side.name for side in sides]
    return Page(
        name=" and ".join([*others, last]),
        state="",
        question=f"How do the models of {', '.join(others)} and {last} compare?",
        answer=Answer(headline=chart.finding if chart else headline, details=tuple(apart)),
        demo=report.demo,
        warnings=report.warnings,
        facts=[(side.name, side.results.settings.dataset) for side in sides],
        topics=arrange(report.sections, TITLES, {"pairs": [chart] if chart else []}, shown=TITLES),
    )
