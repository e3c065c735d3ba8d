"""The command `python -m orchestrator.verdict A B ...`: is one model really better?"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator.called import text_of
from orchestrator.cli import (
    DONE,
    INCOMPLETE,
    INTERRUPTED,
    WRONG_INPUT,
    OneLineParser,
    fail,
    run_command,
    say,
    say_json,
)

if TYPE_CHECKING:
    from orchestrator.compare.document import Report
    from orchestrator.verdict.document import Verdict
    from orchestrator.verdict.matching import Matched
    from orchestrator.verdict.said import Texts

PAGE: Final = "verdict.html"
NONE: Final = "none"
CLAIMS: Final = {"better": "better", "not-worse": "not worse"}
COLUMN_ROLES: Final = ("image", "label", "predicted", "probabilities", "logits", "model", "seed")
MOST_MARGIN: Final = 100

# NumPy, SciPy, PyArrow and Plotly are imported late, so that --help answers at once.


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0 answered, and what was claimed holds; 1 something that was claimed does
        not; 2 wrong input; 130 on Ctrl-C.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    _check(parser, options)
    from orchestrator.verdict.faults import FaultsError

    try:
        return _run(options)
    except FaultsError as error:
        for line in error.lines:
            fail("verdict", ValueError(line))
        return WRONG_INPUT
    except (ValueError, OSError) as error:
        return fail("verdict", error)
    except KeyboardInterrupt:
        return INTERRUPTED


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What is known of the images beside predictions.

    Attributes:
        columns: What slices are made of.
        groups: What images that belong together share; None where each is alone.
        files: Image to its file.
        notes: What a reader must know.
    """

    columns: "Mapping[str, Texts]"
    groups: "Texts | None"
    files: dict[str, Path]
    notes: list[str] = field(default_factory=list)


def _run(options: argparse.Namespace) -> int:
    """Reads, judges, prints and writes.

    Raises:
        ValueError: Something is wrong with the input.
        OSError: A file cannot be read or written.
    """
    from orchestrator.compare.render import json_of
    from orchestrator.results.files import check_writable
    from orchestrator.verdict import document
    from orchestrator.verdict.asked import question

    check_writable(options.output.absolute().parent)
    matched, notes = _matched(options)
    kind: Any = CLAIMS.get(options.claim)
    asked = question(matched, baseline=options.baseline, margin=options.margin, kind=kind)
    known = _known(options, matched)
    verdict = document.judge(matched, asked, groups=known.groups)
    notes += known.notes
    if options.log is not None:
        from orchestrator.verdict.sealed import decide

        decisions, log = decide(options.log, matched, asked, verdict.claims, opened=options.open)
        verdict = verdict.decided([decision.held for decision in decisions])
        if not options.open:
            report = document.sealed_report(verdict, decisions, log, notes=notes)
            plain = document.sealed_json(verdict, decisions, json_of(report))
            return _tell(options, verdict, report, plain)
        notes += [*document.log_notes(log), *document.levels(decisions)]
    wanted = options.slices != [NONE]
    slices = document.slices_of(verdict, known.columns) if wanted else []
    report = document.compose(verdict, slices, notes=notes)
    plain = document.to_json(verdict, report, json_of(report))
    return _tell(options, verdict, report, plain, slices=slices, files=known.files)


def _tell(
    options: argparse.Namespace,
    verdict: "Verdict",
    report: "Report",
    plain: dict[str, Any],
    *,
    slices: Sequence[Any] = (),
    files: Mapping[str, Path] | None = None,
) -> int:
    """Writes the page and prints; a sealed verdict has no slices and no files."""
    from orchestrator.compare.render import print_answer, print_report
    from orchestrator.report.page import render
    from orchestrator.results.files import write_text
    from orchestrator.terminal import Terminal
    from orchestrator.verdict.page import compose

    sealed = bool(plain.get("sealed"))
    page = compose(None if sealed else verdict, report, slices, dict(files or {}))
    write_text(options.output, render(page))
    if options.format == "json":
        say_json(plain)
    else:
        console = Terminal()
        print_report(console, report, more=str(options.output))
        say("", f"Page: {options.output}")
        print_answer(console, report)
    return DONE if verdict.held else INCOMPLETE


def _matched(options: argparse.Namespace) -> "tuple[Matched, list[str]]":
    """Reads all predictions and puts their images in one order, with notes on the way."""
    from orchestrator.verdict.matching import match
    from orchestrator.verdict.said import read_all, read_labels

    columns_given = dict(options.columns)
    labels = None if options.labels is None else read_labels(options.labels, columns_given)
    named = options.classes or sorted(set(labels.values()) if labels else ())
    found, notes = read_all(
        options.predictions,
        columns_given=columns_given,
        known=named,
        labelled=labels is not None,
        fraction=options.train_fraction,
    )
    matched = match(found, labels=labels, classes=options.classes, logits=options.logits)
    return matched, notes


def _known(options: argparse.Namespace, matched: "Matched") -> _Known:
    """Reads the table of attributes and the files of images.

    Raises:
        ValueError: A column or the files are not there.
    """
    from orchestrator.verdict import images
    from orchestrator.verdict.attributes import chosen, column_of, read_attributes

    notes: list[str] = []
    columns = dict(matched.attributes)
    if options.attributes is not None:
        columns |= read_attributes(options.attributes, matched, notes)
    groups = None if options.groups is None else column_of(options.groups, columns, "--groups")
    files: dict[str, Path] = {}
    if options.images is not None:
        files = images.find_files(matched, options.images)
        columns |= images.measure(matched, files, notes)
    sliced = chosen(options.slices, columns, apart_from=options.groups, notes=notes)
    return _Known(columns=sliced, groups=groups, files=files, notes=notes)


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuses what cannot be asked, before anything is read."""
    margin: float | None = options.margin
    if margin is not None and not 0 < margin < MOST_MARGIN:  # also NaN
        parser.error(f"--margin must be percentage points between 0 and 100, but is {margin:g}")
    if options.claim == "not-worse" and margin is None:
        parser.error("--claim not-worse must go with --margin")
    if options.claim == "better" and margin is not None:
        parser.error("--margin must go with --claim not-worse, not with better")
    decides = options.claim is not None or margin is not None
    if decides and options.baseline is None:
        parser.error("--claim and --margin must go with --baseline")
    if options.log is not None and not decides:
        parser.error("--log must go with --claim better, or with --margin")
    if options.open and options.log is None:
        parser.error("--open must go with --log")


def _pair(text: str) -> tuple[str, str]:
    role, equals, name = text.partition("=")
    if not equals or role not in COLUMN_ROLES or not name:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be ROLE=NAME, with a role of {', '.join(COLUMN_ROLES)}"
        )
    return role, name


def _pairs(text: str) -> list[tuple[str, str]]:
    return [_pair(part) for part in text.split(",")]


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if "" in names or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(
            f"names between commas must be there, and each once, but got {text!r}"
        )
    return names


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=text_of("verdict"),
        description="Says whether one model is really better than another, from predictions on the "
        "same test images that anything has made: an answer, tables, a page, and an exit code (0 "
        "answered, and held where something was claimed; 1 not held; 2 wrong input).",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "predictions",
        metavar="[NAME=]FILE",
        nargs="+",
        help="predictions as CSV, Parquet, Arrow, JSON, .npy or .npz, or the results of a study; "
        "several files of one NAME are its trainings with different seeds",
    )
    add("--baseline", metavar="NAME", help="compare all other models with this one")
    add(
        "--margin",
        metavar="POINTS",
        type=float,
        help="claim that no other model is worse than the baseline by more than so many percentage "
        "points of accuracy",
    )
    add("--claim", choices=CLAIMS, help="what is claimed of the others (not-worse with --margin)")
    add("--labels", metavar="FILE", type=Path, help="true classes, for files that have none")
    add("--attributes", metavar="FILE", type=Path, help="a table with further columns by image")
    add(
        "--groups",
        metavar="COLUMN",
        help="images with the same value belong together (a patient, a video, a site)",
    )
    add(
        "--slices",
        metavar="COLUMN,...",
        type=_names,
        default=["all"],
        help="columns by which parts of the test set are looked at beside classes and confusions: "
        "all or none (all)",
    )
    add("--images", metavar="DIR", type=Path, help="where the files of the images are")
    add(
        "--log",
        metavar="FILE",
        type=Path,
        help="keep each look at this test set there, and decide so that all looks together are "
        "wrong in at most 5%%; says decisions alone",
    )
    add("--open", action="store_true", help="with --log: show the numbers too, and log it")
    add(
        "--columns",
        metavar="ROLE=NAME,...",
        type=_pairs,
        default=[],
        help=f"which column says what, of {', '.join(COLUMN_ROLES)}",
    )
    add(
        "--classes",
        metavar="A,B,...",
        type=_names,
        default=[],
        help="names of the classes, in the order of outputs that are not named",
    )
    add("--logits", action="store_true", help="outputs that are no probabilities are logits")
    add("--train-fraction", metavar="SHARE", type=float, help="of a study (the largest)")
    add(
        "--output",
        metavar="FILE.html",
        type=Path,
        default=Path(PAGE),
        help=f"the page to write ({PAGE})",
    )
    add("--format", choices=("text", "json"), default="text", help="what is printed (text)")
    return parser


if __name__ == "__main__":
    run_command(main)
