"""The verdict as one page that opens from disk anywhere."""

from pathlib import Path
from typing import Final

from orchestrator.analysis.answer import Answer
from orchestrator.analysis.section import count
from orchestrator.compare.document import Report
from orchestrator.report.chapters import Chapter
from orchestrator.report.chart import Axis, Chart, Panel, Points, Rule
from orchestrator.report.gallery import Gallery
from orchestrator.report.page import Page
from orchestrator.report.style import family_symbols, family_tokens
from orchestrator.verdict.asked import Claim
from orchestrator.verdict.document import Sliced, Verdict
from orchestrator.verdict.images import thumbnails
from orchestrator.verdict.matching import name_of

TITLES: Final = (
    ("claims", "What was asked"),
    ("results", "Test results"),
    ("classes", "Where the difference lives"),
    ("pairs", "Every pair"),
)
"""Key and heading of each chapter."""
ROW_PIXELS: Final = 34
SLICES_SHOWN: Final = 6
"""With images beside them."""
IMAGES_SHOWN: Final = 8


def compose(
    verdict: Verdict | None, report: Report, sliced: Sliced, files: dict[str, Path]
) -> Page:
    """Everything that the page says and shows.

    Args:
        verdict: What was found; None where its numbers stay sealed.
        report: As it is shown.
        sliced: The slices of each pair.
        files: Image to its file, where that is known.
    """
    chapters = []
    for key, title in TITLES:
        sections = tuple(each for each in report.sections if each.chapter == key)
        charts = () if verdict is None or key != "claims" else (_chart(verdict),)
        if sections:
            chapters.append(
                Chapter(key=key, title=title, charts=charts, sections=sections, open=True)
            )
    return Page(
        name="Verdict",
        state="",
        question=report.title,
        answer=report.answer or Answer(headline=report.title),
        demo=(),
        warnings=tuple(
            line for each in report.sections if each.key == "warnings" for line in each.notes
        ),
        facts=[] if verdict is None else _facts(verdict),
        chapters=chapters,
        galleries=[] if verdict is None else _galleries(verdict, sliced, files),
        galleries_title="Images that tell the two apart",
    )


def _facts(verdict: Verdict) -> list[tuple[str, str]]:
    facts = [
        ("Test images", count(len(verdict.matched.images))),
        ("Classes", count(len(verdict.matched.classes))),
        ("Models", count(len(verdict.matched.models))),
        ("Trainings", count(len(verdict.matched.runs))),
    ]
    return facts + ([] if verdict.groups is None else [("Groups", count(verdict.groups))])


def _chart(verdict: Verdict) -> Chart:
    """Each difference that was asked about, with its interval, and the margin."""
    models = [name_of(model) for model in verdict.matched.models]
    tokens, symbols = family_tokens(models), family_symbols(models)
    margin = 100 * verdict.asked.margin
    marks: list[Rule | Points] = [Rule(at=0)]
    if margin:
        marks.append(Rule(at=-margin))
    for place, claim in enumerate(verdict.claims):
        name = name_of(claim.candidate)
        marks.append(
            Points(
                x=[100 * claim.difference],
                y=[-place],
                low=[100 * claim.low],
                high=[100 * claim.high],
                colour=tokens[name],
                symbol=symbols[name],
                hover=[f"{_what(claim)}\n{_interval(claim)} points"],
            )
        )
    held = sum(claim.held for claim in verdict.claims)
    verb = "held" if verdict.asked.decides else "certain"
    words = "; ".join(f"{_what(claim)} {_interval(claim)}" for claim in verdict.claims)
    dotted = f"0 and the margin of {margin:g} points" if margin else "0"
    return Chart(
        key="claims",
        title="Differences in test accuracy",
        finding=f"{held} of {len(verdict.claims)} {verb}.",
        alt=f"In percentage points with 95% intervals: {words}.",
        panels=[
            Panel(
                marks=marks,
                x=Axis(title="percentage points"),
                y=Axis(
                    ticks={
                        -i: _what(claim).replace(" minus ", "\nminus ")
                        for i, claim in enumerate(verdict.claims)
                    },
                    limits=(0.6 - len(verdict.claims), 0.6),
                ),
                height=90 + ROW_PIXELS * len(verdict.claims),
            )
        ],
        notes=(f"Dotted: {dotted}.",),
    )


def _what(claim: Claim) -> str:
    return f"{name_of(claim.candidate)} minus {name_of(claim.baseline)}"


def _interval(claim: Claim) -> str:
    difference, low, high = (100 * each for each in (claim.difference, claim.low, claim.high))
    return f"{difference:+z.2f} [{low:+z.2f}, {high:+z.2f}]"


def _galleries(verdict: Verdict, sliced: Sliced, files: dict[str, Path]) -> list[Gallery]:
    """Of the most certain slices the images that one of the two alone is right on."""
    found = []
    for claim, slices in sliced:
        for each in slices[:SLICES_SHOWN]:
            images = [verdict.matched.images[row] for row in each.distinguishing[:IMAGES_SHOWN]]
            pictures = tuple(thumbnails(images, files))
            if pictures:
                caption = (
                    f"{claim.subtraction}, {each.column} {each.value}: gained {each.better:.3g}, "
                    f"lost {each.worse:.3g} of {count(each.images)} images"
                )
                found.append(Gallery(caption=caption, pictures=pictures))
    return found
