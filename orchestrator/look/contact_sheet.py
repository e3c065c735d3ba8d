"""The contact sheet: one page without scripts that shows images as training would see them."""

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jinja2

from orchestrator.cli import without_control
from orchestrator.look.looking import Look
from orchestrator.look.problems import Problem
from orchestrator.look.render import shown
from orchestrator.results.files import write_text
from trainables.data.survey import Survey

TEMPLATES: Final = Path(__file__).parent / "templates"
EDGE: Final = 96
"""Pixels of a thumbnail, the middle square of its image."""
OF_A_CLASS: Final = 8
MOST_CLASSES: Final = 200
OF_A_PROBLEM: Final = 20
"""Groups of a kind of problem."""
OF_A_GROUP: Final = 4


@dataclass(frozen=True, kw_only=True)
class Row:
    """Thumbnails beside each other: their addresses, which hold them, and their names."""

    title: str
    pictures: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """Rows of one kind."""

    title: str
    advice: str
    rows: tuple[Row, ...]


def write_contact_sheet(look: Look, path: Path) -> None:
    """Writes the page whole, or not at all.

    Args:
        look: At files.
        path: The page.

    Raises:
        ValueError: The data are no files.
        OSError: It cannot be written.
    """
    survey = look.survey
    if survey is None:
        raise ValueError(
            f"--contact-sheet must go with a folder of images, but got {look.dataset!r}"
        )
    usable = {image.name for image in survey.images}
    chapters = [
        _problem(survey, usable, problem)
        for problem in look.problems
        if any(name in usable for group in problem.groups for name in group)
    ]
    page = _template().render(
        title=_safe(look.place or look.dataset),
        images=f"{look.overview.images:,}",
        chapters=[*chapters, _classes(survey)],
        edge=EDGE,
    )
    write_text(path, page)


def _problem(survey: Survey, usable: set[str], problem: Problem) -> Chapter:
    rows = (
        _row(survey, f"{number} of {len(problem.groups)}", [n for n in group if n in usable])
        for number, group in enumerate(problem.groups[:OF_A_PROBLEM], 1)
    )
    return Chapter(title=problem.title, advice=problem.advice, rows=tuple(rows))


def _classes(survey: Survey) -> Chapter:
    """Some images of each class, spread over the order of their names."""
    rows = []
    for label, name in enumerate(survey.classes[:MOST_CLASSES]):
        own = [image.name for image in survey.images if image.label == label]
        step = max(1, len(own) // OF_A_CLASS)
        rows.append(_row(survey, f"{name}: {len(own):,}", own[::step], OF_A_CLASS))
    left = len(survey.classes) - MOST_CLASSES
    more = f"the first {MOST_CLASSES} of {len(survey.classes):,} classes" if left > 0 else ""
    return Chapter(title="Classes", advice=more, rows=tuple(rows))


def _row(survey: Survey, title: str, names: Sequence[str], most: int = OF_A_GROUP) -> Row:
    pictures = tuple(_pictures(survey, names[:most]))
    return Row(title=_safe(title), pictures=pictures)


def _pictures(survey: Survey, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    from PIL import Image  # noqa: PLC0415 (asked for by few)

    for name in names:
        buffer = io.BytesIO()
        Image.fromarray(survey.thumbnail(name, EDGE)).save(buffer, "JPEG", quality=80)
        yield f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}", _safe(name)


def _safe(text: str) -> str:
    return without_control(shown(text))


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("contact_sheet.html")
