"""The command `python -m orchestrator.report RESULTS`: one offline page that shows a study."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.usage import OneLineParser

# NumPy, PyArrow and Plotly are imported late, so that --help answers at once.

DONE, WRONG_INPUT = 0, 2
PAGE = "report.html"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0 done, 2 where the folder is no study, is damaged, or is read-only.
    """
    options = _parser().parse_args(arguments)
    try:
        for path in write_report(options.results, figures=options.figures):
            sys.stdout.write(f"{path}\n")
    except (ValueError, OSError) as error:
        sys.stderr.write(f"report: {' '.join(str(error).split())}\n")
        return WRONG_INPUT
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
    from orchestrator import results
    from orchestrator.reporting import inputs, page

    study = inputs.read(folder)
    report = page.compose(study)
    path = folder / PAGE
    results.write_text(path, page.render(study, report))
    if figures is None:
        return [path]
    from orchestrator.reporting.static import write_figures

    return [path, *write_figures(report.charts, figures)]


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m orchestrator.report",
        description="Shows a study as one page that opens from disk on any machine, from its "
        "tables and study.json alone, while it runs and afterwards.",
        allow_abbrev=False,
    )
    parser.add_argument("results", metavar="RESULTS", type=Path, help="the folder of a study")
    parser.add_argument(
        "--figures",
        metavar="DIR",
        type=Path,
        help="write each figure there too, as SVG and PNG for a paper",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
