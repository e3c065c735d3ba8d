"""The contact sheet: one page without scripts that shows images as training would see them."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import jinja2

from orchestrator.cli import without_control
from orchestrator.look.looking import Look
from orchestrator.look.problems import Problem
from orchestrator.results.files import write_output
from orchestrator.terminal import shown
from trainables.data.survey import Survey

TEMPLATES: Final = Path(__file__).parent / "templates"
EDGE: Final = 96
"""Pixels of a thumbnail, the middle square of its image."""
OF_A_CLASS: Final = 8
MOST_CLASSES: Final = 200
OF_A_PROBLEM: Final = 20
"""Groups of a kind of problem."""
OF_A_GROUP: Final = 4
Entries = dict[str, Any]
"""As the template has a row (`title`, `pictures`) or a topic (`title`, `advice`, `rows`)."""


def write_contact_sheet(look: Look, path: Path) -> None:
    """Writes the page of a look at files whole, or not at all.

    Raises:
        ValueError: The data are no files.
        OSError: It cannot be written.
    """
    survey = look.survey
    if survey is None:
        name = look.settings.dataset
        raise ValueError(f"--contact-sheet must go with a folder of images, but got {name!r}")
    usable = {image.name for image in survey.images}
    topics = [
        _problem(survey, usable, problem)
        for problem in look.problems
        if any(name in usable for group in problem.groups for name in group)
    ]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("contact_sheet.html").render(
        title=_safe(look.settings.data_dir or look.settings.dataset),
        images=f"{look.overview.images:,}",
        topics=[*topics, _classes(survey)],
        edge=EDGE,
    )
    write_output(path, page)


def _problem(survey: Survey, usable: set[str], problem: Problem) -> Entries:
    rows = [
        _row(survey, f"{number} of {len(problem.groups)}", [n for n in group if n in usable])
        for number, group in enumerate(problem.groups[:OF_A_PROBLEM], 1)
    ]
    return {"title": problem.title, "advice": problem.advice, "rows": rows}


def _classes(survey: Survey) -> Entries:
    """Some images of each class, spread over the order of their names."""
    rows = []
    for label, name in enumerate(survey.classes[:MOST_CLASSES]):
        own = [image.name for image in survey.images if image.label == label]
        step = max(1, len(own) // OF_A_CLASS)
        rows.append(_row(survey, f"{name}: {len(own):,}", own[::step], OF_A_CLASS))
    left = len(survey.classes) - MOST_CLASSES
    more = f"the first {MOST_CLASSES} of {len(survey.classes):,} classes" if left > 0 else ""
    return {"title": "Classes", "advice": more, "rows": rows}


def _row(survey: Survey, title: str, names: Sequence[str], most: int = OF_A_GROUP) -> Entries:
    """Thumbnails beside each other: their addresses, which hold them, and their names."""
    from PIL import Image  # noqa: PLC0415 (asked for by few)

    pictures = []
    for name in names[:most]:
        buffer = io.BytesIO()
        Image.fromarray(survey.thumbnail(name, EDGE)).save(buffer, "JPEG", quality=80)
        data = base64.b64encode(buffer.getvalue()).decode()
        pictures.append((f"data:image/jpeg;base64,{data}", _safe(name)))
    return {"title": _safe(title), "pictures": pictures}


def _safe(text: str) -> str:
    return without_control(shown(text))
