"""The command `python -m orchestrator.report RESULTS ...`: one offline page that shows a study."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import OneLineParser

if TYPE_CHECKING:
    from orchestrator.report.page import Page

# NumPy, PyArrow and Plotly are imported late, so that --help answers at once.

DONE, WRONG_INPUT = 0, 2
PAGE = "report.html"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0 done, 2 where a folder is no study, is damaged, or is read-only.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    folders, figures = options.results, options.figures
    if len(folders) == 1 and options.output:
        parser.error("--output is for two or more studies; one has its page in its own folder")
    try:
        if len(folders) == 1:
            written = write_report(folders[0], figures=figures)
        else:
            written = write_side_by_side(folders, options.output or Path(PAGE), figures=figures)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"report: {' '.join(str(error).split())}\n")
        return WRONG_INPUT
    for path in written:
        sys.stdout.write(f"{path}\n")
    return DONE


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
    from orchestrator.report import inputs, study_page

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
    from orchestrator.report import studies_page

    return _write(studies_page.compose(folders), output, figures)


def _write(page: "Page", path: Path, figures: Path | None) -> list[Path]:
    from orchestrator.report.page import render
    from orchestrator.results import schema as results

    results.write_text(path, render(page))
    if figures is None:
        return [path]
    from orchestrator.report.draw_matplotlib import write_figures

    return [path, *write_figures(page.charts, figures)]


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m orchestrator.report",
        description="Shows a study as one page that opens from disk on any machine, from its "
        "tables and study.json alone, while it runs and afterwards.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "results",
        metavar="RESULTS",
        type=Path,
        nargs="+",
        help="the folder of a study, which its page is written into; two or more to show them side "
        "by side",
    )
    parser.add_argument(
        "--output",
        metavar="FILE.html",
        type=Path,
        help=f"of two or more: the page to write (default: {PAGE} in the current folder)",
    )
    parser.add_argument(
        "--figures",
        metavar="DIR",
        type=Path,
        help="write each figure there too, as SVG and PNG for a paper",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
