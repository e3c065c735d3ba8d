"""The flags of the study command: those of settings that have one, and what a command does."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.called import text_of
from orchestrator.cli import OneLineParser
from orchestrator.config import sources
from orchestrator.config.settings import SAID, Said, Settings, checked, written
from orchestrator.config.sources import Values, resolve


def make_parser() -> argparse.ArgumentParser:
    """The parser of `python -m orchestrator.study`."""
    parser = OneLineParser(
        prog=text_of("study"),
        description="Searches each model family around its baseline and compares them honestly.",
        epilog="Every other setting (docs/SETTINGS.md) is set by --set name=value.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    for name, said in SAID.items():
        if said.flag:
            _add(parser, name, said)
    add(
        "--resume",
        metavar="NAME",
        help="go on with a study, or with one at ADDRESS/NAME; more --trials or --seeds extend it",
    )
    add("--accept-code-change", action="store_true", help="resume although the code has changed")
    add(
        "--register",
        nargs="?",
        const="",
        metavar="FILE.yaml",
        help="write down what will be asked, with its hash, before the search (the questions that "
        "the answer needs); what else is found is called explored",
    )
    add("--config", type=Path, metavar="FILE", help="YAML file with settings by name")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="any setting")
    add("--print-settings", action="store_true", help="print them as a YAML file, and stop")
    add("--dry-run", action="store_true", help="print the plan with its forecast and stop")
    add("--json", action="store_true", help="with --dry-run: print it as one JSON object")
    add("--debug", action="store_true", help="show tracebacks")
    return parser


def _add(parser: argparse.ArgumentParser, name: str, said: Said) -> None:
    """The flag of a setting; without a value where that would be yes or no."""
    flag, default = name.replace("_", "-"), getattr(Settings, name)
    if isinstance(default, bool):
        no, action = ("no-", "store_false") if default else ("", "store_true")
        text = f"not: {said.means}" if default else said.means
        parser.add_argument(f"--{no}{flag}", dest=name, action=action, default=None, help=text)
        return
    metavar = said.flag if isinstance(said.flag, str) else None
    action = "append" if name == "track" else "store"  # there may be several trackers
    text = said.means if default is None else f"{said.means} ({written(default)})"
    parser.add_argument(f"--{flag}", action=action, metavar=metavar, help=text.replace("`", ""))


def settings_of(options: argparse.Namespace, stored: Values | None = None) -> Settings:
    """The settings that parsed flags name, of a study that is resumed with those stored.

    Raises:
        ValueError: A value is wrong.
    """
    return resolve(_given(options), config=options.config, assignments=options.set, stored=stored)


def results_dir_of(options: argparse.Namespace) -> str:
    """Where the study that the flags resume is kept; a `ValueError` where one is wrong."""
    layers = sources.layers(_given(options), options.config, options.set)
    given = sources.merge({"results_dir": Settings.results_dir}, *layers)
    return str(checked("results_dir", str(given["results_dir"])))


def check_together(options: argparse.Namespace) -> None:
    """Checks which flags stand together, and the name of a study to resume.

    Raises:
        ValueError: It is no name, or a flag contradicts another or lacks it.
    """
    if options.json and not options.dry_run:
        raise ValueError("--json must go with --dry-run, but that is missing")
    name, warm_start = options.resume, options.warm_start
    if name is None:
        if options.accept_code_change:
            raise ValueError("--accept-code-change must go with --resume NAME, but that is missing")
        return
    if "://" in name:
        above, _, name = name.partition("://")[2].rstrip("/").rpartition("/")
        if not above:
            raise ValueError(
                f"--resume of an address must end in the study's name, but got {options.resume!r}"
            )
    path = Path(name)
    if path.name != name or name in {"", ".."}:
        message = f"--resume must be the name of a study, not a path, but got {name!r}"
        if path.name not in {"", ".."}:
            place = "" if path.parent == Path() else f" --results-dir {path.parent}"
            message += f"; to resume it: --resume {path.name}{place}"
        raise ValueError(message)
    if warm_start is not None:
        raise ValueError(
            f"--warm-start must go with a new study, but got {warm_start!r} with --resume {name}; "
            "a resumed study goes on with what it has learned, so leave it out"
        )
    if options.name not in {None, name}:
        raise ValueError(
            f"--name must be left out with --resume, or be the same, but got {options.name!r} with "
            f"--resume {name}"
        )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The flags; exits with code 2 and one line where they are wrong."""
    return make_parser().parse_args(arguments)


def _given(options: argparse.Namespace) -> dict[str, Any]:
    return {
        name: value for name, value in vars(options).items() if name in SAID and value is not None
    }
