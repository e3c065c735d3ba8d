"""The command `python -m orchestrator.report RESULTS ...`: one offline page that shows a study."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from orchestrator.called import text_of
from orchestrator.cli import DONE, OneLineParser, answer, run_command, say
from orchestrator.outputs import output_file, output_folder

PAGE = "report.html"

# NumPy, PyArrow and Plotly are imported late, so that --help answers at once.


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0 done, 2 where a folder is no study, is damaged, or is read-only.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    figures, one = options.figures, len(options.results) == 1
    if one and options.output:
        parser.error("--output is for two or more studies; one has its page in its own folder")

    def run() -> int:
        from orchestrator.report import page, studies_page, study_page
        from orchestrator.results.fetched import local_folder
        from orchestrator.results.files import check_writable

        output = options.output or Path(PAGE)
        for folder in filter(None, (figures, None if one else output.absolute().parent)):
            check_writable(folder.absolute())
        folders = [local_folder(results) for results in options.results]
        if one:
            written = study_page.write_report(folders[0], figures=figures)
        else:
            written = page.write_page(studies_page.compose(folders), output, figures)
        say(*map(str, written))
        return DONE

    return answer("report", run)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=text_of("report"),
        description="Shows a study as one page that opens from disk on any machine, from its "
        "tables and study.json alone, while it runs and afterwards.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "results",
        metavar="RESULTS",
        nargs="+",
        help="the folder of a study, which its page is written into, or where it is published, of "
        "which there is a copy here; two or more to show them side by side",
    )
    parser.add_argument(
        "--output",
        metavar="FILE.html",
        type=output_file(".html"),
        help=f"of two or more: the page to write (default: {PAGE} in the current folder)",
    )
    parser.add_argument(
        "--figures",
        metavar="DIR",
        type=output_folder,
        help="write each figure there too, as SVG and PNG for a paper",
    )
    return parser


if __name__ == "__main__":
    run_command(main)
