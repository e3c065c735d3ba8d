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
        sys.stdout.write(f"{write_report(options.results)}\n")
    except (ValueError, OSError) as error:
        sys.stderr.write(f"report: {' '.join(str(error).split())}\n")
        return WRONG_INPUT
    return DONE


def write_report(folder: Path, output: Path | None = None) -> Path:
    """Writes the page of a study, also of one that runs at this moment.

    Args:
        folder: The study's.
        output: The file to write; None for `report.html` in the folder.

    Returns:
        The file.

    Raises:
        ValueError: The folder is no study, or a file in it is damaged.
        OSError: A file cannot be read or written.
    """
    from orchestrator import results
    from orchestrator.reporting import inputs, page

    path = output or folder / PAGE
    results.write_text(path, page.render(inputs.read(folder)))
    return path


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m orchestrator.report",
        description="Shows a study as one page that opens from disk on any machine, from its "
        "tables and study.json alone, while it runs and afterwards.",
        allow_abbrev=False,
    )
    parser.add_argument("results", metavar="RESULTS", type=Path, help="the folder of a study")
    return parser


if __name__ == "__main__":
    sys.exit(main())
