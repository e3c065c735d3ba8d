"""The command `transfer-study COMMAND ...`: every command of the project under one name."""

import argparse
import sys
import textwrap
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import orchestrator
from orchestrator.called import CONSOLE_COMMAND
from orchestrator.cli import OneLineParser, run_command
from transfer_study import __version__

PACKAGE = orchestrator.__name__
WIDTH = 80


def commands() -> dict[str, Path]:
    """Name to file of every command: `study`, and each folder with a `__main__.py`."""
    folder = Path(str(orchestrator.__file__)).parent
    inside = {path.parent.name: path for path in sorted(folder.glob("*/__main__.py"))}
    return {"study": folder / "study.py", **inside}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command that the first word names with the others; returns its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    found = commands()
    name = _parser(found).parse_args(words[:1]).command
    inside = name if name == "study" else f"{name}.__main__"
    module = import_module(f"{PACKAGE}.{inside}")
    code: int = module.main(words[1:])
    return code


def console() -> NoReturn:
    """What the console command calls."""
    run_command(main)


def _parser(found: dict[str, Path]) -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=CONSOLE_COMMAND,
        usage=f"{CONSOLE_COMMAND} COMMAND ...",
        description="Which image classifier to train on your data, and is the difference real?",
        epilog=_listed(found),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "command",
        metavar="COMMAND",
        choices=found,
        help=f"one of those below; `{CONSOLE_COMMAND} COMMAND --help` says more",
    )
    parser.add_argument("--version", action="version", version=__version__)
    return parser


def _listed(found: dict[str, Path]) -> str:
    """The commands, each with the sentence that its file opens with."""
    column = max(map(len, found)) + 4
    lines = (
        textwrap.fill(
            f"  {name:{column - 2}}{_sentence(path)}", WIDTH, subsequent_indent=" " * column
        )
        for name, path in found.items()
    )
    return "\n".join(["commands:", *lines])


def _sentence(path: Path) -> str:
    """What the first line of a file says after its colon."""
    with path.open(encoding="utf-8") as file:
        return file.readline().strip().strip('"').partition(": ")[2]


if __name__ == "__main__":
    console()
