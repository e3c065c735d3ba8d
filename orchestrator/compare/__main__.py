"""The command `python -m orchestrator.compare RESULTS ...`: a study's models again, or studies."""

import argparse
from collections.abc import Sequence

from orchestrator.called import text_of
from orchestrator.cli import DONE, OneLineParser, answer, run_command, say_json
from orchestrator.outputs import output_file

# NumPy, SciPy and PyArrow are imported late, so that --help answers at once.


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0 done, 2 where a folder is no study, has no finals, or is read-only.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if len(options.results) == 1 and (options.output or options.csv):
        parser.error("--output and --csv are for two or more studies; one has its own files")

    def run() -> int:
        from orchestrator.compare.across_studies import differences_csv, read_sides, side_by_side
        from orchestrator.compare.render import json_of, markdown_of, print_answer, print_report
        from orchestrator.compare.within_study import write_comparison
        from orchestrator.results import files
        from orchestrator.results.fetched import local_folder
        from orchestrator.terminal import Terminal

        for path in filter(None, (options.output, options.csv)):
            files.check_writable(path.absolute().parent)
        folders = [local_folder(results) for results in options.results]
        console = None if options.json else Terminal()
        if len(folders) == 1:
            report = write_comparison(folders[0], console)
        else:
            report, rows = side_by_side(read_sides(folders))
            if options.output is not None:
                files.write_output(options.output, markdown_of(report))
            if options.csv is not None:
                files.write_output(options.csv, differences_csv(rows))
            if console is not None:
                print_report(console, report)
        if console is None:
            say_json(json_of(report))
        else:
            print_answer(console, report)
        return DONE

    return answer("compare", run)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=text_of("compare"),
        description="Compares the families of a study on its test set again, from the stored "
        "predictions: writes comparison.parquet and comparison.md and "
        "prints the main ones and the answer. Of two or more studies it prints what differs and "
        "their results side by side, and writes nothing into their folders.",
    )
    parser.add_argument(
        "results",
        metavar="RESULTS",
        nargs="+",
        help="the folder of a study with final runs, or where it is published; two or more to "
        "compare studies",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print all tables, unrounded, as one JSON object instead",
    )
    parser.add_argument(
        "--output",
        metavar="FILE.md",
        type=output_file(".md"),
        help="of two or more: write it as Markdown too",
    )
    parser.add_argument(
        "--csv",
        metavar="FILE.csv",
        type=output_file(".csv"),
        help="of two or more: write the paired differences",
    )
    return parser


if __name__ == "__main__":
    run_command(main)
