"""Writes the page of a study, or another, and its figures."""

from pathlib import Path

from orchestrator.report import inputs, study_page
from orchestrator.report.page import Page, render
from orchestrator.results import files

PAGE = "report.html"


def write_report(folder: Path, *, figures: Path | None = None) -> list[Path]:
    """Writes `report.html` into a study's folder, also while it runs, as `write_page` does.

    Raises:
        ValueError: The folder is no study, or a file in it is damaged.
        OSError: A file cannot be read or written.
    """
    files.check_inside(folder)
    return write_page(study_page.compose(inputs.read(folder)), folder / PAGE, figures)


def write_page(page: Page, path: Path, figures: Path | None) -> list[Path]:
    """Writes a page, and its figures as SVG and PNG where they have a folder; returns the files.

    Raises:
        OSError: A file cannot be written.
    """
    files.write_text(path, render(page))
    if figures is None:
        return [path]
    from orchestrator.report.draw_matplotlib import write_figures  # noqa: PLC0415 (takes a second)

    return [path, *write_figures(page.charts, figures)]
