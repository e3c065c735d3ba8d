"""The command `python -m orchestrator.status RESULTS`: how a study stands, at any moment."""

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

from orchestrator.called import text_of
from orchestrator.cli import DONE, OneLineParser, answer, run_command, say, say_json

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.status.study_status import StudyStatus

# PyArrow and Optuna are imported late, so that --help answers at once.

WATCH_SECONDS: Final = 5.0
MOST_PORT: Final = 65535


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0 shown, 2 where the folder is no study or damaged or the port is taken,
        130 on Ctrl-C.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.serve is not None and (options.watch or options.json):
        parser.error("--serve cannot be given with --watch or --json")
    statuses = _statuses(options.results, watch=options.watch)

    def run() -> int:
        if options.serve is not None:
            from orchestrator.report.serve import serve

            serve(
                options.results,
                options.serve,
                ready=lambda url: say(f"The study's page is at {url} until Ctrl-C"),
            )
        elif options.json:
            for status in statuses:
                say_json(asdict(status))
        else:
            _print_tables(statuses, redraw=options.watch)
        return DONE

    return answer("status", run)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_PORT:
        raise argparse.ArgumentTypeError(
            f"PORT must be a number from 0 to {MOST_PORT}, but got {text}"
        )
    return int(text)


def _statuses(results: str, *, watch: bool) -> Iterator["StudyStatus"]:
    """How the study stands now and, watched, every 5 seconds until no driver runs it."""
    from orchestrator.results.fetched import local_folder
    from orchestrator.results.states import Outcome
    from orchestrator.status.study_status import read_status

    while True:
        status = read_status(local_folder(results), now=time.time())
        yield status
        if not watch or status.state != Outcome.RUNNING:
            return
        time.sleep(WATCH_SECONDS)


def _print_tables(statuses: Iterable["StudyStatus"], *, redraw: bool) -> None:
    """On a terminal each picture replaces the last one; elsewhere only news is printed."""
    from orchestrator.status.render import print_status
    from orchestrator.terminal import Terminal

    console = Terminal()
    if redraw and console.is_terminal:
        statuses = _drawn_while_running(statuses, console)
    news = None
    for status in statuses:
        # What changes by itself is no news.
        lasting = replace(status, tables_age_seconds=None, time_left_seconds=None)
        if lasting != news:
            print_status(console, status)
        news = lasting


def _drawn_while_running(
    statuses: Iterable["StudyStatus"], console: "Console"
) -> Iterator["StudyStatus"]:
    """Draws each in the place of the last; gives back the one in which nothing runs any more."""
    from rich.live import Live

    from orchestrator.results.states import Outcome
    from orchestrator.status.render import drawn

    with Live(console=console, auto_refresh=False) as live:
        for status in statuses:
            if status.state != Outcome.RUNNING:
                live.transient = True
                break
            live.update(drawn(status, console.width), refresh=True)
    yield status


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=text_of("status"),
        description="Shows how a study stands, from its tables and study.json alone, while it runs "
        "and afterwards: best validation accuracy, trials, re-trainings, faults, time left.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "results", metavar="RESULTS", help="the folder of a study, or where it is published"
    )
    parser.add_argument(
        "--watch", action="store_true", help="show it again every 5 s until the study has ended"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object in a line")
    parser.add_argument(
        "--serve",
        metavar="PORT",
        type=_port,
        nargs="?",
        const=0,
        help="show its report in this machine's browser, at 127.0.0.1:PORT (default: a free port), "
        "made anew as the study goes on, until Ctrl-C",
    )
    return parser


if __name__ == "__main__":
    run_command(main)
