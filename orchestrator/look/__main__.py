"""The command `python -m orchestrator.look DATA`: your images, before a study trains on them."""

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.called import text_of, words_of
from orchestrator.cli import DONE, INCOMPLETE, OneLineParser, answer, run_command, say, say_json
from orchestrator.config.columns import COLUMNS, column_flags
from orchestrator.outputs import output_file

# NumPy, Optuna and Pillow are imported late, so that --help answers at once.


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0 a study would run on these data, 1 something must be mended first, 2 there
        are no such data, or the page cannot be written where it should; 130 on Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    return answer("look", lambda: _look(options))


def _look(options: argparse.Namespace) -> int:
    from orchestrator.look.looking import look_at
    from orchestrator.look.render import print_look, to_json

    sheet: Path | None = options.contact_sheet
    if sheet is not None:
        _check_place(sheet, options.data)
    named = {f"{what}_column": getattr(options, f"{what}_column") for what in COLUMNS}
    columns = {setting: name for setting, name in named.items() if name is not None}
    with _counting() as each:
        look = look_at(options.dataset, options.data, each, columns=columns)
    if sheet is not None:
        from orchestrator.look.contact_sheet import write_contact_sheet

        write_contact_sheet(look, sheet)
    if options.json:
        say_json(to_json(look))
    else:
        from orchestrator.terminal import Terminal

        if sheet is not None:
            say(f"Contact sheet: {sheet}")
        print_look(Terminal(), look, _again(options))
    return DONE if look.runs else INCOMPLETE


def _again(options: argparse.Namespace) -> str:
    words = words_of("look")
    words += [] if options.data is None else [options.data]
    words += [] if options.dataset == "folder" else ["--dataset", options.dataset]
    return shlex.join([*words, *column_flags(options)])


def _check_place(sheet: Path, data: str | None) -> None:
    """Rejects a page among the data, where nothing is written, or where nothing can be."""
    from orchestrator.results.files import check_writable

    if data is not None and "://" not in data:
        folder = Path(data).expanduser().resolve()
        if sheet.expanduser().resolve().is_relative_to(folder):
            raise ValueError(f"--contact-sheet must lie outside DATA, but {sheet} is in {folder}")
        check_writable(sheet.absolute().parent)


@contextmanager
def _counting() -> Iterator[Callable[[], object]]:
    """Shows on a terminal how many images were looked at; says nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    column = TextColumn("{task.completed:,.0f} images looked at")
    with Progress(column, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda: progress.advance(task)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=text_of("look"),
        description="Looks at every image before a study does: how many there are of what, all "
        "that a study would refuse and what to do about it, images that stand twice or look alike, "
        "the size to train at, and the command to run. Nothing is written into DATA.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "data",
        metavar="DATA",
        nargs="?",
        help="the folder of the images, one sub-folder per class, or train/ and test/ of these; a "
        "folder of Parquet files, or one that `datasets` saved; or a table (CSV, Parquet) of "
        "paths; what --data-dir of a study takes",
    )
    add("--dataset", default="folder", help="as of a study: folder, cifar10, digits ... (folder)")
    for column, what in COLUMNS.items():
        add(f"--{column}-column", metavar="NAME", help=what)
    add(
        "--contact-sheet",
        metavar="FILE.html",
        type=output_file(".html"),
        help="write a page there that shows some images of each class and of each problem",
    )
    add("--json", action="store_true", help="print one JSON object in a line")
    return parser


if __name__ == "__main__":
    run_command(main)
