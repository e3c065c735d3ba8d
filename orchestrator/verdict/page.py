"""The verdict as one page that opens from disk anywhere."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from orchestrator.analysis.answer import Answer
from orchestrator.analysis.section import count
from orchestrator.compare.document import Report
from orchestrator.report.chart import Chart
from orchestrator.report.figures.differences import Difference, panel
from orchestrator.report.gallery import Gallery, Picture
from orchestrator.report.page import Page, arrange
from orchestrator.report.style import family_looks
from orchestrator.verdict.document import Sliced
from orchestrator.verdict.judging import Verdict
from orchestrator.verdict.said import name_of

TITLES: Final = {
    "claims": "What was asked",
    "results": "Test results",
    "classes": "Where the difference lives",
    "pairs": "Every pair",
}
"""Heading of each topic, in their order."""
SLICES_SHOWN: Final = 6
"""With images beside them."""
IMAGES_SHOWN: Final = 8
EDGE: Final = 96
"""Pixels of a thumbnail."""


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
    charts = {} if verdict is None else {"claims": [_chart(verdict)]}
    return Page(
        name="Verdict",
        state="",
        question=report.title,
        answer=report.answer or Answer(headline=report.title),
        demo=(),
        warnings=report.warnings,
        facts=[] if verdict is None else _facts(verdict),
        topics=arrange(report.sections, TITLES, charts, shown=TITLES),
        galleries=[] if verdict is None else [*_galleries(verdict, sliced, files)],
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
    looks = family_looks([name_of(model) for model in verdict.matched.models])
    claims = [
        Difference(
            name=claim.subtraction,
            label="{candidate}\nminus {baseline}".format(**claim.names),
            ends=(claim.difference, claim.low, claim.high),
            look=looks[claim.names["candidate"]],
        )
        for claim in verdict.claims
    ]
    held = sum(claim.held for claim in verdict.claims)
    verb = "held" if verdict.asked.decides else "certain"
    margin = verdict.asked.margin
    dotted = f"0 and the margin of {100 * margin:g} points" if margin else "0"
    return Chart(
        key="claims",
        title="Differences in test accuracy",
        finding=f"{held} of {len(claims)} {verb}.",
        panels=[panel(claims, margin=margin)],
        notes=(f"Dotted: {dotted}.",),
    )


def _galleries(verdict: Verdict, sliced: Sliced, files: dict[str, Path]) -> Iterator[Gallery]:
    """Of the most certain slices the images that one of the two alone is right on."""
    for claim, slices in sliced:
        for each in slices[:SLICES_SHOWN]:
            images = [verdict.matched.images[row] for row in each.distinguishing[:IMAGES_SHOWN]]
            pictures = tuple(_thumbnails(images, files))
            if pictures:
                caption = (
                    f"{claim.subtraction}, {each.column} {each.value}: gained {each.better:.3g}, "
                    f"lost {each.worse:.3g} of {count(each.images)} images"
                )
                yield Gallery(caption=caption, pictures=pictures)


def _thumbnails(images: Sequence[str], files: Mapping[str, Path]) -> Iterator[Picture]:
    """Thumbnails of those that can be read."""
    for image in filter(files.__contains__, images):
        from PIL import Image  # noqa: PLC0415 (asked for by few)

        try:
            with Image.open(files[image]) as opened:
                small = opened.convert("RGB")
                small.thumbnail((EDGE, EDGE))
        except (OSError, ValueError, Image.DecompressionBombError):
            continue  # `measure` has said so
        buffer = io.BytesIO()
        small.save(buffer, "PNG")
        data = base64.b64encode(buffer.getvalue()).decode()
        yield f"data:image/png;base64,{data}", f"Test image {image}"
