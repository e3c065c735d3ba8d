"""Writes the page of a study, or of studies side by side, and its figures."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.report import inputs, studies_page, study_page
from orchestrator.report.page import Page, render
from orchestrator.results import files

PAGE = "report.html"


def write_report(folder: Path, *, figures: Path | None = None) -> list[Path]:
    """Writes `report.html` into a study's folder, also into that of one that runs at this moment.

    Args:
        folder: The study's.
        figures: Where each figure goes as SVG and PNG too; None for nowhere.

    Returns:
        The files.

    Raises:
        ValueError: The folder is no study, or a file in it is damaged.
        OSError: A file cannot be read or written.
    """
    files.check_inside(folder)
    return _write(study_page.compose(inputs.read(folder)), folder / PAGE, figures)


def write_side_by_side(
    folders: Sequence[Path], output: Path, *, figures: Path | None = None
) -> list[Path]:
    """Writes one page of several studies, and nothing into their folders.

    Args:
        folders: The studies'.
        output: The file.
        figures: As in `write_report`.

    Returns:
        The files.

    Raises:
        ValueError: A folder is no study, its finals have not begun, or it stands twice.
        OSError: A file cannot be read or written.
    """
    return _write(studies_page.compose(folders), output, figures)


def _write(page: Page, path: Path, figures: Path | None) -> list[Path]:
    files.write_text(path, render(page))
    if figures is None:
        return [path]
    from orchestrator.report.draw_matplotlib import write_figures  # noqa: PLC0415 (takes a second)

    return [path, *write_figures(page.charts, figures)]
