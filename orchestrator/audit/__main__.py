"""The command `python -m orchestrator.audit PATH`: what can somebody's study bear?"""

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from orchestrator.called import text_of
from orchestrator.cli import DONE, INCOMPLETE, OneLineParser, answer, run_command, say, say_json


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; its exit code: 0 no sin was found, 1 there are some, 2 wrong input."""
    options = _parser().parse_args(arguments)
    form = "json" if options.json else options.format

    def run() -> int:
        from orchestrator.audit import document
        from orchestrator.audit.foreign import Said
        from orchestrator.audit.interpret import interpret
        from orchestrator.audit.read import read
        from orchestrator.compare.render import markdown_of
        from orchestrator.terminal import Terminal

        raw = read(options.path, study=options.study, metric=options.metric)
        said = Said(**{field.name: getattr(options, field.name) for field in fields(Said)})
        result = document.audit(interpret(raw, said))
        if form == "json":
            say_json(document.json_of(result))
        elif form == "markdown":
            say(markdown_of(document.report_of(result)).rstrip())
        else:
            document.print_audit(Terminal(), result)
        return INCOMPLETE if result.sins else DONE

    return answer("audit", run)


def _images(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"images must be a whole number from 1 on, but is {text}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=text_of("audit"),
        description="Reads the trials of somebody's study and says what they can bear: was the "
        "baseline among them, did each group have equal effort, how far is the best of N luck, was "
        "test used to choose, and which claims survive. What the files do not say is said to be "
        "unknown. Nothing is written.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "path",
        metavar="PATH",
        type=Path,
        help="an Optuna journal or SQLite database, a results folder of Ray Tune, or a CSV file",
    )
    add("--metric", metavar="NAME", help="what trials were chosen by (by the names of columns)")
    add("--test-metric", metavar="NAME", help="the same measure on the test part (likewise)")
    add("--direction", choices=("maximize", "minimize"), help="what is better (by the name)")
    add("--group", metavar="NAME", help="which model, family or method a trial is of (likewise)")
    add("--seed-column", metavar="NAME", help="seeds of trainings (likewise)")
    add(
        "--baseline",
        metavar="WHICH",
        help="a trial, a group, or hyperparameters name=value,... (what is called a baseline)",
    )
    add("--validation-images", metavar="N", type=_images, help="that the metric was measured on")
    add("--test-images", metavar="N", type=_images, help="that the test metric was measured on")
    add(
        "--independent",
        action="store_true",
        help="trials were drawn without regard to earlier ones: a random search or a grid",
    )
    add("--study", metavar="NAME", help="one of an Optuna file (all, each a group)")
    add("--format", choices=("text", "json", "markdown"), default="text", help="(text)")
    add("--json", action="store_true", help="the same as --format json")
    return parser


if __name__ == "__main__":
    run_command(main)
